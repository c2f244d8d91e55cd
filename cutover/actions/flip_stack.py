"""A flip: change flip keys of one small stack and run `up` on it, after a close look at what that would do.

The order is: refuse where the state has pending operations or the world has drifted; preview with the new
keys; refuse anything but the expected operations on the named resources; write the keys; up; read back what
the stack says it flipped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cutover.actions.base import NO_CHANGE, Action, Evidence, Observation
from cutover.context import Context
from cutover.differences import at, show
from cutover.errors import StepError
from cutover.ports import Change, Difference, ObjectKind
from stacks.settings import Flips

CREATES = ("create", "import", "update")
UPDATES = ("update",)
DELETES = ("delete", "update")
_PATCHED = {
    "ConfigMapPatch": ObjectKind("v1", "ConfigMap", "configmaps"),
    "ServicePatch": ObjectKind("v1", "Service", "services"),
    "DeploymentPatch": ObjectKind("apps/v1", "Deployment", "deployments"),
    "StatefulSetPatch": ObjectKind("apps/v1", "StatefulSet", "statefulsets"),
}
_BOOKKEEPING = ("pulumi:pulumi:Stack", "pulumi:pulumi:StackReference", "pulumi:providers:", "landfall:")
"""Types that exist in Pulumi's state alone; making one changes nothing in the world."""


@dataclass(frozen=True)
class Remembered:
    """A value that a step remembered: `item` of the fact."""

    fact: str
    item: str


@dataclass(frozen=True, kw_only=True)
class Flip:
    """One key, or one item of a key that holds a mapping, with its value there and back."""

    key: str
    item: str | None = None
    forward: str | int | Remembered
    back: str | int | Remembered

    def __str__(self) -> str:
        place = f"{self.key}[{self.item}]" if self.item else self.key
        return f"{place} to {_show(self.forward)}"


@dataclass(frozen=True, kw_only=True)
class Expected:
    """A resource that a flip may touch, and how."""

    type: str
    """The last part of its type, such as `DnsRecord`."""
    name: str
    operations: tuple[str, ...] = CREATES
    back: tuple[str, ...] = CREATES
    """The operations that may take it back; one that was cut short may first be declared on the way back."""


@dataclass(frozen=True, kw_only=True)
class FlipStack(Action):
    """Flips keys of one small stack, and nothing else."""

    stack: str
    """`edge`, `source` or `target`."""
    flips: tuple[Flip, ...]
    expected: tuple[Expected, ...]

    @property
    def needs(self) -> tuple[str, ...]:
        """The facts that its values come from."""
        values = [value for flip in self.flips for value in (flip.forward, flip.back)]
        return tuple(dict.fromkeys(value.fact for value in values if isinstance(value, Remembered)))

    def describe(self) -> str:
        """See Action."""
        return f"flip the stack {self.stack}: {'; '.join(map(str, self.flips))}"

    def preview(self, context: Context) -> tuple[str, ...]:
        """See Action."""
        if unknown := [name for name in self.needs if name not in context.facts.values]:
            return (f"known once {', '.join(unknown)} are remembered",)
        stack = context.stack(self.stack)
        wanted = with_values(context.stacks.flips(stack), self._values(context, back=False))
        changes = context.stacks.preview(stack, wanted)
        refused = unexpected(changes, self.expected, back=False)
        lines = [line for change in changes for line in review(context, self.stack, change)]
        return (*lines, *(f"REFUSED: {text}" for text in refused)) or NO_CHANGE

    def observe(self, context: Context) -> Observation:
        """The flip file, Pulumi's state and the world, in that order."""
        stack = context.stack(self.stack)
        values = self._values(context, back=False)
        current = context.stacks.flips(stack)
        if with_values(current, values) != current:
            return Observation("not done", f"{stack}: its file does not hold the new keys yet")
        if pending := context.stacks.pending(stack):
            return Observation("unknown", f"{stack} has pending operations: {'; '.join(pending)}")
        if changes := context.stacks.preview(stack, current):
            return Observation("not done", f"{stack}: still to do: {_join(changes)}")
        if drift := context.stacks.drift(stack):
            return Observation("not done", f"{stack}: the world differs from the state: {_join(drift)}")
        return Observation("done", f"{stack}: file, state and world agree")

    def apply(self, context: Context) -> Evidence:
        """See Action."""
        return flip(context, self.stack, self._values(context, back=False), self.expected, back=False)

    def undo(self, context: Context) -> Evidence:
        """See Action."""
        return flip(context, self.stack, self._values(context, back=True), self.expected, back=True)

    def repair(self, context: Context) -> None:
        """Takes away what a killed `up` left in the state, and reads the world again."""
        for cleared in context.stacks.repair(context.stack(self.stack)):
            context.say(f"{context.stack(self.stack)}: cleared {cleared}")

    def _values(self, context: Context, *, back: bool) -> list[tuple[Flip, str | int]]:
        return [(flip, _value(context, flip.back if back else flip.forward)) for flip in self.flips]


