"""Run in a world: steps of the plan on two real Kubernetes APIs, each call of which goes wrong in each way.

The runner, its journal, its lease, the actions and the client are real; between them and the APIs stands a
proxy. Prints, as JSON, what each case was and what was wrong with it.
"""

from __future__ import annotations

import json
import ssl
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import yaml
from kubernetes.config import kube_config

from cutover.actions.schedules import (
    AUTOSCALERS,
    CRON_JOBS,
    FreezeAutoscalers,
    HandOverSchedules,
    RememberSchedules,
)
from cutover.approvals import Approvals
from cutover.clock import SystemClock
from cutover.clusters import KubernetesCluster
from cutover.history import BACK, FORWARD, OPERATOR, Heading
from cutover.journal import Journal, read_journal
from cutover.lease import LocalLease
from cutover.plan import Document, Keep, Plan, Stage, Step, Undo, WayBack
from cutover.runner import Result, Runner
from lab.kubernetes.control_plane import ControlPlane
from stacks.settings import Environment
from tests.cutover.conftest import filled_settings
from tests.cutover.objects import cron_job, manifest
from tests.cutover.world import World
from tests.faults.proxy import KINDS, SILENT, Calls, FaultyProxy
from tests.setup.clusters import two_clusters

NAMESPACE = "billing-guance-intl"
SCHEDULE, AUTOSCALER = "settlement", "boss"
NEVER = "0 0 31 2 *"
CALL_SECONDS, SHORT_SECONDS = 20.0, 1.0
"""How long a call may take: ordinarily, and in a run that gets no answer somewhere."""
SIDES = ("source", "target")
FORWARDS, BACKWARDS = Heading(FORWARD, None, OPERATOR), Heading(BACK, None, OPERATOR)
_WRITES = ("POST", "PUT", "PATCH", "DELETE")


def short_plan(environment: Environment) -> Plan:
    """The steps of the plan that speak with Kubernetes alone, there and back."""

    def step(name: str, action: Any, way_back: WayBack) -> Step:
        return Step(
            id=name, title=name, owner="operator", affects_service=True, action=action, reason="short",
            way_back=way_back, timeout_seconds=30,
        )  # fmt: skip

    undo = Undo(timeout_seconds=30)
    steps = (
        step("remember", RememberSchedules(), Keep("nothing was changed")),
        step("freeze", FreezeAutoscalers(), undo),
        step("hand-over", HandOverSchedules(seconds=20), undo),
    )
    stage = Stage(id="schedules", title="schedules", steps=steps)
    return Plan(
        id="short", title="short", environment=environment.name, settings_hash="", owners=("operator",),
        document=Document(title="none", lines={}), stages=(stage,),
    )  # fmt: skip


