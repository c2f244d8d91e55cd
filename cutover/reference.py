"""`python -m cutover.reference [FILE]`: every command and option as a page, from the command line itself."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from cutover import cli

_HEAD = """# Commands

Made by `python -m cutover.reference docs/commands.md` from the command line itself; a test holds it up
to date. Every command is called as `cutover`, or as `python -m cutover` from the project's folder.
"""


def reference() -> str:
    """The whole page."""
    group: Any = typer.main.get_command(cli.app)
    codes = (cli.__doc__ or "").partition("Exit codes:")[2].strip("\n")
    lines = [
        _HEAD,
        "## Options of every command",
        "",
        *_options(group),
        "## Exit codes",
        "",
        "```",
        codes,
        "```",
        "",
    ]
    lines += [line for name, command in sorted(group.commands.items()) for line in _command(name, command)]
    return "\n".join(lines).rstrip() + "\n"


def _command(name: str, command: Any) -> Iterator[str]:
    if hasattr(command, "commands"):
        for inner, found in sorted(command.commands.items()):
            yield from _command(f"{name} {inner}", found)
        return
    arguments = "".join(
        f" {param.name.upper()}" if param.required else f" [{param.name.upper()}]"
        for param in command.params
        if param.param_type_name == "argument"
    )
    yield f"## cutover {name}{arguments}"
    yield ""
    yield " ".join((command.help or "").split())
    yield ""
    yield from _options(command)


def _options(command: Any) -> list[str]:
    rows = []
    for param in command.params:
        if param.param_type_name == "argument" or "--help" in param.opts:
            continue
        names = ", ".join(f"`{name}`" for name in param.opts)
        default = param.default
        shown = "" if default in (None, False, ()) or callable(default) else f" Default: `{default}`."
        needed = " Required." if param.required else ""
        rows.append(f"| {names} | {(param.help or '').rstrip('.')}.{shown}{needed} |")
    return ["| option | meaning |", "|---|---|", *rows, ""] if rows else []


def main() -> None:
    """Prints the page, or writes it to a file."""
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(reference(), encoding="utf-8")
    else:
        sys.stdout.write(reference())


if __name__ == "__main__":
    main()
