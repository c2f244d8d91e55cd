"""What the cutover asks of the outside world, as interfaces: tests have worlds of their own behind them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

from stacks.settings import Flips, WorkloadName

Side = Literal["source", "target"]


@dataclass(frozen=True)
class WorkloadState:
    """How many pods a workload should have and has."""

    wanted: int
    total: int
    updated: int
    ready: int
    observed: bool
    """Whether the cluster's controller has seen the latest change."""
    waiting: tuple[str, ...] = ()
    """Pods that are not ready or not gone yet, each with the reason."""

    @property
    def settled(self) -> bool:
        """All wanted pods are up to date and ready, and no others are left."""
        return self.observed and self.wanted == self.total == self.updated == self.ready

    def __str__(self) -> str:
        counts = f"{self.ready} of {self.wanted} ready, {self.updated} up to date, {self.total} in all"
        return counts + (f" ({'; '.join(self.waiting)})" if self.waiting else "")


@dataclass(frozen=True)
class PodResult:
    """How a pod that was started to look at something ended."""

    exit_code: int
    message: str
    """What it wrote to its termination log."""


@dataclass(frozen=True)
class ObjectKind:
    """A kind of namespaced Kubernetes object that can be listed and written."""

    api_version: str
    kind: str
    plural: str


class PodCommand(Protocol):
    """A command that runs in a pod. Every method raises StepError where it has ended or cannot be reached."""

    def write(self, data: bytes) -> None:
        """Gives it input."""

    def read(self, seconds: float) -> bytes:
        """Its output, waited for at most so long; empty where there was none."""

    def close(self) -> None:
        """Ends it."""


class Cluster(Protocol):
    """One Kubernetes cluster. Every method raises StepError where the cluster does not answer or refuses."""

    @property
    def context(self) -> str:
        """Its name in the kubeconfig."""

    def version(self) -> str:
        """The server's version."""

    def allowed(self, verb: str, group: str, resource: str, namespace: str) -> bool:
        """Whether our credentials may do that."""

    def kinds(self) -> Sequence[ObjectKind]:
        """The kinds of namespaced objects that the cluster offers."""

    def list(self, kind: ObjectKind, namespace: str | None) -> Sequence[dict[str, Any]]:
        """The objects of a kind in a namespace, or in all for None, with apiVersion and kind filled in."""

    def get(self, api_version: str, plural: str, namespace: str | None, name: str) -> dict[str, Any] | None:
        """One object; None where it is not there."""

    def server_side_apply(self, plural: str, manifest: Mapping[str, Any], manager: str) -> None:
        """Creates or changes an object by server-side apply, without force."""

    def merge_patch(
        self,
        api_version: str,
        plural: str,
        namespace: str,
        name: str,
        patch: Mapping[str, Any],
        *,
        subresource: str = "",
    ) -> None:
        """Changes the given fields of an object that is there, or of its `status`."""

    def create(self, plural: str, manifest: Mapping[str, Any]) -> None:
        """Creates an object; one that is there already is left as it is."""

    def delete(self, api_version: str, plural: str, namespace: str, name: str) -> None:
        """Deletes an object with what it owns; one that is absent is fine."""

    def logs(self, namespace: str, pod: str, container: str, tail_lines: int) -> Sequence[str]:
        """The last lines that a container has printed."""

    def execute(self, namespace: str, pod: str, container: str, command: Sequence[str]) -> PodCommand:
        """Starts a command in a container that runs."""

    def workload(self, name: WorkloadName) -> WorkloadState:
        """The state of a Deployment or StatefulSet."""

    def run_pod(
        self, namespace: str, name: str, image: str, command: Sequence[str], timeout_seconds: float
    ) -> PodResult:
        """Starts a pod, waits for its end and removes it."""


@dataclass(frozen=True)
class Difference:
    """A property before and after; empty where it is absent."""

    path: str
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.path}: {self.before or '(absent)'} -> {self.after or '(absent)'}"


@dataclass(frozen=True)
class Change:
    """One resource that an operation of Pulumi would touch."""

    operation: str
    """Pulumi's word for it: create, update, delete, replace, …"""
    type: str
    name: str
    properties: tuple[str, ...] = ()
    """Paths of the properties that differ."""
    differences: tuple[Difference, ...] = ()
    """The same with values, for a reviewer."""

    def __str__(self) -> str:
        detail = f" ({', '.join(self.properties)})" if self.properties else ""
        return f"{self.operation} {self.type.rpartition(':')[2]} {self.name}{detail}"


@dataclass(frozen=True)
class BroughtUp:
    """What `up` did."""

    changes: tuple[Change, ...]
    outputs: Mapping[str, Any]
    """The stack's outputs, secrets left out."""


