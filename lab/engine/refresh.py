"""Brings the state in line with what is really there."""

from __future__ import annotations

from dataclasses import replace

from lab.engine import changes, values
from lab.engine import urn as urns
from lab.engine.errors import EngineError
from lab.engine.events import Step
from lab.engine.operation import Operation
from lab.engine.providers import Change, Diff, ProviderError
from lab.engine.reads import STACK_REFERENCE
from lab.engine.state import Resource, now

_INVERSE = {"add": "delete", "delete": "add"}


def refresh_all(operation: Operation) -> bool:
    """Reads every resource of the state; returns whether all could be read.

    What is gone leaves the state, with the dependencies on it; what has changed is recorded as it is.

    Raises:
        CancelledError: the operation was interrupted.
    """
    resources = operation.snapshot.remaining()
    gone: set[str] = set()
    well = True
    for old in resources:
        operation.check_interrupted()
        kept = _without(old, gone)
        if not old.custom or urns.is_provider_type(old.type):
            step = Step("same", old, kept)
            operation.events.before(replace(step, op="refresh", logical=False))
            operation.snapshot.finish(dealt_with=old, now=kept, write=kept is not old)
            operation.events.after(step)
            continue
        try:
            step = _refreshed(operation, old, kept, resources)
        except (ProviderError, EngineError) as error:
            well = False
            operation.events.diagnostic("error", f"refreshing failed: {error}", old.urn)
            operation.snapshot.finish(dealt_with=old, now=kept, write=kept is not old)
            continue
        operation.events.before(replace(step, op="refresh", logical=False))
        if step.new is None and not old.delete:
            gone.add(old.urn)
        operation.snapshot.finish(dealt_with=old, now=step.new, write=step.new is not old)
        operation.events.after(step)
    return well


def _refreshed(operation: Operation, old: Resource, kept: Resource, known: list[Resource]) -> Step:
    """The step that a read shows to be due; `kept` is the old state without what is gone."""
    if old.type == STACK_REFERENCE:
        outputs = operation.read_stack(old.id)
        secret = sorted(key for key, item in outputs.items() if values.contains(item, values.Secret))
        read = {"name": old.id, "outputs": outputs, "secretOutputNames": secret}
        return _compared(
            old, replace(kept, outputs=read), changes.compare(old.outputs, read, Diff("unknown"))
        )
    provider = operation.instance(old.provider, known)
    found = provider.read(old.urn, old.id, old.inputs, old.outputs)
    if not found.id:
        return Step("delete", old, None)
    outputs = values.mark_keys(found.outputs, old.additional_secret_outputs)
    new = replace(kept, id=found.id, inputs=found.inputs, outputs=outputs, init_errors=())
    if old.external:
        return _compared(old, new, changes.compare(old.outputs, outputs, Diff("unknown")))
    # What would bring it back to what was declared last is what has drifted, seen from the other side.
    diff = provider.diff(old.urn, found.id, (found.inputs, outputs), old.inputs, old.ignore_changes)
    if diff.changes == "unknown":
        diff = changes.compare(found.inputs, old.inputs, diff)
    inverse = {
        path: Change(_INVERSE.get(kind := item.kind.removesuffix("-replace"), kind), item.input_diff)
        for path, item in diff.detailed.items()
    }
    return _compared(old, new, replace(diff, detailed=inverse))


def _compared(old: Resource, new: Resource, diff: Diff) -> Step:
    if changes.same_record(old, new):
        return Step("same", old, old)
    if diff.changes == "none":
        return Step("same", old, new)
    return Step("update", old, replace(new, modified=now()), (), diff.keys, diff.detailed)


def _without(resource: Resource, gone: set[str]) -> Resource:
    """The resource without dependencies on what is gone."""
    if not gone & resource.all_dependencies:
        return resource
    return replace(
        resource,
        dependencies=tuple(urn for urn in resource.dependencies if urn not in gone),
        property_dependencies={
            key: tuple(urn for urn in found if urn not in gone)
            for key, found in resource.property_dependencies.items()
        },
        parent="" if resource.parent in gone else resource.parent,
        deleted_with="" if resource.deleted_with in gone else resource.deleted_with,
    )
