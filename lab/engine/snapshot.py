"""Keeps the state while an operation changes it, and writes it at each step.

What is written is always true: an effect is announced as a pending operation before it begins, and its
outcome replaces the announcement. The order is that of the official engine: what this operation has dealt
with, then what was there before and is not dealt with yet.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from weakref import WeakKeyDictionary

from lab.engine.secrets import Crypter
from lab.engine.state import Deployment, PendingOperation, Resource, manifest, write_resource


class Snapshot:
    """The state of one operation. Thread-safe."""

    def __init__(self, base: Deployment, crypter: Crypter, store: Callable[[str], None] | None) -> None:
        """Starts from `base`; `store` is given the deployment as JSON text at each step, if there is one."""
        self._crypter = crypter
        self._store = store
        self._lock = threading.Lock()
        self._before = list(base.resources)
        self._after: list[Resource] = []
        # Pending creations of an earlier operation are cleared only by a refresh: somebody has to look.
        self._kept = [item for item in base.pending if item.kind == "creating"]
        self._pending: list[PendingOperation] = []
        self._renamed: dict[str, str] = {}
        self._texts: WeakKeyDictionary[Resource, str] = WeakKeyDictionary()

    def remaining(self) -> list[Resource]:
        """What was there before and is not dealt with."""
        with self._lock:
            return list(self._before)

    def deployment(self) -> Deployment:
        """The state as it is."""
        with self._lock:
            return self._deployment()

    def _deployment(self) -> Deployment:
        return Deployment(
            resources=(*self._after, *(self._with_new_names(item) for item in self._before)),
            pending=(*self._kept, *self._pending),
            salt=self._crypter.description,
        )

    def drop_pending_creations(self) -> None:
        """Forgets creations that an earlier operation left pending."""
        with self._lock:
            self._kept.clear()

    def begin(self, kind: str, resource: Resource) -> PendingOperation:
        """Announces an effect."""
        operation = PendingOperation(resource, kind)
        with self._lock:
            self._pending.append(operation)
            self._write()
        return operation

    def finish(
        self,
        operation: PendingOperation | None = None,
        *,
        dealt_with: Resource | None = None,
        now: Resource | None = None,
        replaced: Resource | None = None,
        write: bool = True,
    ) -> None:
        """Records an outcome.

        Args:
            operation: what `begin` announced.
            dealt_with: what was there before and is no more, or is `now`.
            now: what is there from now on.
            replaced: what was there before and waits for deletion.
            write: whether the state has changed in a way that must be written.
        """
        with self._lock:
            if operation is not None:
                self._pending.remove(operation)
            if dealt_with is not None:
                self._before.remove(dealt_with)
                if now is not None and now.urn != dealt_with.urn:
                    self._renamed[dealt_with.urn] = now.urn
            if replaced is not None:
                self._before[self._before.index(replaced)] = replace(replaced, delete=True)
            if now is not None:
                self._after.append(now)
            if write:
                self._write()

    def amend(self, old: Resource, new: Resource) -> None:
        """Replaces what an earlier `finish` recorded as there."""
        with self._lock:
            self._after[self._after.index(old)] = new
            self._write()

    def write(self) -> None:
        """Writes the state."""
        with self._lock:
            self._write()

    def _with_new_names(self, resource: Resource) -> Resource:
        if not resource.all_dependencies & self._renamed.keys():
            return resource

        def name(urn: str) -> str:
            return self._renamed.get(urn, urn)

        owner, _, identifier = resource.provider.rpartition("::")
        return replace(
            resource,
            parent=name(resource.parent),
            provider=f"{name(owner)}::{identifier}" if owner else "",
            deleted_with=name(resource.deleted_with),
            dependencies=tuple(map(name, resource.dependencies)),
            property_dependencies={
                key: tuple(map(name, urns)) for key, urns in resource.property_dependencies.items()
            },
        )

    def _text(self, resource: Resource) -> str:
        text = self._texts.get(resource)
        if text is None:
            text = json.dumps(write_resource(resource, self._crypter), ensure_ascii=False)
            self._texts[resource] = text
        return text

    def _write(self) -> None:
        if self._store is None:
            return
        found = self._deployment()
        provider = {"type": "passphrase", "state": {"salt": found.salt}}
        pending = ",".join(
            f'{{"resource":{self._text(item.resource)},"type":{json.dumps(item.kind)}}}'
            for item in found.pending
        )
        self._store(
            f'{{"manifest":{json.dumps(manifest())},"secrets_providers":{json.dumps(provider)},'
            f'"resources":[{",".join(map(self._text, found.resources))}],'
            + (f'"pending_operations":[{pending}],' if pending else "")
            + '"metadata":{}}'
        )
