"""Whether Velero works on both sides, and both look into one bucket."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cutover.actions.base import Condition, Evidence
from cutover.context import Context
from cutover.errors import StepError
from cutover.moving.velero import (
    API,
    LEAST_VERSION,
    LOCATIONS,
    STATUS_REQUESTS,
    is_new_enough,
    status_request,
)
from cutover.ports import Cluster

_NEEDED = (("backups", "source"), ("restores", "target"))


@dataclass(frozen=True)
class VeleroReady(Condition):
    """Velero's storage is available on both sides, and is the same bucket."""

    namespace: str
    """Velero's own."""
    seconds: float
    """How long the storage may take to become available."""

    def describe(self) -> str:
        """See Condition."""
        return "Velero works on both sides and keeps backups in one bucket"

    def hold(self, context: Context) -> Evidence:
        """See Condition."""
        for resource, side in _NEEDED:
            cluster = context.cluster(side)
            if not cluster.allowed("create", "velero.io", resource, self.namespace):
                raise StepError(
                    f"cluster {cluster.context} does not let us create {resource} in {self.namespace}"
                )
        versions = {side: self._version(context, context.cluster(side)) for side in ("source", "target")}
        buckets = {}
        for side in ("source", "target"):
            storage = self._available(context, context.cluster(side))
            buckets[side] = f"{storage.get('bucket')}/{storage.get('prefix', '')}".rstrip("/")
        if buckets["source"] != buckets["target"]:
            raise StepError(
                f"Velero on the source keeps backups in {buckets['source']} and on the target in "
                f"{buckets['target']}: the target would never find them. Both need one bucket and prefix"
            )
        return {"bucket": buckets["source"], "versions": versions}

    def _version(self, context: Context, cluster: Cluster) -> str:
        """The version of the server, which shows that one is at work. Raises StepError for one too old."""
        name = f"landfall-{context.clock.now():%Y%m%d%H%M%S%f}"
        cluster.create(STATUS_REQUESTS.plural, status_request(name, self.namespace))
        version = ""

        def look() -> tuple[bool, str]:
            nonlocal version
            found = cluster.get(API, STATUS_REQUESTS.plural, self.namespace, name) or {}
            version = found.get("status", {}).get("serverVersion", "")
            return bool(version), version or "no server answers"

        try:
            context.wait_for(f"Velero's server on {cluster.context}", self.seconds, look)
        finally:
            cluster.delete(API, STATUS_REQUESTS.plural, self.namespace, name)
        if not is_new_enough(version):
            least = ".".join(map(str, LEAST_VERSION))
            raise StepError(
                f"Velero on {cluster.context} is {version}; {least} or newer is needed, which takes objects "
                "by their names"
            )
        return version

    def _available(self, context: Context, cluster: Cluster) -> dict[str, Any]:
        """The storage of the default location, once it is available."""
        found: dict[str, Any] = {}

        def look() -> tuple[bool, str]:
            locations = cluster.list(LOCATIONS, self.namespace)
            chosen = [item for item in locations if item["spec"].get("default") or len(locations) == 1]
            if not chosen:
                raise StepError(
                    f"Velero on {cluster.context} has no default BackupStorageLocation in {self.namespace} "
                    f"(it has {len(locations)}): install it with the bucket of the stack {context.stack('')}"
                )
            found.update(chosen[0]["spec"].get("objectStorage", {}))
            status = chosen[0].get("status", {})
            phase = status.get("phase") or "not looked at yet"
            return phase == "Available", f"{phase} {status.get('message', '')}".strip()

        context.wait_for(f"Velero's storage on {cluster.context}", self.seconds, look)
        return found
