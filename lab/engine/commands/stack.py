"""Commands about stacks and their state."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lab.engine import values
from lab.engine.backend import Backend, StackName
from lab.engine.config import StackConfig
from lab.engine.errors import EngineError
from lab.engine.flags import Arguments
from lab.engine.project import Project, find_project
from lab.engine.secrets import require_passphrase_provider
from lab.engine.state import read_deployment, salt_of, write_deployment


def _existing(arguments: Arguments, name: str | None = None) -> tuple[Project, Backend, StackName]:
    project = find_project()
    backend = project.backend()
    stack = project.stack(name or arguments.get("--stack"))
    if not backend.exists(stack):
        raise EngineError(f"no stack named '{stack.name}' found")
    return project, backend, stack


def _name(arguments: Arguments) -> str | None:
    return arguments.positional[0] if arguments.positional else arguments.get("--stack")


def init(arguments: Arguments) -> int:
    """Creates a stack."""
    project = find_project()
    name = _name(arguments)
    if not name:
        raise EngineError("missing stack name")
    _create(project, StackName.parse(name, project.name), arguments)
    return 0


def _create(project: Project, stack: StackName, arguments: Arguments) -> None:
    require_passphrase_provider(arguments.get("--secrets-provider") or "")
    backend = project.backend()
    if stack.project != project.name:
        raise EngineError(
            f"the project is {project.name!r}, a stack of {stack.project!r} cannot be created here"
        )
    if backend.exists(stack):
        raise EngineError(f"stack '{stack.name}' already exists")
    StackConfig(project, stack.name).crypter()
    backend.save(stack, None)
    if not arguments.has("--no-select"):
        project.select(stack.name)
    print(f"Created stack '{stack.name}'")


def select(arguments: Arguments) -> int:
    """Chooses a stack for the commands to come."""
    project = find_project()
    name = _name(arguments)
    if not name:
        raise EngineError("missing stack name")
    stack = StackName.parse(name, project.name)
    if not project.backend().exists(stack):
        if not arguments.has("--create"):
            raise EngineError(f"no stack named '{stack.name}' found")
        _create(project, stack, arguments)
    project.select(stack.name)
    return 0


def show(arguments: Arguments) -> int:
    """Prints the stack's resources and outputs."""
    project, backend, stack = _existing(arguments)
    stored = backend.load(stack)
    outputs = read_deployment(stored, show_secrets=arguments.has("--show-secrets")).outputs()
    resources = stored.get("resources") or []
    print(f"Current stack is {stack.name} (of {project.name}):")
    print(f"Current stack resources ({len(resources)}):")
    for item in resources:
        print(f"    {item.get('type', ''):<50} {item['urn'].split('::', 3)[3]}")
    shown = values.plain(outputs) if arguments.has("--show-secrets") else values.masked(outputs)
    print(f"Current stack outputs ({len(shown)}):")
    for key, value in sorted(shown.items()):
        print(f"    {key:<24} {value if isinstance(value, str) else values.compact(value)}")
    return 0


def ls(arguments: Arguments) -> int:
    """Lists stacks."""
    try:
        project: Project | None = find_project()
    except EngineError:
        project = None
    if project is None:
        from lab.engine.project import backend_url  # noqa: PLC0415

        backend = Backend(backend_url({}))
    else:
        backend = project.backend()
    wanted = arguments.get("--project") or (
        None if arguments.has("--all") or project is None else project.name
    )
    selected = project.selected() if project else None
    rows: list[dict[str, Any]] = []
    for stack in backend.stacks(wanted):
        stored = backend.load(stack)
        own = project is not None and stack.project == project.name
        row: dict[str, Any] = {
            "name": stack.name if own else str(stack),
            "current": own and stack.name == selected,
            "updateInProgress": bool(backend.locks(stack)),
            "resourceCount": len(stored.get("resources") or []),
        }
        if time := (stored.get("manifest") or {}).get("time"):
            row["lastUpdate"] = time
        rows.append(row)
    if arguments.has("--json"):
        print(json.dumps(rows, indent=2))
        return 0
    print(f"{'NAME':<40}{'LAST UPDATE':<32}RESOURCE COUNT")
    for row in rows:
        name = row["name"] + ("*" if row["current"] else "")
        print(f"{name:<40}{row.get('lastUpdate', 'n/a'):<32}{row['resourceCount']}")
    return 0


def output(arguments: Arguments) -> int:
    """Prints the stack's outputs, or one of them."""
    _, backend, stack = _existing(arguments)
    show = arguments.has("--show-secrets")
    outputs = read_deployment(_outputs_only(backend.load(stack)), show_secrets=show).outputs()
    shown = values.plain(outputs) if show else values.masked(outputs)
    if arguments.positional:
        name = arguments.positional[0]
        if name not in shown:
            raise EngineError(f"current stack does not have output property '{name}'")
        value = shown[name]
        print(json.dumps(value) if arguments.has("--json") or not isinstance(value, str) else value)
    elif arguments.has("--json"):
        print(json.dumps(shown, indent=2))
    else:
        print(f"Current stack outputs ({len(shown)}):")
        for key, value in sorted(shown.items()):
            print(f"    {key:<24} {value if isinstance(value, str) else values.compact(value)}")
    return 0


