"""The command line: finds the command and its flags, refuses by name what there is not."""

from __future__ import annotations

import importlib
import os
import sys
from dataclasses import dataclass
from typing import Any

from lab.engine.errors import EngineError, RefusedError
from lab.engine.flags import IGNORED, IGNORED_VALUE, REFUSED, REFUSED_VALUE, SWITCH, VALUE, parse

_GLOBAL = {
    "--cwd": VALUE,
    "--stack": VALUE,
    "--help": SWITCH,
    "--color": IGNORED_VALUE,
    "--non-interactive": SWITCH,
    "--emoji": IGNORED,
    "--logflow": IGNORED,
    "--logtostderr": IGNORED,
    "--verbose": IGNORED_VALUE,
    "--disable-integrity-checking": IGNORED,
    "--fully-qualify-stack-names": IGNORED,
    "--tracing": REFUSED_VALUE,
    "--tracing-header": REFUSED_VALUE,
    "--otel-traces": REFUSED_VALUE,
    "--profiling": REFUSED_VALUE,
    "--memprofilerate": REFUSED_VALUE,
}
_OPERATION = {
    "--yes": SWITCH,
    "--skip-preview": SWITCH,
    "--preview-only": SWITCH,
    "--json": SWITCH,
    "--diff": SWITCH,
    "--client": VALUE,
    "--event-log": VALUE,
    "--exec-kind": VALUE,
    "--exec-agent": IGNORED_VALUE,
    "--message": VALUE,
    "--expect-no-changes": SWITCH,
    "--suppress-outputs": SWITCH,
    # How it is shown: always one line a step.
    "--suppress-progress": IGNORED,
    "--suppress-permalink": IGNORED_VALUE,
    "--show-sames": IGNORED,
    "--show-reads": IGNORED,
    "--show-config": IGNORED,
    "--show-replacement-steps": IGNORED,
    "--show-full-output": IGNORED,
    "--debug": IGNORED,
    # Steps are always taken as soon as what they need is there, and independent ones are always seen through.
    "--parallel": IGNORED_VALUE,
    "--continue-on-error": IGNORED,
    "--target": REFUSED_VALUE,
    "--target-dependents": REFUSED,
    "--target-replace": REFUSED_VALUE,
    "--exclude": REFUSED_VALUE,
    "--exclude-dependents": REFUSED,
    "--exclude-protected": REFUSED,
    "--replace": REFUSED_VALUE,
    "--policy-pack": REFUSED_VALUE,
    "--policy-pack-config": REFUSED_VALUE,
    "--plan": REFUSED_VALUE,
    "--save-plan": REFUSED_VALUE,
    "--import-file": REFUSED_VALUE,
    "--import-pending-creates": REFUSED_VALUE,
    "--attach-debugger": REFUSED,
    "--config-file": REFUSED_VALUE,
    "--config": REFUSED_VALUE,
    "--config-path": REFUSED,
    "--secrets-provider": REFUSED_VALUE,
    "--remote": REFUSED,
}
_JSON = {"--json": SWITCH}
_PATH = {"--path": SWITCH, "--config-file": REFUSED_VALUE}


@dataclass(frozen=True)
class Command:
    """A command: `module:function` in lab.engine.commands, its own flags, how many words it may be given."""

    function: str
    flags: dict[str, int]
    words: tuple[int, int] = (0, 0)
    help: str = ""


