"""The runbook as files: for all, and for each owner what they do."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from cutover.errors import PlanError
from cutover.plan import Plan, specification
from cutover.runbook import markdown
from cutover.runbook_html import runbook_html

FORMATS = ("md", "html", "pdf", "json")
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "microsoft-edge")
"""Any of them prints the HTML as PDF."""
_PRINT_SECONDS = 120.0
_QUIET = (
    "--headless", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync",
    "--disable-component-update", "--disable-quic", "--no-pdf-header-footer",
)  # fmt: skip


def export(plan: Plan, folder: Path, formats: Sequence[str], times: Mapping[str, float]) -> list[Path]:
    """Writes the files; returns them.

    Raises:
        PlanError: a format that there is not, no browser for a PDF, or a file that cannot be written.
    """
    if unknown := sorted(set(formats) - set(FORMATS)):
        raise PlanError(f"--format {', '.join(unknown)}: expected {', '.join(FORMATS)}")
    browser = _browser() if "pdf" in formats else ""
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for format_ in formats:
            if format_ == "json":
                path = folder / f"{plan.id}.json"
                found = {"hash": plan.hash, "plan": specification(plan)}
                path.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
                written.append(path)
                continue
            for owner, name in _names(plan).items():
                path = folder / f"{name}.{format_}"
                if format_ == "md":
                    path.write_text(markdown(plan, times, owner), encoding="utf-8")
                elif format_ == "html":
                    path.write_text(runbook_html(plan, times, owner), encoding="utf-8")
                else:
                    print_page(browser, runbook_html(plan, times, owner), path)
                written.append(path)
    except OSError as error:
        raise PlanError(f"the runbook could not be written to {folder}: {error}") from error
    return written


def _names(plan: Plan) -> dict[str | None, str]:
    """A file's name by owner; None is everybody."""
    found: dict[str | None, str] = {None: plan.id}
    for number, owner in enumerate(plan.owners, 1):
        word = re.sub(r"[^a-z0-9]+", "-", owner.lower()).strip("-") or str(number)
        name = f"{plan.id}.{word}"
        found[owner] = f"{name}-{number}" if name in found.values() else name
    return found


def _browser() -> str:
    for name in BROWSERS:
        if program := shutil.which(name):
            return program
    raise PlanError(
        f"a PDF is printed by a browser, and none of {', '.join(BROWSERS)} is on PATH: "
        "install one, or export html and print that"
    )


def print_page(browser: str, page: str, path: Path) -> None:
    """Prints a page of HTML as a PDF. Raises PlanError."""
    with tempfile.TemporaryDirectory(prefix="landfall-print-") as folder:
        source = Path(folder) / "runbook.html"
        source.write_text(page, encoding="utf-8")
        command = [browser, *_QUIET, f"--user-data-dir={folder}/profile", f"--print-to-pdf={path.resolve()}"]
        # its own sandbox does not start for root; what it prints is this program's own page, without scripts
        if os.geteuid() == 0:
            command.append("--no-sandbox")
        path.unlink(missing_ok=True)
        try:
            done = subprocess.run(
                [*command, source.as_uri()],
                capture_output=True,
                text=True,
                timeout=_PRINT_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise PlanError(f"{browser} did not print {path} within {_PRINT_SECONDS:.0f} s") from error
        if done.returncode != 0 or not path.exists():
            raise PlanError(f"{browser} could not print {path}: {done.stderr.strip()[-500:]}")