def _outputs_only(stored: dict[str, Any]) -> dict[str, Any]:
    """The deployment without all but the stack's own resource: no key is derived for secrets of others."""
    own = [item for item in stored.get("resources") or () if item.get("type") == "pulumi:pulumi:Stack"]
    return {"secrets_providers": stored.get("secrets_providers"), "resources": own}


def history(arguments: Arguments) -> int:
    """Prints what was done, the newest first."""
    project, backend, stack = _existing(arguments)
    entries = backend.history(stack)
    if size := arguments.get("--page-size"):
        page = int(arguments.get("--page") or 1)
        entries = entries[(page - 1) * int(size) : page * int(size)]
    show = arguments.has("--show-secrets")
    config = StackConfig(project, stack.name)
    found = [_entry(item, config, show=show) for item in entries]
    if arguments.has("--json"):
        print(json.dumps(found, indent=2))
        return 0
    for item in found:
        changed = ", ".join(
            f"{count} {op}" for op, count in sorted((item.get("resourceChanges") or {}).items())
        )
        print(
            f"Version: {item['version']}  {item['kind']} {item['result']} at {item['startTime']}  {changed}"
        )
    return 0


def _entry(item: dict[str, Any], config: StackConfig, *, show: bool) -> dict[str, Any]:
    found = dict(item)
    for key in ("startTime", "endTime"):
        moment = datetime.fromtimestamp(item[key], UTC)
        found[key] = moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")
    found["config"] = {key: _shown(value, config, show=show) for key, value in item["config"].items()}
    return found


def _shown(value: dict[str, Any], config: StackConfig, *, show: bool) -> dict[str, Any]:
    """A recorded configuration value; secrets decrypted or left out."""
    if not value["secret"]:
        return {"value": value["value"], "secret": False}
    if not show:
        return {"secret": True}
    if value.get("object"):
        return {"value": values.compact(config.opened(json.loads(value["value"]))), "secret": True}
    return {"value": config.crypter().decrypt(value["value"]), "secret": True}


def export(arguments: Arguments) -> int:
    """Prints the state, or writes it to a file."""
    _, backend, stack = _existing(arguments)
    stored = backend.load(stack)
    if arguments.has("--show-secrets"):
        deployment = read_deployment(stored)
        plain = write_deployment(deployment, None) | {"manifest": stored.get("manifest")}
        stored = plain if stored else {}
    text = json.dumps({"version": 3, "deployment": stored}, indent=4)
    if file := arguments.get("--file"):
        Path(file).write_text(text + "\n", encoding="utf-8")
    else:
        print(text)
    return 0


def import_(arguments: Arguments) -> int:
    """Replaces the state by what a file or standard input holds."""
    project, backend, stack = _existing(arguments)
    file = arguments.get("--file")
    try:
        content = json.loads(Path(file).read_text(encoding="utf-8") if file else sys.stdin.read())
        if content["version"] != 3:
            raise EngineError(f"the deployment has version {content['version']}, expected 3")
        stored = content["deployment"] or {}
    except OSError as error:
        raise EngineError(f"{file} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise EngineError(f"what is to be imported is not a deployment: {error}") from error
    config = StackConfig(project, stack.name)
    deployment = read_deployment(stored)
    for item in deployment.resources:
        parts = item.urn.split("::")
        if parts[0] != f"urn:pulumi:{stack.name}" and not arguments.has("--force"):
            raise EngineError(f"resource '{item.urn}' belongs to another stack than {stack.name!r}")
    with backend.lock(stack):
        crypter = config.crypter(salt_of(stored) or salt_of(backend.load(stack)))
        written = write_deployment(deployment, crypter)
        written["secrets_providers"] = {"type": "passphrase", "state": {"salt": crypter.description}}
        backend.save(stack, json.dumps(written))
    print("Import complete.")
    return 0


def rm(arguments: Arguments) -> int:
    """Removes a stack that has no resources, or with --force any."""
    project, backend, stack = _existing(arguments, _name(arguments))
    if not arguments.has("--yes") and (arguments.has("--non-interactive") or not sys.stdin.isatty()):
        raise EngineError("--yes must be passed in to proceed when running in non-interactive mode")
    if not arguments.has("--yes") and input(f"Remove stack {stack.name}? Type its name: ") != stack.name:
        raise EngineError("confirmation declined")
    backend.require_unlocked(stack)
    if (backend.load(stack).get("resources") or []) and not arguments.has("--force"):
        raise EngineError(f"'{stack.name}' still has resources; removal rejected. Use --force to override")
    backend.remove(stack)
    if not arguments.has("--preserve-config"):
        project.settings_file(stack.name).unlink(missing_ok=True)
    if project.selected() == stack.name:
        project.select(None)
    print(f"Stack '{stack.name}' has been removed!")
    return 0


def cancel(arguments: Arguments) -> int:
    """Deletes the locks of a stack, which a process that was killed left."""
    _, backend, stack = _existing(arguments, _name(arguments))
    if not arguments.has("--yes") and (arguments.has("--non-interactive") or not sys.stdin.isatty()):
        raise EngineError("--yes must be passed in to proceed when running in non-interactive mode")
    if (
        not arguments.has("--yes")
        and input(f"Cancel the update of {stack.name}? Type its name: ") != stack.name
    ):
        raise EngineError("confirmation declined")
    backend.cancel(stack)
    print(f"The currently running update for '{stack.name}' has been canceled!")
    return 0