class Stacks(Protocol):
    """The Pulumi stacks of one environment. Every method raises StepError where Pulumi fails."""

    def engine(self) -> str:
        """The version of the Pulumi command."""

    def outputs(self, stack: str) -> Mapping[str, Any]:
        """A stack's outputs, secrets left out; empty where the stack does not exist."""

    def flips(self, stack: str) -> Flips:
        """The flip keys in the stack's file."""

    def write_flips(self, stack: str, flips: Flips) -> None:
        """Writes the stack's flip keys."""

    def pending(self, stack: str) -> Sequence[str]:
        """Operations that an interrupted run left open in the state."""

    def drift(self, stack: str) -> Sequence[Change]:
        """How the world differs from the state."""

    def preview(self, stack: str, flips: Flips) -> Sequence[Change]:
        """What `up` with these flip keys would do; the stack's file stays as it is."""

    def up(self, stack: str, timeout_seconds: float) -> BroughtUp:
        """Brings the world in line with the stack's file."""

    def repair(self, stack: str) -> Sequence[str]:
        """Takes away the lock and the pending operations of a killed run; returns what was cleared."""


@dataclass(frozen=True)
class KeyValue:
    """A key of a Redis with its value."""

    key: bytes
    ttl_ms: int
    """How long it still lives in milliseconds; -1: without end."""
    dump: bytes = field(repr=False)
    """The value as Redis serializes it."""


@dataclass(frozen=True)
class KeyChanges:
    """What happened to keys of a Redis."""

    changed: tuple[bytes, ...] = ()
    deleted: tuple[bytes, ...] = ()


class KeyStore(Protocol):
    """A Redis. Every method raises StepError where it does not answer or refuses."""

    def names(self) -> Sequence[bytes]:
        """All keys."""

    def read(self, keys: Iterable[bytes]) -> Sequence[KeyValue]:
        """The values of those keys that are there."""

    def write(self, values: Iterable[KeyValue], *, later_wins: bool) -> int:
        """Writes values, and returns how many. `later_wins`: what expires no earlier stays as it is."""

    def delete(self, keys: Iterable[bytes]) -> None:
        """Deletes keys."""

    def watch(self, seconds: float) -> None:
        """Begins to follow changes; returns once none can be missed, or raises StepError."""

    def changes(self, seconds: float) -> KeyChanges:
        """What changed since the last call; waits so long for something to change."""

    def close(self) -> None:
        """Ends what was begun; it may be used again afterwards."""


@dataclass(frozen=True)
class DnsAnswer:
    """What one authoritative server says of a name."""

    server: str
    contents: tuple[str, ...]
    ttl: int
    """Seconds."""


class Dns(Protocol):
    """DNS, asked at the servers that are authoritative for a name."""

    def authoritative(self, name: str, record_type: str, zone: str) -> Sequence[DnsAnswer]:
        """The answers of all of the zone's servers. Raises StepError where one does not answer."""


@dataclass(frozen=True)
class WebAnswer:
    """The outcome of one request."""

    status: int | None
    """None: there was no answer."""
    seconds: float
    error: str = ""
    certificate_ends: datetime | None = None
    certificate_problem: str = ""
    """Why the certificate is not good, in the words of the library; empty where it is, or none was shown."""

    @property
    def good(self) -> bool:
        """A 2xx answer."""
        return self.status is not None and 200 <= self.status < 300


class Web(Protocol):
    """Requests over https with a verified certificate."""

    def ask(self, domain: str, path: str, address: str | None, timeout_seconds: float) -> WebAnswer:
        """GET `https://domain/path`, at an address of its own or at the one that DNS answers.

        Never raises for a bad answer.
        """

    def fetch(self, url: str, timeout_seconds: float) -> bytes:
        """A file at an address that an API signed. Raises StepError, which does not show the signature."""


@dataclass(frozen=True, kw_only=True)
class ApiRequest:
    """A request to an API over https."""

    method: Literal["GET", "POST", "PUT", "DELETE"] = "GET"
    host: str
    path: str
    """From `/` on, with its query; never with a credential in it."""
    form: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict, repr=False)
    """Fields of a form, each with its value or values, which may be credentials."""
    token: str = field(default="", repr=False)
    """An access token, sent as the password of HTTP's basic authentication; empty: none."""
    address: str | None = None
    """Where the host is reached, where its name is not resolved; None: its name is."""
    timeout_seconds: float = 30.0

    def __str__(self) -> str:
        return f"{self.method} https://{self.host}{self.path.partition('?')[0]}"


@dataclass(frozen=True)
class ApiAnswer:
    """What an API answered, whatever its status."""

    status: int
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """By their names in lower case."""


class Api(Protocol):
    """Requests to an API over https with a verified certificate; redirects are not followed."""

    def call(self, request: ApiRequest) -> ApiAnswer:
        """Sends it once. Raises StepError where there is no answer in time; no text shows a credential."""


@dataclass(frozen=True)
class Connection:
    """A client that a database is serving."""

    user: str
    address: str
    database: str
    encrypted: bool | None = None
    """None: the server does not say."""


class Database(Protocol):
    """The databases' own view. Raises StepError where one does not answer or refuses."""

    def connections(self, host: str) -> Sequence[Connection]:
        """Who is connected to the environment's databases on a host, ourselves left out."""

    def tls(self, host: str) -> str:
        """Which TLS a connection to a host is made with. Raises StepError where it offers none."""


@dataclass(frozen=True)
class Approval:
    """A person's word on a step."""

    step: str
    by: str
    note: str
    at: str
    asked: str
    """The digest of what was asked."""
