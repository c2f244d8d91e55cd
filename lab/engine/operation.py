"""What the parts of one operation share."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from lab.engine import urn as urns
from lab.engine.errors import EngineError
from lab.engine.events import Events, Step
from lab.engine.policies import Policies
from lab.engine.providers import Provider, ProviderError
from lab.engine.registry import Registry
from lab.engine.snapshot import Snapshot
from lab.engine.state import PendingOperation, Resource
from lab.engine.values import Properties


class CancelledError(Exception):
    """The operation was interrupted: no further step begins."""


@dataclass(frozen=True)
class Operation:
    """An operation on a stack.

    `provider_config` gives what the stack's configuration says of a package, `read_stack` the outputs of
    another stack.
    """

    project: str
    stack: str
    preview: bool
    snapshot: Snapshot
    registry: Registry
    events: Events
    interrupted: threading.Event
    provider_config: Callable[[str], Properties]
    read_stack: Callable[[str], Properties]
    policies: Policies | None = None

    def check_interrupted(self) -> None:
        """To be called before each step.

        Raises:
            CancelledError: the operation was interrupted, or a mandatory policy is violated.
        """
        if self.interrupted.is_set() or (self.policies is not None and self.policies.stopping):
            raise CancelledError

    def judge(self, resource: Resource, known: Callable[[], Iterable[Resource]]) -> None:
        """Has the policies judge what a resource is to become; `known` gives all resources.

        Raises:
            PolicyError: it must not become so.
        """
        if self.policies is not None and self.policies.active:
            self.policies.judge(resource, known())

    def begin(self, kind: str, resource: Resource) -> PendingOperation | None:
        """Announces an effect in the state; None in a preview, which has none."""
        return None if self.preview else self.snapshot.begin(kind, resource)

    def instance(self, reference: str, known: Iterable[Resource]) -> Provider:
        """The provider of a reference; one that is only among the `known` resources is opened from there.

        Raises:
            EngineError: it is nowhere.
        """

        def stored(wanted: str) -> Properties | None:
            found = (item.inputs for item in known if wanted == f"{item.urn}::{item.id}")
            return next(found, None)

        return self.registry.find(reference, stored)


def delete(operation: Operation, step: Step, known: Iterable[Resource], *, with_other: bool = False) -> None:
    """Deletes a resource of the state; `with_other` where that with which it goes is deleted too.

    Raises:
        ProviderError: the provider could not; the state still has the resource.
        EngineError: there is no provider for it; likewise.
    """
    resource = step.resource
    operation.events.before(step)
    announced = None
    touches = (
        resource.custom
        and not urns.is_provider_type(resource.type)
        and not resource.external
        and not resource.retain_on_delete
        and not with_other
    )
    if touches and not operation.preview:
        announced = operation.begin("deleting", resource)
        try:
            provider = operation.instance(resource.provider, known)
            provider.delete(
                resource.urn,
                resource.id,
                resource.inputs,
                resource.outputs,
                resource.custom_timeouts.get("delete", 0.0),
            )
        except (ProviderError, EngineError):
            operation.snapshot.finish(announced)
            operation.events.failed(step)
            raise
    operation.snapshot.finish(announced, dealt_with=resource)
    operation.events.after(step)
