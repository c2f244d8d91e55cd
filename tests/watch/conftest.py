"""A browser, and a project's folder to look on at."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from cutover.session import Session
from tests.watch.stage import ROOT, Puppet

FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's chromium, which setup installs.

    Of a module alone: while it is open, no other test of the process can have an event loop of its own.
    """
    program = shutil.which("chromium")
    assert program, "chromium is missing: `make setup` installs it"
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        yield found
        found.close()


@pytest.fixture(scope="session")
def pictures() -> Path:
    """Where screenshots are kept for people."""
    folder = ROOT / "out" / "pictures"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session.at(tmp_path, "prod", "small")


@pytest.fixture
def puppet(session: Session) -> Iterator[Puppet]:
    found = Puppet(session)
    yield found
    if found.process.poll() is None:
        found.process.kill()
    found.close()