class Scene:
    """Both clusters, reached through proxies by the runner, and without them by whoever judges."""

    def __init__(self, folder: Path, planes: Sequence[ControlPlane], stack: ExitStack) -> None:
        self.folder = folder
        self.calls = Calls()
        self.environment = Environment.model_validate(filled_settings())
        self.plan = short_plan(self.environment)
        entries: list[tuple[str, Any, Any]] = []
        direct: list[tuple[str, Any, Any]] = []
        for side, plane in zip(SIDES, planes, strict=True):
            proxy = stack.enter_context(FaultyProxy(plane.spec.server, self.calls, context=_tls(plane)))
            entries.append((side, {"server": proxy.url}, {}))
            entry = plane.entry()
            direct.append((f"direct-{side}", entry["clusters"][0]["cluster"], entry["users"][0]["user"]))
        path = folder / "kubeconfig"
        path.write_text(yaml.safe_dump(_kubeconfig([*entries, *direct])))
        path.chmod(0o600)
        kube_config.KUBE_CONFIG_DEFAULT_LOCATION = str(path)  # the variable was read at the import
        self.clock = SystemClock()
        self.direct = {side: KubernetesCluster(f"direct-{side}", 10.0, self.clock) for side in SIDES}

    def reset(self) -> None:
        """As before anything was done, whatever is there."""
        for side, cluster in self.direct.items():
            for kind, name in ((CRON_JOBS, SCHEDULE), (AUTOSCALERS, AUTOSCALER)):
                cluster.delete(kind.api_version, kind.plural, NAMESPACE, name)
            item = cron_job(NAMESPACE, SCHEDULE, schedule=NEVER)
            item["spec"]["jobTemplate"]["spec"]["template"]["spec"]["restartPolicy"] = "Never"
            item["spec"]["suspend"] = side == "target"
            cluster.create(CRON_JOBS.plural, item)
        spec = {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": AUTOSCALER},
            "minReplicas": 2, "maxReplicas": 5, "behavior": {"scaleDown": {"stabilizationWindowSeconds": 60}},
        }  # fmt: skip
        self.direct["source"].create(
            AUTOSCALERS.plural, manifest("HorizontalPodAutoscaler", NAMESPACE, AUTOSCALER, spec=spec)
        )

    def state(self) -> dict[str, Any]:
        """What the judge sees."""
        found: dict[str, Any] = {}
        for side, cluster in self.direct.items():
            item = cluster.get(CRON_JOBS.api_version, CRON_JOBS.plural, NAMESPACE, SCHEDULE) or {}
            found[f"{side} suspended"] = bool(item["spec"].get("suspend"))
        scaler = self.direct["source"].get(AUTOSCALERS.api_version, AUTOSCALERS.plural, NAMESPACE, AUTOSCALER)
        found["behavior"] = (scaler or {})["spec"].get("behavior")
        return found

    def run(self, folder: Path, heading: Heading, seconds: float = CALL_SECONDS) -> Result:
        """A runner's life, through the proxies."""
        path = folder / "journal.jsonl"
        epoch = max((item.epoch for item in read_journal(path).records), default=0)
        clusters: Any = {side: KubernetesCluster(side, seconds, self.clock) for side in SIDES}
        world = World(self.environment)
        context = replace(world.context(), clusters=clusters, clock=self.clock)
        with LocalLease(folder / "lease", self.clock, epoch) as lease:
            journal = Journal(path, lease.epoch, self.clock, lease.ensure)
            try:
                if not journal.records:
                    opened = {"plan": self.plan.id, "plan_hash": self.plan.hash, "environment": "prod"}
                    journal.append("opened", opened)
                return Runner(self.plan, journal, context, cast(Approvals, world)).run(heading)
            finally:
                journal.close()

    def uninterrupted(self) -> tuple[list[list[str]], list[dict[str, Any]]]:
        """The calls of the way there and of the way back, and the state before, between and after."""
        self.reset()
        states, calls = [self.state()], []
        with tempfile.TemporaryDirectory(dir=self.folder) as name:
            for heading, end in ((FORWARDS, "succeeded"), (BACKWARDS, "rolled back")):
                self.calls.begin()
                result = self.run(Path(name), heading)
                if result.outcome != end:
                    raise AssertionError(f"an uninterrupted run: {result}")
                calls.append(list(self.calls.made))
                states.append(self.state())
        return calls, states

    def check(self, way: int, number: int, kind: str, states: list[dict[str, Any]]) -> str | None:
        """A call of the way there (0) or back (1) goes wrong; what is wrong; None: it did not happen."""
        self.reset()
        heading, end = (FORWARDS, BACKWARDS)[way], ("succeeded", "rolled back")[way]
        with tempfile.TemporaryDirectory(dir=self.folder) as name:
            folder = Path(name)
            self.calls.begin()
            if way and (there := self.run(folder, FORWARDS)).outcome != "succeeded":
                return f"the way there: {there}"
            self.calls.begin(kind, number)
            first = self.run(folder, heading, SHORT_SECONDS if kind in SILENT else CALL_SECONDS)
            happened = self.calls.happened
            self.calls.calm()
            if not happened:
                return None
            between = self.state()
            then = first if first.outcome == end else self.run(folder, heading)
            wrong = {
                f"it ends with {first}": first.outcome not in (end, "halted"),
                "it halted without a reason": first.outcome == "halted" and not first.reason,
                "the schedule runs on both sides": not any(between[f"{side} suspended"] for side in SIDES),
                f"the next run ends with {then}": then.outcome != end,
                f"another end: {self.state()}": self.state() != states[way + 1],
            }
        return "; ".join(text for text, holds in wrong.items() if holds)


def _tls(plane: ControlPlane) -> ssl.SSLContext:
    """As the cluster's administrator."""
    context = ssl.create_default_context(cafile=plane.authority)
    context.load_cert_chain(plane.folder / "pki" / "admin.crt", plane.folder / "pki" / "admin.key")
    return context


def _kubeconfig(entries: Sequence[tuple[str, Any, Any]]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": entries[0][0],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}} for name, _, _ in entries],
        "clusters": [{"name": name, "cluster": cluster} for name, cluster, _ in entries],
        "users": [{"name": name, "user": user} for name, _, user in entries],
    }


def cases(calls: Sequence[Sequence[str]]) -> Iterator[tuple[int, int, str]]:
    """Every call of the way there and back by every fault that fits it."""
    for way, made in enumerate(calls):
        for number, name in enumerate(made, 1):
            writes = name.startswith(_WRITES)
            for kind in KINDS:
                if kind == "timed out, executed" and not writes:
                    continue
                if kind == "stale read" and (writes or name not in made[: number - 1]):
                    continue  # there is no older answer
                yield way, number, kind


def main(folder: Path, every: int) -> None:
    """`every`: one case of so many."""
    found = []
    with ExitStack() as stack:
        planes = stack.enter_context(two_clusters(folder))
        scene = Scene(folder, planes, stack)
        for cluster in scene.direct.values():
            space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
            cluster.server_side_apply("namespaces", space, "test")
        calls, states = scene.uninterrupted()
        for way, number, kind in list(cases(calls))[::every]:
            what = f"{('there', 'back')[way]}, call {number}, {calls[way][number - 1]}: {kind}"
            if (wrong := scene.check(way, number, kind, states)) is not None:
                found.append((what, wrong))
    print(json.dumps(found))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="landfall-kubernetes-") as name:
        main(Path(name), int(sys.argv[1]))
