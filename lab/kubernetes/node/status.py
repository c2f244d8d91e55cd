"""The status of a pod, worked out from what is known of its containers; no effects here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from lab.kubernetes.node.api import Object

_RUNTIME = "landfall"


def timestamp(moment: datetime) -> str:
    """A moment as Kubernetes writes it: UTC, whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True)
class Record:
    """One container: `state` and `last` are a ContainerState as the API has it.

    `finished` says that it will not be started again.
    """

    name: str
    image: str
    sidecar: bool = False
    state: Object = field(default_factory=lambda: waiting("ContainerCreating"))
    last: Object = field(default_factory=dict)
    restarts: int = 0
    started: bool = False
    ready: bool = False
    finished: bool = False
    container_id: str = ""

    @property
    def succeeded(self) -> bool:
        """Whether its last run ended with 0."""
        ended = self.state.get("terminated") or self.last.get("terminated")
        return ended is not None and ended["exitCode"] == 0

    def as_status(self) -> Object:
        """The ContainerStatus of the API."""
        return {
            "name": self.name,
            "state": self.state,
            "lastState": self.last,
            "ready": self.ready,
            "started": self.started,
            "restartCount": self.restarts,
            "image": self.image,
            "imageID": f"{_RUNTIME}://{self.image}" if self.container_id else "",
            "containerID": self.container_id,
        }


def waiting(reason: str, message: str = "") -> Object:
    """The state of a container that does not run yet or not at the moment."""
    return {"waiting": {"reason": reason, **({"message": message} if message else {})}}


def first_record(container: Object, previous: Iterable[Object], policy: str, initial: str) -> Record:
    """The record of a container before this agent first starts it.

    Where an earlier agent has run it (it is in `previous`, the pod's container statuses), that run is over,
    and whether there is another one is for its restart policy to say.
    """
    sidecar = container.get("restartPolicy") == "Always"
    record = Record(container["name"], container["image"], sidecar=sidecar, state=waiting(initial))
    for status in previous:
        if status["name"] == record.name and status.get("containerID"):
            return _continued(record, status, policy)
    return record


def _continued(record: Record, status: Object, policy: str) -> Record:
    message = "the node agent that ran the container has ended"
    lost = {"exitCode": 137, "reason": "ContainerStatusUnknown", "message": message}
    state, last = status["state"], status.get("lastState") or {}
    if "waiting" in state and last:
        return replace(record, last=last, restarts=status["restartCount"])
    ended = {"terminated": state.get("terminated") or {**lost, "containerID": status["containerID"]}}
    if restarts_after(policy, ended["terminated"]["exitCode"]):
        return replace(record, last=ended, restarts=status["restartCount"] + 1)
    return replace(record, state=ended, finished=True, restarts=status["restartCount"])


def restarts_after(policy: str, exit_code: int) -> bool:
    """Whether a container with this restart policy is started again after that exit code."""
    return policy == "Always" or (policy == "OnFailure" and exit_code != 0)


@dataclass(frozen=True)
class Records:
    """The containers of a pod: init containers (sidecars among them) and the others."""

    inits: Sequence[Record]
    mains: Sequence[Record]


def phase(records: Records) -> str:
    """The pod's phase (kubelet's getPhase)."""
    inits, mains = records.inits, records.mains
    ordinary = [record for record in inits if not record.sidecar]
    if any(record.finished and not record.succeeded for record in ordinary):
        return "Failed"
    if mains and all(record.finished for record in mains):
        return "Succeeded" if all(record.succeeded for record in mains) else "Failed"
    if not initialized(inits):
        return "Pending"
    if any("waiting" in record.state and not record.last for record in mains):
        return "Pending"
    return "Running"


def initialized(inits: Sequence[Record]) -> bool:
    """Whether every init container has done its work, and every sidecar has started."""
    return all(record.started if record.sidecar else record.finished and record.succeeded for record in inits)


