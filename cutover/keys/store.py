"""A Redis that runs in a cluster, reached by redis-cli in its own pod: no address of it has to be opened."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from cutover.clock import Clock
from cutover.errors import StepError
from cutover.keys import commands
from cutover.ports import Cluster, KeyChanges, KeyValue, ObjectKind, PodCommand

_Item = TypeVar("_Item")
_PODS = ObjectKind("v1", "Pod", "pods")
_BATCH = 200
_ANSWER_SECONDS = 30.0
_FOLLOWING = b"Logging commands from master"
_ACKNOWLEDGED = b"REPLCONF ACK"
_ACKNOWLEDGE_SECONDS = 3.0


class RedisPod:
    """Implements ports.KeyStore for the Redis behind a Service."""

    def __init__(self, cluster: Cluster, host: str, port: int, clock: Clock) -> None:
        """`host` is the Service's name, as pods of the cluster use it: `name.namespace`."""
        self._cluster = cluster
        self._port = port
        self._clock = clock
        self._service, self._namespace = host.split(".")[:2] if "." in host else (host, "default")
        self._asking: PodCommand | None = None
        self._watching: PodCommand | None = None
        self._left = b""
        """What was read of the answers and is no whole line yet."""
        self._seen = b""
        """The same, of what is watched."""

    def names(self) -> Sequence[bytes]:
        """See ports.KeyStore."""
        used = commands.used_databases(self._ask(commands.databases()))
        if others := [name for name in used if name != "db0"]:
            raise StepError(
                f"Redis on {self._place} holds keys in {', '.join(others)}: only db0 can be copied"
            )
        found: dict[bytes, None] = {}
        cursor = "0"
        while True:
            cursor, *keys = self._ask(commands.scan(cursor))
            found.update((bytes.fromhex(key), None) for key in keys)
            if cursor == "0":
                return list(found)

    def read(self, keys: Iterable[bytes]) -> Sequence[KeyValue]:
        """See ports.KeyStore."""
        return [
            value
            for batch in _batches(list(keys))
            for value in commands.values(self._ask(commands.read(batch)))
        ]

    def write(self, values: Iterable[KeyValue], *, later_wins: bool) -> int:
        """See ports.KeyStore."""
        batches = _batches(list(values))
        return sum(int(self._ask(commands.write(batch, later_wins=later_wins))[0]) for batch in batches)

    def delete(self, keys: Iterable[bytes]) -> None:
        """See ports.KeyStore."""
        for batch in _batches(list(keys)):
            self._ask(commands.delete(batch))

    def set_flag(self, key: str) -> None:
        """Makes a key that says something by being there. Raises StepError."""
        self._ask(commands.set_flag(key.encode()))

    def clear_flag(self, key: str) -> None:
        """Takes such a key away; one that is absent is fine. Raises StepError."""
        self._ask(commands.delete([key.encode()]))

    def items(self, patterns: Iterable[str]) -> int:
        """How many items the lists hold whose keys match one of the patterns. Raises StepError."""
        return int(self._ask(commands.items(pattern.encode() for pattern in patterns))[0])

    def watch(self, seconds: float) -> None:
        """See ports.KeyStore."""
        # What it says of how far it is goes to standard error.
        self._watching = self._start("--replica 2>&1")
        if not self._saw(_FOLLOWING, seconds):
            raise StepError(f"Redis on {self._place} did not let us follow its changes within {seconds:g} s")
        # Nothing is missed from here on; but the server holds it back until the first acknowledgement.
        self._saw(_ACKNOWLEDGED, _ACKNOWLEDGE_SECONDS)
        self._seen = self._seen.partition(_FOLLOWING)[2].partition(b"\n")[2]

    def _saw(self, text: bytes, seconds: float) -> bool:
        """Whether a text comes within so many seconds."""
        until = self._clock.monotonic() + seconds
        while text not in self._seen:
            if self._watching is None or self._clock.monotonic() > until:
                return False
            self._seen += self._watching.read(0.5)
        return True

    def changes(self, seconds: float) -> KeyChanges:
        """See ports.KeyStore."""
        if self._watching is None:
            raise StepError(f"the changes of Redis on {self._place} are not watched")
        self._seen += self._watching.read(seconds)
        *lines, self._seen = self._seen.split(b"\n")
        changed: dict[bytes, None] = {}
        deleted: dict[bytes, None] = {}
        for line in lines:
            done = commands.written(line)
            for key in done.changed:
                changed[key] = None
                deleted.pop(key, None)
            for key in done.deleted:
                deleted[key] = None
                changed.pop(key, None)
        return KeyChanges(tuple(changed), tuple(deleted))

    def close(self) -> None:
        """See ports.KeyStore."""
        for command in (self._asking, self._watching):
            if command is not None:
                command.close()
        self._asking = self._watching = None

    def _ask(self, line: bytes) -> Sequence[str]:
        """Sends a line and waits for the one that answers it."""
        if self._asking is None:
            self._asking = self._start("")
        self._asking.write(line)
        until = self._clock.monotonic() + _ANSWER_SECONDS
        while b"\n" not in self._left:
            if self._clock.monotonic() > until:
                raise StepError(f"Redis on {self._place} did not answer within {_ANSWER_SECONDS:g} s")
            self._left += self._asking.read(0.5)
        found, _, self._left = self._left.partition(b"\n")
        return commands.answer(found, self._place)

    def _start(self, options: str) -> PodCommand:
        pod = self._pod()
        container = pod["spec"]["containers"][0]["name"]
        command = ["sh", "-c", f"exec redis-cli -p {self._port} {options}"]
        return self._cluster.execute(self._namespace, pod["metadata"]["name"], container, command)

    def _pod(self) -> dict[str, Any]:
        """A ready pod that the Service sends to."""
        service = self._cluster.get("v1", "services", self._namespace, self._service)
        selector = ((service or {}).get("spec") or {}).get("selector")
        if not selector:
            raise StepError(
                f"there is no Service {self._namespace}/{self._service} on {self._cluster.context}"
            )
        for pod in self._cluster.list(_PODS, self._namespace):
            labels = pod["metadata"].get("labels", {})
            conditions = pod.get("status", {}).get("conditions") or ()
            ready = any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
            if ready and "deletionTimestamp" not in pod["metadata"] and selector.items() <= labels.items():
                return dict(pod)
        raise StepError(f"no pod of {self._place} is ready")

    @property
    def _place(self) -> str:
        return f"{self._cluster.context} ({self._service}.{self._namespace})"


def _batches(items: Sequence[_Item]) -> list[Sequence[_Item]]:
    return [items[at : at + _BATCH] for at in range(0, len(items), _BATCH)]
