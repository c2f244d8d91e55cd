"""Deletes what is no longer wanted, dependents first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lab.engine.errors import EngineError
from lab.engine.events import Step
from lab.engine.operation import Operation, delete
from lab.engine.providers import ProviderError
from lab.engine.state import Resource


def delete_all(operation: Operation, doomed: Sequence[Resource], known: Iterable[Resource]) -> bool:
    """Deletes resources, given in an order of creation, in the reverse of it; returns whether all went well.

    After a failure what the undeleted resource depends on is left alone, all else is deleted. Protected
    resources prevent every deletion.

    Args:
        operation: what the deletions are part of.
        doomed: what to delete.
        known: all that there is, for the providers among it.

    Raises:
        CancelledError: the operation was interrupted.
    """
    protected = [item for item in doomed if item.protect and not item.delete]
    for item in protected:
        operation.events.diagnostic(
            "error",
            f'resource "{item.urn}" cannot be deleted\nbecause it is protected. To unprotect the resource, '
            "remove the `protect` flag from the resource in your Pulumi program and run `pulumi up`",
            item.urn,
        )
    if protected:
        return False
    everything = list(known)
    going = {item.urn for item in doomed if not item.delete}
    needed: set[str] = set()
    for item in reversed(doomed):
        operation.check_interrupted()
        if item.urn in needed:
            needed |= item.all_dependencies
            continue
        op = "delete-replaced" if item.delete else ("discard" if item.external else "delete")
        try:
            delete(
                operation,
                Step(op, item, None, logical=not item.delete),
                everything,
                with_other=item.deleted_with in going,
            )
        except (ProviderError, EngineError) as error:
            operation.events.diagnostic("error", f"deleting failed: {error}", item.urn)
            needed |= item.all_dependencies
    return not needed
