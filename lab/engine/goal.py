"""What a program wants of a resource, as it registers it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from lab.engine import urn as urns
from lab.engine import wire
from lab.engine.errors import RefusedError
from lab.engine.state import Resource
from lab.engine.values import Properties


@dataclass(frozen=True)
class Goal:
    """A resource as the program declares it. `delete_before_replace` is None where it does not say."""

    type: str
    name: str
    custom: bool
    inputs: Properties
    parent: str = ""
    provider: str = ""
    version: str = ""
    protect: bool = False
    retain_on_delete: bool = False
    delete_before_replace: bool | None = None
    import_id: str = ""
    deleted_with: str = ""
    dependencies: tuple[str, ...] = ()
    property_dependencies: dict[str, tuple[str, ...]] = field(default_factory=dict)
    ignore_changes: tuple[str, ...] = ()
    replace_on_changes: tuple[str, ...] = ()
    additional_secret_outputs: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    custom_timeouts: dict[str, float] = field(default_factory=dict)

    def needs(self) -> set[str]:
        """The URNs of all that must be there before this."""
        found = {*self.dependencies, *(urn for group in self.property_dependencies.values() for urn in group)}
        found.update(urn for urn in (self.parent, self.deleted_with) if urn)
        if self.provider:
            found.add(self.provider.rpartition("::")[0])
        return found


def desired(urn: str, goal: Goal, inputs: Properties, old: Resource | None) -> Resource:
    """The resource as the goal wants it, without id and outputs; `old` gives what the goal leaves open."""
    return Resource(
        urn=urn,
        type=goal.type,
        custom=goal.custom,
        inputs=inputs,
        parent=goal.parent,
        provider=goal.provider,
        protect=goal.protect,
        retain_on_delete=goal.retain_on_delete,
        dependencies=goal.dependencies,
        property_dependencies=goal.property_dependencies,
        additional_secret_outputs=goal.additional_secret_outputs,
        aliases=goal.aliases,
        ignore_changes=goal.ignore_changes,
        replace_on_changes=goal.replace_on_changes,
        custom_timeouts=goal.custom_timeouts,
        import_id=goal.import_id,
        deleted_with=goal.deleted_with,
        created=old.created if old else "",
        modified=old.modified if old else "",
        other=dict(old.other) if old else {},
    )


# Fields of a registration that change what happens to the resource and that this engine does not know.
_REFUSED = {
    "remote": "a remote component (Construct)",
    "state_migrations": "a state migration",
    "packageRef": "a parameterized package",
    "replace_with": "the option replace_with",
    "replacement_trigger": "the option replacement_trigger",
    "envVarMappings": "the option env_var_mappings",
}


def from_request(request: Any, stack: str, project: str) -> Goal:
    """The goal that a RegisterResourceRequest states.

    Raises:
        RefusedError: it asks for what this engine does not do.
    """
    present = {descriptor.name for descriptor, _ in request.ListFields()}
    for name, what in _REFUSED.items():
        if name in present:
            raise RefusedError(f"{what} (of {request.type} {request.name!r})")
    if any(len(value) for _, value in request.hooks.ListFields()):
        raise RefusedError(f"a resource hook (of {request.type} {request.name!r})")
    timeouts = {
        key: seconds(text)
        for key in ("create", "update", "delete")
        if (text := getattr(request.customTimeouts, key))
    }
    own = urns.make(stack, project, request.parent, request.type, request.name)
    aliases = [*request.aliasURNs, *(_alias(item, request, stack, project) for item in request.aliases)]
    return Goal(
        type=request.type,
        name=request.name,
        custom=request.custom,
        inputs=wire.decode(request.object),
        parent=request.parent,
        provider=request.provider,
        version=request.version,
        protect=request.protect,
        retain_on_delete=request.retainOnDelete,
        delete_before_replace=request.deleteBeforeReplace if request.deleteBeforeReplaceDefined else None,
        import_id=request.importId,
        deleted_with=request.deletedWith,
        dependencies=tuple(sorted(request.dependencies)),
        property_dependencies={
            key: tuple(sorted(item.urns)) for key, item in request.propertyDependencies.items()
        },
        ignore_changes=tuple(request.ignoreChanges),
        replace_on_changes=tuple(request.replaceOnChanges),
        additional_secret_outputs=tuple(request.additionalSecretOutputs),
        aliases=tuple(alias for alias in dict.fromkeys(aliases) if alias != own),
        custom_timeouts=timeouts,
    )


def _alias(alias: Any, request: Any, stack: str, project: str) -> str:
    """The URN that an alias stands for; what it leaves open is as in the resource itself."""
    if alias.WhichOneof("alias") == "urn":
        return str(alias.urn)
    spec = alias.spec
    parent = "" if spec.noParent else (spec.parentUrn or request.parent)
    return urns.make(
        spec.stack or stack,
        spec.project or project,
        parent,
        spec.type or request.type,
        spec.name or request.name,
    )


_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def seconds(text: str) -> float:
    """The seconds of a duration such as `1h30m` or `5m`.

    Raises:
        ValueError: it is none.
    """
    total, number = 0.0, ""
    rest = text
    while rest:
        if rest[0].isdigit() or rest[0] == ".":
            number, rest = number + rest[0], rest[1:]
            continue
        unit = "ms" if rest.startswith("ms") else rest[0]
        if unit not in _UNITS or not number:
            raise ValueError(f"{text!r} is not a duration such as 30s, 5m or 1h30m")
        total, number, rest = total + float(number) * _UNITS[unit], "", rest[len(unit) :]
    if number:
        raise ValueError(f"{text!r} is not a duration: a unit is missing")
    return total
