"""`python -m stacks.review --environment prod`: what `pulumi up` would change, property by property.

Runs `pulumi preview --json` on every stack of an environment, and writes
`<stack>.json` (as pulumi gave it) and `<stack>.md` (for people) into a folder. Changes nothing.

Exit codes: 0 previewed, 1 a stack could not be previewed, 2 wrong usage or
settings.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from stacks.build import stack_parts
from stacks.settings import SettingsError, load_any_environment

_TIMEOUT_SECONDS = 1800.0
_LONGEST_VALUE = 200
_UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
"""What Pulumi has in place of a value that is known only after the `up`."""
_UNCHANGED = ("same", "read", "refresh")


def stacks_of(project: Path, environment: str) -> list[str]:
    """The environment's stacks, in the order in which they are brought up. Raises SettingsError."""
    parts = stack_parts(load_any_environment(project, environment))
    return [f"{environment}-{part}" if part else environment for part in parts]


def markdown(stack: str, preview: Mapping[str, Any]) -> str:
    """A preview (`pulumi preview --json`) as a page for a reviewer."""
    steps = [step for step in preview.get("steps", ()) if step["op"] not in _UNCHANGED]
    counts: dict[str, int] = {}
    for step in steps:
        counts[step["op"]] = counts.get(step["op"], 0) + 1
    summary = ", ".join(f"{count} {operation}" for operation, count in sorted(counts.items()))
    lines = [f"# {stack}: {summary or 'no change'}", ""]
    for step in sorted(steps, key=lambda step: (step["op"], step["urn"])):
        kind, _, name = step["urn"].rpartition("::")
        lines += [f"## {step['op']} {kind.rpartition('::')[2].rpartition('$')[2]} `{name}`", ""]
        rows = list(_changes(step))
        if rows:
            lines += ["| property | before | after |", "|---|---|---|"]
            lines += [f"| {path} | {before} | {after} |" for path, before, after in rows]
            lines.append("")
    for diagnostic in preview.get("diagnostics", ()):
        lines.append(f"- {diagnostic.get('severity', 'info')}: {_cell(diagnostic.get('message', ''))}")
    return "\n".join(lines).rstrip() + "\n"


def _changes(step: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    before = (step.get("oldState") or {}).get("inputs", {})
    after = (step.get("newState") or {}).get("inputs", {})
    detailed = step.get("detailedDiff")
    paths = list(detailed) if detailed else sorted(before.keys() | after.keys())
    for path in paths:
        old, new = _at(before, path), _at(after, path)
        if detailed or old != new:
            replaces = detailed is not None and "replace" in str(detailed[path].get("kind", ""))
            yield f"`{path}`{' (replaces)' if replaces else ''}", _show(old), _show(new)


def _at(value: Any, path: str) -> Any:
    for name, quoted, index in re.findall(r'([^.\[\]"]+)|\["((?:[^"\\]|\\.)*)"\]|\[(\d+)\]', path):
        key: str | int = int(index) if index else (name or quoted.replace('\\"', '"'))
        try:
            value = value[key]
        except (KeyError, IndexError, TypeError):
            return None
    return value


def _show(value: Any) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = text.replace(_UNKNOWN, "(known after the up)")
    return _cell(text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…")


def _cell(text: str) -> str:
    for special in "\\`*_<>[]|":
        text = text.replace(special, f"\\{special}")
    return text.replace("\n", "<br>")


def _preview(project: Path, stack: str) -> tuple[str, str]:
    """What pulumi printed, and an error; one of the two is empty."""
    argv = ["pulumi", "preview", "--non-interactive", "--json", "--stack", stack]
    try:
        result = subprocess.run(
            argv, cwd=project, capture_output=True, text=True, check=False, timeout=_TIMEOUT_SECONDS
        )
    except FileNotFoundError:
        return "", "`pulumi` is not on PATH"
    except subprocess.TimeoutExpired:
        return "", f"`{' '.join(argv)}` did not end within {_TIMEOUT_SECONDS:g} s"
    if result.returncode != 0:
        return "", f"`{' '.join(argv)}` failed:\n{(result.stderr or result.stdout).strip()[-4000:]}"
    return result.stdout, ""


def main(arguments: list[str] | None = None) -> int:
    """The command line; see the module."""
    parser = argparse.ArgumentParser(prog="python -m stacks.review", description=__doc__)
    parser.add_argument(
        "--environment", required=True, help="the environment, as in Pulumi.<environment>.yaml"
    )
    parser.add_argument("--project", type=Path, default=Path(), help="the project's folder")
    parser.add_argument("--output", type=Path, default=Path("out/preview"), help="the folder to write into")
    options = parser.parse_args(arguments)
    try:
        stacks = stacks_of(options.project, options.environment)
    except SettingsError as error:
        sys.stderr.write(f"review: {error}\n")
        return 2
    options.output.mkdir(parents=True, exist_ok=True)
    failed = 0
    for stack in stacks:
        began = time.monotonic()
        sys.stderr.write(f"pulumi preview {stack} …\n")
        printed, problem = _preview(options.project, stack)
        if problem:
            failed += 1
            sys.stderr.write(f"review: {stack}: {problem}\n")
            continue
        page = markdown(stack, json.loads(printed))
        (options.output / f"{stack}.json").write_text(printed, encoding="utf-8")
        (options.output / f"{stack}.md").write_text(page, encoding="utf-8")
        sys.stdout.write(f"{page.splitlines()[0].removeprefix('# ')} ({time.monotonic() - began:.0f} s)\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
