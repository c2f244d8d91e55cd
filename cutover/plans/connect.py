"""The stage `connect`: the target's pods run, on the source's database and with the sessions of its Redis."""

from __future__ import annotations

from cutover.actions.base import Condition
from cutover.actions.copy_keys import CopyKeys, KeysDisposable
from cutover.actions.flip_stack import Expected, Flip, FlipStack, Remembered
from cutover.actions.person import Person
from cutover.actions.remember import REPLICAS
from cutover.conditions.database_tls import DatabaseTls
from cutover.conditions.live_connections import LiveConnections
from cutover.plan import Keep, Stage, Step, Undo
from cutover.plans.parts import CHANGES_NOTHING, HUAWEI, MARGIN_SECONDS, OPERATOR, PHASE_1, Parts


def connect(parts: Parts) -> Stage:
    """The stage; nobody is sent to the target yet."""
    entries = dict.fromkeys(
        f"{entry.namespace}/{entry.config_map}" for entry in parts.environment.config_entries
    )
    return Stage(
        id="connect",
        title="The target's pods run, on the source's database",
        phase=PHASE_1,
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
                checks=(
                    parts.reach("target", reachable=True),
                    parts.reach("source", reachable=False),
                    DatabaseTls(),
                ),
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
            *_keys(parts),
            _start(
                parts,
                step_id="start-services",
                title="Start the services, and see what their live pods are connected to",
                keys=parts.serving,
                checks=(
                    LiveConnections(workloads=parts.serving, seconds=parts.limits.pods_ready),
                    *parts.serves("target"),
                ),
                undo_gates=(parts.drained("target"),),
            ),
        ),
    )


def _keys(parts: Parts) -> tuple[Step, ...]:
    """What becomes of the sessions and whatever else the Redis that moves along holds."""
    redis = parts.environment.redis_copy
    if redis is None:
        return ()
    reason = "two Redis never serve the same sessions: keys are copied, or their owner says they may be lost"
    if redis.disposition == "disposable":
        return (
            Step(
                id="keys-disposable",
                title="Put on record that Redis's keys may be lost",
                owner=OPERATOR,
                affects_service=False,
                reason=reason,
                action=KeysDisposable(host=redis.host, by=redis.by or ""),
                way_back=CHANGES_NOTHING,
                timeout_seconds=MARGIN_SECONDS,
            ),
        )
    return (
        Step(
            id="copy-keys",
            title="Copy Redis's keys, sessions among them",
            owner=OPERATOR,
            affects_service=False,
            reason=reason,
            action=CopyKeys(parts.buffered_keys),
            way_back=Keep("nobody is sent to the target; its Redis ends with its pods"),
            timeout_seconds=MARGIN_SECONDS * 4,
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
