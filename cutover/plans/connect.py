"""The stage `connect`: the target's pods run, on the source's database."""

from __future__ import annotations

from cutover.actions.base import Condition
from cutover.actions.flip_stack import Expected, Flip, FlipStack, Remembered
from cutover.actions.person import Person
from cutover.actions.remember import REPLICAS
from cutover.conditions.live_connections import LiveConnections
from cutover.plan import Stage, Step, Undo
from cutover.plans.parts import HUAWEI, MARGIN_SECONDS, OPERATOR, Parts


def connect(parts: Parts) -> Stage:
    """The stage; nobody is sent to the target yet."""
    environment = parts.environment
    entries = dict.fromkeys(f"{entry.namespace}/{entry.config_map}" for entry in environment.config_entries)
    return Stage(
        id="connect",
        title="The target's pods run, on the source's database",
        steps=(
            Step(
                id="open-database",
                title="Give the database a public address that lets in the target's NAT addresses alone",
                owner=HUAWEI,
                affects_service=False,
                fulfils=("1.2.eip", "1.2.whitelist"),
                action=Person(
                    instructions="Bind the EIP {database_eip} to the RDS and let in {nat_addresses} on port "
                    "{database_port}, and nobody else. Whoever else can reach it is found by a probe.",
                    take_back="the EIP may be unbound from the RDS now",
                ),
                checks=(parts.reach("target", reachable=True), parts.reach("source", reachable=False)),
                way_back=Undo(timeout_seconds=MARGIN_SECONDS),
                timeout_seconds=parts.limits.person,
            ),
            Step(
                id="database-by-eip",
                title="Point the target's database URLs at the public address",
                owner=OPERATOR,
                affects_service=False,
                fulfils=("1.2.urls", "rollback.3", "rollback.4"),
                action=FlipStack(
                    stack="target",
                    flips=(Flip(key="database", forward="eip", back="internal"),),
                    expected=tuple(Expected(type="ConfigMapPatch", name=name) for name in entries),
                ),
                gates=parts.gone("target", parts.workloads),
                way_back=Undo(
                    gates=parts.gone("target", parts.workloads), timeout_seconds=parts.flip_seconds
                ),
                timeout_seconds=parts.flip_seconds,
            ),
            _start(
                parts,
                step_id="start-shared",
                title="Start what the services share",
                keys=parts.shared,
                undo_gates=(parts.drained("target"),),
            ),
            _start(
                parts,
                step_id="start-services",
                title="Start the services, and see what their live pods are connected to",
                keys=parts.serving,
                checks=(
                    LiveConnections(workloads=parts.workloads, seconds=parts.limits.pods_ready),
                    *parts.serves("target"),
                ),
                undo_gates=(parts.drained("target"),),
            ),
        ),
    )


def _start(
    parts: Parts,
    *,
    step_id: str,
    title: str,
    keys: tuple[str, ...],
    checks: tuple[Condition, ...] = (),
    undo_gates: tuple[Condition, ...] = (),
) -> Step:
    """Scales workloads up on the target, and down to 0 on the way back."""
    return Step(
        id=step_id,
        title=title,
        owner=OPERATOR,
        affects_service=False,
        reason="the pods are ready and proven before anybody is sent to them",
        action=FlipStack(
            stack="target",
            flips=tuple(
                Flip(key="replicas", item=key, forward=Remembered(REPLICAS, key), back=0) for key in keys
            ),
            expected=tuple(parts.patch(key) for key in keys),
        ),
        checks=(*parts.ready("target", keys), *checks),
        way_back=Undo(
            gates=undo_gates,
            checks=parts.gone("target", keys),
            timeout_seconds=parts.flip_seconds + parts.limits.buffers_empty + parts.limits.pods_gone,
        ),
        timeout_seconds=parts.flip_seconds + parts.limits.pods_ready * 3,
    )