@dataclass(frozen=True)
class Surroundings:
    """What a pod's status says besides its containers. `reason` is why the agent itself ended the pod."""

    host_address: str
    pod_address: str | None
    started: datetime
    reason: str = ""
    message: str = ""


def pod_status(
    pod: Object, records: Records, surroundings: Surroundings, conditions: Sequence[Object], now: datetime
) -> Object:
    """The whole PodStatus. `conditions` are those sent before: what did not change keeps its time."""
    current = "Failed" if surroundings.reason else phase(records)
    own = _conditions(pod, records, surroundings, conditions, ended=current in ("Succeeded", "Failed"))
    status: Object = {
        "phase": current,
        "observedGeneration": pod["metadata"].get("generation", 1),
        "hostIP": surroundings.host_address,
        "hostIPs": [{"ip": surroundings.host_address}],
        "startTime": timestamp(surroundings.started),
        "conditions": _dated(own, conditions, pod["metadata"].get("generation", 1), timestamp(now)),
        "containerStatuses": [record.as_status() for record in records.mains],
    }
    if records.inits:
        status["initContainerStatuses"] = [record.as_status() for record in records.inits]
    if surroundings.pod_address:
        status["podIP"] = surroundings.pod_address
        status["podIPs"] = [{"ip": surroundings.pod_address}]
    if surroundings.reason:
        status |= {"reason": surroundings.reason, "message": surroundings.message}
    return status


def _conditions(
    pod: Object, records: Records, surroundings: Surroundings, previous: Sequence[Object], *, ended: bool
) -> list[Object]:
    serving = [*records.mains, *(record for record in records.inits if record.sidecar)]
    unready = [record.name for record in serving if not record.ready]
    incomplete = [record.name for record in records.inits if not initialized([record])]
    containers_ready = _blame("ContainersReady", unready, "ContainersNotReady", "unready status")
    if ended:
        reason = "PodFailed" if surroundings.reason or phase(records) == "Failed" else "PodCompleted"
        containers_ready = {"type": "ContainersReady", "status": "False", "reason": reason}
    return [
        {"type": "PodReadyToStartContainers", "status": _truth(surroundings.pod_address and not ended)},
        _blame("Initialized", incomplete, "ContainersNotInitialized", "incomplete status"),
        _ready(pod, containers_ready, previous),
        containers_ready,
        {"type": "PodScheduled", "status": "True"},
    ]


def _dated(own: Sequence[Object], previous: Sequence[Object], generation: int, now: str) -> list[Object]:
    """Our conditions with the time of their last change, and the others' as they are."""
    before = {condition["type"]: condition for condition in previous}
    dated: list[Object] = []
    for condition in own:
        old = before.pop(condition["type"], {})
        same = old.get("status") == condition["status"] and "lastTransitionTime" in old
        since = old["lastTransitionTime"] if same else now
        dated.append({**condition, "lastTransitionTime": since, "observedGeneration": generation})
    return [*dated, *before.values()]


def _truth(value: object) -> str:
    return "True" if value else "False"


def _blame(kind: str, names: Sequence[str], reason: str, what: str) -> Object:
    if not names:
        return {"type": kind, "status": "True"}
    message = f"containers with {what}: [{' '.join(names)}]"
    return {"type": kind, "status": "False", "reason": reason, "message": message}


def _ready(pod: Object, containers_ready: Object, previous: Sequence[Object]) -> Object:
    gates = [gate["conditionType"] for gate in pod["spec"].get("readinessGates") or []]
    passed = {condition["type"] for condition in previous if condition["status"] == "True"}
    missing = [gate for gate in gates if gate not in passed]
    if containers_ready["status"] == "True" and missing:
        message = f"corresponding condition of pod readiness gate {missing[0]} is not true"
        return {"type": "Ready", "status": "False", "reason": "ReadinessGatesNotReady", "message": message}
    return {**containers_ready, "type": "Ready"}
