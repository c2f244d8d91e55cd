"""Commands that change a stack, or foretell it."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from lab.engine import light
from lab.engine.errors import EngineError
from lab.engine.flags import Arguments
from lab.engine.project import find_project

_QUESTIONS = {
    "update": "perform this update",
    "refresh": "perform this refresh",
    "destroy": "perform this destroy",
}


def up(arguments: Arguments) -> int:
    """Creates or updates."""
    return _operate("update", arguments)


def preview(arguments: Arguments) -> int:
    """Foretells an update."""
    return _operate("preview", arguments)


def refresh(arguments: Arguments) -> int:
    """Takes over what is there."""
    return _operate("refresh", arguments)


def destroy(arguments: Arguments) -> int:
    """Deletes everything."""
    return _operate("destroy", arguments)


def _operate(kind: str, arguments: Arguments) -> int:
    light.install()
    from lab.engine.update import Options, Session  # noqa: PLC0415 (needs what was just installed)

    project = find_project()
    backend = project.backend()
    stack = project.stack(arguments.get("--stack"))
    if not backend.exists(stack):
        raise EngineError(f"no stack named '{stack.name}' found")
    options = Options(
        kind=kind,
        preview=kind == "preview" or arguments.has("--preview-only"),
        client=arguments.get("--client"),
        event_log=arguments.get("--event-log"),
        json=arguments.has("--json"),
        diff=arguments.has("--diff"),
        refresh=arguments.has("--refresh"),
        expect_no_changes=arguments.has("--expect-no-changes"),
        clear_pending_creates=arguments.has("--clear-pending-creates"),
        suppress_outputs=arguments.has("--suppress-outputs"),
        message=arguments.get("--message") or "",
        exec_kind=arguments.get("--exec-kind") or "",
        policy_packs=_folders(arguments, "--policy-pack"),
        policy_configs=_folders(arguments, "--policy-pack-config"),
    )
    if not options.preview and not arguments.has("--skip-preview"):
        agreed = arguments.has("--yes")
        if not agreed and (arguments.has("--non-interactive") or not sys.stdin.isatty()):
            raise EngineError(
                "--yes or --skip-preview must be passed in to proceed when running in non-interactive mode"
            )
        shown = replace(options, preview=True, event_log=None, expect_no_changes=False)
        if code := Session(project, backend, stack, shown).run():
            return code
        if not agreed and input(f"\nDo you want to {_QUESTIONS[kind]}? [yes/no] ").strip().lower() != "yes":
            raise EngineError(f"confirmation declined, not proceeding with the {kind}")
    code = Session(project, backend, stack, options).run()
    if code == 0 and arguments.has("--remove") and not options.preview:
        backend.remove(stack)
        project.settings_file(stack.name).unlink(missing_ok=True)
        print(f"The resources in the stack have been deleted; stack {stack.name!r} has been removed")
    return code


def _folders(arguments: Arguments, flag: str) -> tuple[Path, ...]:
    """The paths of a flag that may be given several times, or once with several by commas."""
    given = arguments.flags.get(flag, ())
    return tuple(Path(path).resolve() for text in given for path in text.split(",") if path)