def flip(
    context: Context,
    part: str,
    values: Sequence[tuple[Flip, str | int]],
    expected: Iterable[Expected],
    *,
    back: bool,
) -> Evidence:
    """Carries out a flip. Raises StepError before anything is changed, unless `up` itself fails."""
    stack, stacks = context.stack(part), context.stacks
    if pending := stacks.pending(stack):
        raise StepError(
            f"{stack} has pending operations of an interrupted run ({'; '.join(pending)}); nothing was "
            f"changed. Make sure that nobody works on it, then run `pulumi refresh --stack {stack}`"
        )
    if drift := stacks.drift(stack):
        raise StepError(
            f"the world differs from what {stack} declared: {_join(drift)}; nothing was changed. Find out "
            f"who changed it; then `pulumi refresh --stack {stack}` accepts it, `pulumi up` puts it back"
        )
    before = stacks.flips(stack)
    wanted = with_values(before, values)
    changes = stacks.preview(stack, wanted)
    if refused := unexpected(changes, expected, back=back):
        raise StepError(
            f"the preview of {stack} holds what this step does not expect: {'; '.join(refused)}; "
            "nothing was changed"
        )
    if wanted == before and not changes and not _not_flipped(stacks.outputs(stack).get("flipped"), values):
        context.say(f"{stack}: nothing to do")
        return {"stack": stack, "changes": []}
    context.say(f"{stack}: {_join(changes) if changes else 'the state alone'}")
    stacks.write_flips(stack, wanted)
    done = stacks.up(stack, context.environment.cutover.timeouts.flip)
    flipped = done.outputs.get("flipped")
    if missing := _not_flipped(flipped, values):
        raise StepError(
            f"{stack} was brought up, but its output `flipped` does not say {missing}: it is {flipped!r}"
        )
    return {"stack": stack, "changes": [str(change) for change in done.changes], "flipped": flipped}


def review(context: Context, part: str, change: Change) -> Iterator[str]:
    """A change for a reviewer: the resource, and each property before and after.

    A patch that is declared for the first time has no value before it in Pulumi's state: it is read from the
    object that it changes. Raises StepError.
    """
    if not change.differences or change.type.startswith(_BOOKKEEPING):
        yield str(change)
        return
    yield f"{change.operation} {change.type.rpartition(':')[2]} {change.name}"
    kind = _PATCHED.get(change.type.rpartition(":")[2])
    live = None
    if kind is not None and change.operation == "create":
        namespace, _, name = change.name.partition("/")
        live = context.cluster(part).get(kind.api_version, kind.plural, namespace, name)
    for item in change.differences:
        if live is None:
            yield f"    {item}"
        elif not item.path.startswith(("metadata", "apiVersion", "kind")):
            before = show(at(live, item.path))
            same = " (as it is)" if before == item.after else ""
            yield f"    {Difference(item.path, before, item.after)}{same}"


def unexpected(changes: Iterable[Change], expected: Iterable[Expected], *, back: bool) -> list[str]:
    """The changes that a flip must not make, each with the reason."""
    allowed = {(item.type, item.name): item.back if back else item.operations for item in expected}
    refused = []
    for change in changes:
        if change.type.startswith(_BOOKKEEPING) and change.operation in (
            "create",
            "update",
            "delete",
            "read",
            "discard",
        ):
            continue
        operations = allowed.get((change.type.rpartition(":")[2], change.name))
        if operations is None:
            refused.append(f"{change}: another resource")
        elif change.operation not in operations:
            refused.append(f"{change}: only {' or '.join(operations)} is expected")
    return refused


def with_values(flips: Flips, values: Sequence[tuple[Flip, str | int]]) -> Flips:
    """The flip keys with new values. Raises StepError for a key or value that the stack does not take."""
    data = flips.model_dump(mode="json")
    for flip_, value in values:
        if flip_.item is None:
            data[flip_.key] = value
        else:
            data[flip_.key] = {**data[flip_.key], flip_.item: value}
    try:
        return type(flips).model_validate(data)
    except ValueError as error:
        raise StepError(f"{type(flips).__name__} does not take {data}: {error}") from error


def _not_flipped(flipped: Any, values: Sequence[tuple[Flip, str | int]]) -> str:
    """The first value that a stack's output `flipped` does not show; empty where it shows all."""
    for flip_, value in values:
        found = flipped.get(flip_.key) if isinstance(flipped, Mapping) else None
        if flip_.item is not None:
            found = found.get(flip_.item) if isinstance(found, Mapping) else None
        if found != value and not (value == "absent" and found is None):
            place = f"{flip_.key}[{flip_.item}]" if flip_.item else flip_.key
            return f"{place} = {value}"
    return ""


def _value(context: Context, value: str | int | Remembered) -> str | int:
    if not isinstance(value, Remembered):
        return value
    found: str | int | None = context.facts.recall(value.fact).get(value.item)
    if found is None:
        raise StepError(f"the fact {value.fact!r} holds nothing for {value.item}")
    return found


def _show(value: str | int | Remembered) -> str:
    return f"the remembered {value.fact}" if isinstance(value, Remembered) else str(value)


def _join(changes: Iterable[Change]) -> str:
    return "; ".join(map(str, changes))