_PROGRAM = {
    **_OPERATION,
    "--refresh": SWITCH,
    "--run-program": IGNORED,
    "--policy-pack": VALUE,
    "--policy-pack-config": VALUE,
}
_WITHOUT_PROGRAM = {
    **_OPERATION,
    "--refresh": SWITCH,
    "--run-program": REFUSED,
    "--clear-pending-creates": SWITCH,
}
COMMANDS: dict[str, Command] = {
    "version": Command("info:version", {}, help="print the version that this engine follows"),
    "whoami": Command("info:whoami", _JSON, help="print the user and the backend"),
    "about": Command("info:about", _JSON, help="print what this engine is"),
    "up": Command("operations:up", _PROGRAM, help="create or update the resources of a stack"),
    "preview": Command("operations:preview", _PROGRAM, help="show what an update would change"),
    "refresh": Command("operations:refresh", _WITHOUT_PROGRAM, help="take over what is really there"),
    "destroy": Command(
        "operations:destroy", {**_WITHOUT_PROGRAM, "--remove": SWITCH}, help="delete the resources of a stack"
    ),
    "cancel": Command("stack:cancel", {"--yes": SWITCH}, (0, 1), help="delete the locks of a stack"),
    "stack": Command("stack:show", {"--show-ids": IGNORED, "--show-urns": IGNORED, "--show-secrets": SWITCH}),
    "stack init": Command(
        "stack:init",
        {
            "--secrets-provider": VALUE,
            "--no-select": SWITCH,
            "--copy-config-from": REFUSED_VALUE,
            "--teams": REFUSED_VALUE,
        },
        (0, 1),
        help="create a stack",
    ),
    "stack select": Command(
        "stack:select", {"--create": SWITCH, "--secrets-provider": VALUE}, (0, 1), help="choose a stack"
    ),
    "stack ls": Command(
        "stack:ls", {**_JSON, "--all": SWITCH, "--project": VALUE, "--tag": REFUSED_VALUE}, help="list stacks"
    ),
    "stack output": Command(
        "stack:output", {**_JSON, "--show-secrets": SWITCH, "--shell": REFUSED}, (0, 1), help="print outputs"
    ),
    "stack history": Command(
        "stack:history",
        {**_JSON, "--show-secrets": SWITCH, "--page-size": VALUE, "--page": VALUE, "--full-dates": IGNORED},
        help="print what was done",
    ),
    "stack export": Command(
        "stack:export",
        {"--show-secrets": SWITCH, "--file": VALUE, "--version": REFUSED_VALUE},
        help="print the state",
    ),
    "stack import": Command("stack:import_", {"--file": VALUE, "--force": SWITCH}, help="replace the state"),
    "stack rm": Command(
        "stack:rm",
        {"--yes": SWITCH, "--force": SWITCH, "--preserve-config": SWITCH},
        (0, 1),
        help="remove a stack",
    ),
    "config": Command(
        "config:show",
        {**_JSON, "--show-secrets": SWITCH, "--config-file": REFUSED_VALUE, "--open": IGNORED},
        help="print the configuration",
    ),
    "config get": Command("config:get", {**_JSON, **_PATH, "--open": IGNORED}, (1, 1), help="print a value"),
    "config set": Command(
        "config:set_",
        {**_PATH, "--secret": SWITCH, "--plaintext": SWITCH, "--type": REFUSED_VALUE},
        (1, 2),
        help="set a value",
    ),
    "config set-all": Command(
        "config:set_all",
        {**_PATH, "--secret": VALUE, "--plaintext": VALUE, "--json": VALUE},
        help="set values",
    ),
    "config rm": Command("config:rm", _PATH, (1, 1), help="remove a value"),
    "config rm-all": Command("config:rm", _PATH, (1, 1000), help="remove values"),
    "plugin ls": Command(
        "info:plugins", {**_JSON, "--project": IGNORED}, help="print the attached providers"
    ),
    "plugin install": Command(
        "info:plugin_install",
        {"--server": IGNORED_VALUE, "--exact": IGNORED, "--reinstall": IGNORED, "--file": IGNORED_VALUE},
        (0, 3),
        help="does nothing: providers are attached",
    ),
}
_ALIASES = {
    "update": "up",
    "pre": "preview",
    "config list": "config",
    "stack list": "stack ls",
    "plugin list": "plugin ls",
}
# Commands of the official executable; those that are not above are refused by name.
_OFFICIAL = {
    *(
        "ai",
        "console",
        "convert",
        "copilot",
        "deployment",
        "env",
        "gen-completion",
        "import",
        "install",
        "login",
    ),
    *(
        "logout",
        "logs",
        "new",
        "org",
        "package",
        "policy",
        "query",
        "schema",
        "state",
        "template",
        "watch",
        "do",
    ),
}


def _find(words: list[str]) -> tuple[str, list[str]]:
    """The command that the words name, and its words. Flags may stand before and between."""
    named: list[tuple[int, str]] = []
    skip = False
    for index, word in enumerate(words):
        if word == "--":
            break
        if skip:
            skip = False
        elif word.startswith("-"):
            name = {"-C": "--cwd", "-s": "--stack", "-v": "--verbose"}.get(word, word)
            skip = _GLOBAL.get(name) in {VALUE, IGNORED_VALUE, REFUSED_VALUE}
        else:
            named.append((index, word))
            if len(named) == 2:
                break
    if not named:
        return "", words
    first = named[0][1]
    group = any(text.startswith(f"{first} ") for text in (*COMMANDS, *_ALIASES))
    for count in (2, 1):
        if count == 1 and group and len(named) == 2:
            raise RefusedError(f"`pulumi {first} {named[1][1]}`")
        text = " ".join(word for _, word in named[:count])
        text = _ALIASES.get(text, text)
        if len(named) >= count and text in COMMANDS:
            taken = {index for index, _ in named[:count]}
            return text, [word for index, word in enumerate(words) if index not in taken]
    if first in _OFFICIAL:
        raise RefusedError(f"`pulumi {first}`")
    raise EngineError(f"unknown command {first!r} for `pulumi`")


def _help(command: str) -> None:
    if command:
        flags = " ".join(
            sorted(flag for flag, kind in COMMANDS[command].flags.items() if kind in {SWITCH, VALUE})
        )
        print(f"pulumi {command}: {COMMANDS[command].help}\nflags: {flags}")
        return
    print("The lab's own pulumi: what a rehearsal needs, and nothing else.\n\nCommands:")
    for name, item in COMMANDS.items():
        print(f"  {name:<16} {item.help}")


def main(words: list[str]) -> int:
    """Runs a command and returns the exit code."""
    try:
        return _main(words)
    except EngineError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.code
    except BrokenPipeError:
        return 141
    except KeyboardInterrupt:
        return 130


def _main(words: list[str]) -> int:
    name, rest = _find(words)
    known: dict[str, int] = dict(_GLOBAL)
    if name:
        known.update(COMMANDS[name].flags)
    arguments = parse(rest, known, name)
    if not name or arguments.has("--help"):
        _help(name)
        return 0
    command = COMMANDS[name]
    least, most = command.words
    if not least <= len(arguments.positional) <= most:
        raise EngineError(
            f"`pulumi {name}` takes {least} to {most} arguments, not {len(arguments.positional)}"
        )
    if folder := arguments.get("--cwd"):
        try:
            os.chdir(folder)
        except OSError as error:
            raise EngineError(f"--cwd {folder}: {error.strerror}") from error
    module, _, function = command.function.partition(":")
    run: Any = getattr(importlib.import_module(f"lab.engine.commands.{module}"), function)
    return int(run(arguments))
