"""What gates and checks say, above all when they do not hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from cutover.actions.soak import Soak, percentile_ms
from cutover.conditions.buffers import BuffersDrained
from cutover.conditions.dns import DnsSettled
from cutover.conditions.endpoints import ServiceSendsTo
from cutover.conditions.ingress import IngressServes
from cutover.conditions.live_connections import LiveConnections
from cutover.conditions.preflight import ClusterAnswers, CredentialsPresent, LandingZoneUp, NoPlaceholders
from cutover.conditions.probe import DatabaseReach
from cutover.conditions.workloads import WorkloadReady
from cutover.errors import InterruptedRunError, StepError, StepTimeoutError
from cutover.ports import DnsAnswer, PodResult, WebAnswer, WorkloadState
from stacks.settings import Environment, Placeholder, WorkloadName
from tests.cutover.world import BOSS, CORESTONE, DOMAIN, SOURCE_ADDRESS, TARGET_ADDRESS, World

NAME = WorkloadName(namespace="billing-guance-intl", name="boss")
BUFFERS = BuffersDrained(side="source", namespace="ns", buffers=("BOSS usage",), seconds=10, probe_seconds=5)
REACH = DatabaseReach(side="target", namespace="ns", reachable=True, seconds=5, within=10)


def test_dns_is_settled_once_all_servers_answer_and_the_ttl_has_passed(world: World) -> None:
    world.record, world.ttl = TARGET_ADDRESS, 60

    found = DnsSettled(domain=DOMAIN, side="target", seconds=10).hold(world.context())

    assert found["waited_ttl_seconds"] == 60
    assert world.clock.seconds >= 60


def test_one_server_that_lags_behind_is_waited_for_and_named(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [DnsAnswer("ada", (TARGET_ADDRESS,), 60), DnsAnswer("bob", (SOURCE_ADDRESS,), 60)]
    monkeypatch.setattr(world, "authoritative", lambda *_: answers)

    with pytest.raises(StepTimeoutError, match=f"bob says {SOURCE_ADDRESS}.*expected {TARGET_ADDRESS}"):
        DnsSettled(domain=DOMAIN, side="target", seconds=10).hold(world.context())


def test_pods_that_do_not_become_ready_are_counted(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world.source, "workload", lambda _: WorkloadState(2, 2, 2, 1, observed=True))

    with pytest.raises(StepTimeoutError, match="last seen: 1 of 2 ready"):
        WorkloadReady(side="source", workload=NAME, seconds=10).hold(world.context())


@pytest.mark.parametrize(
    "state",
    [
        WorkloadState(2, 3, 2, 2, observed=True),
        WorkloadState(2, 2, 1, 2, observed=True),
        WorkloadState(2, 2, 2, 2, observed=False),
        WorkloadState(0, 0, 0, 0, observed=True),
    ],
)
def test_a_rollout_that_is_not_over_is_not_ready(
    world: World, state: WorkloadState, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world.source, "workload", lambda _: state)

    with pytest.raises(StepTimeoutError):
        WorkloadReady(side="source", workload=NAME, seconds=1).hold(world.context())


def test_a_workload_at_0_is_settled(world: World) -> None:
    world.source.replicas[BOSS] = 0

    assert WorkloadReady(side="source", workload=NAME, seconds=1, at_least=0).hold(world.context())


def test_buffers_are_waited_for_with_progress(world: World) -> None:
    world.source.buffered = [7, 2]
    said: list[str] = []
    context = world.context()
    context.say = said.append

    assert BUFFERS.hold(context) == {"left": {"BOSS usage": 0}}
    assert said == [
        "waiting for buffers on huawei to drain: BOSS usage: 7 left",
        "waiting for buffers on huawei to drain: BOSS usage: 2 left",
    ]


@pytest.mark.parametrize(
    "result",
    [
        PodResult(1, "redis does not answer"),
        PodResult(0, "boss:usage is not a list: WRONGTYPE"),
        PodResult(0, ""),
        PodResult(0, "total "),
        PodResult(2, "total 0"),
    ],
)
def test_a_buffer_that_cannot_be_looked_at_never_counts_as_empty(
    world: World, result: PodResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world.source, "run_pod", lambda *_: result)

    with pytest.raises(StepError, match="buffer BOSS usage on huawei could not be looked at"):
        BUFFERS.hold(world.context())


@pytest.mark.parametrize(
    ("message", "reachable", "unreachable"),
    [
        ("connected: 5.5.5-10.11.6-MariaDB", True, False),
        ("connected: ", False, False),
        ("connected: Host '203.0.113.65' is not allowed to connect to this MySQL server", False, False),
        ("no connection: nc: 203.0.113.30 (203.0.113.30:3306): Connection timed out", False, True),
    ],
)
def test_a_probe_is_read_with_care(
    world: World, message: str, reachable: bool, unreachable: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world.target, "run_pod", lambda *_: PodResult(0, message))
    for expected, wanted in ((reachable, True), (unreachable, False)):
        condition = DatabaseReach(side="target", namespace="ns", reachable=wanted, seconds=5, within=1)
        if expected:
            assert condition.hold(world.context())["seen"] == message
        else:
            with pytest.raises(StepError, match=r"last seen.*`cutover run` goes on"):
                condition.hold(world.context())


def test_an_address_that_was_not_let_in_is_named_soon_with_what_to_do(world: World) -> None:
    world.database_open, world.admitted = True, set()

    with pytest.raises(StepError, match=r"The target's pods come from 203\.0\.113\.65: let each of these in"):
        REACH.hold(world.context())

    assert world.clock.seconds < 30


@pytest.mark.parametrize("result", [PodResult(127, ""), PodResult(0, "sh: nc: not found"), PodResult(0, "")])
def test_a_probe_that_could_not_look_proves_nothing(
    world: World, result: PodResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world.target, "run_pod", lambda *_: result)
    unreachable = DatabaseReach(side="target", namespace="ns", reachable=False, seconds=5, within=10)

    with pytest.raises(StepError, match="the probe on aws could not look"):
        unreachable.hold(world.context())


def test_connections_from_elsewhere_do_not_count(world: World) -> None:
    world.target.replicas[BOSS] = 2
    world.database_open = True
    condition = LiveConnections(workloads=(BOSS, CORESTONE), seconds=5)
    with pytest.raises(StepTimeoutError, match="none to corestone"):
        world.target.replicas[CORESTONE] = 0
        condition.hold(world.context())

    world.target.replicas[CORESTONE] = 1
    found = condition.hold(world.context())
    assert found["connections"] == {"203.0.113.65": 3}
    assert found["databases"] == {"boss": 2, "corestone": 1}
    assert found["encrypted"] == "all"

    world.target.replicas |= {BOSS: 0, CORESTONE: 0}
    with pytest.raises(StepTimeoutError, match=r"connections: none; 0 pods behind 203\.0\.113\.65"):
        condition.hold(world.context())


def test_connections_without_tls_are_refused_by_the_name_of_their_user(world: World) -> None:
    world.target.replicas |= {BOSS: 1, CORESTONE: 1}
    world.database_open, world.encrypted = True, False
    condition = LiveConnections(workloads=(BOSS, CORESTONE), seconds=5)

    with pytest.raises(StepError, match="without TLS as boss, corestone"):
        condition.hold(world.context())

    world.encrypted = None
    assert condition.hold(world.context())["encrypted"] == "the server does not say"


def test_an_ingress_must_answer_well_several_times_in_a_row(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [
        WebAnswer(200, 0.1),
        WebAnswer(502, 0.1),
        WebAnswer(200, 0.1),
        WebAnswer(200, 0.1),
        WebAnswer(200, 0.1),
    ]
    monkeypatch.setattr(world, "ask", lambda *_: answers.pop(0))

    IngressServes(domain=DOMAIN, side="source", seconds=60, answer_seconds=1).hold(world.context())

    assert answers == []


def test_a_certificate_that_ends_soon_is_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    soon = WebAnswer(200, 0.1, certificate_ends=world.clock.now())
    monkeypatch.setattr(world, "ask", lambda *_: soon)
    condition = IngressServes(domain=DOMAIN, side="target", seconds=5, answer_seconds=1, certificate_days=30)

    with pytest.raises(StepError, match=r"ends on 2026-01-01 at .*, in less than 30 days.*have it renewed"):
        condition.hold(world.context())


def test_an_expired_certificate_is_said_at_once(world: World) -> None:
    world.certificate_problem = "certificate has expired"
    condition = IngressServes(domain=DOMAIN, side="target", seconds=300, answer_seconds=1)

    with pytest.raises(StepError, match=f"the certificate of {DOMAIN} has expired at {TARGET_ADDRESS}"):
        condition.hold(world.context())

    assert world.clock.seconds == 0


def test_a_service_that_still_sends_to_others_is_named(world: World) -> None:
    condition = ServiceSendsTo(
        side="source", service="billing-guance-intl/webportal", workloads=("landfall-forwarder",), seconds=5
    )
    with pytest.raises(StepTimeoutError, match="last seen: boss-1"):
        condition.hold(world.context())
    world.forwarding = True
    assert condition.hold(world.context()) == {"pods": "landfall-forwarder-1"}


def test_a_placeholder_is_named_with_what_it_needs(world: World, environment: Environment) -> None:
    source = environment.database.source.model_copy(
        update={"eip": Placeholder(placeholder="the EIP; ask Huawei")}
    )
    database = environment.database.model_copy(update={"source": source})
    context = world.context()
    context.settings = environment.model_copy(update={"database": database})

    with pytest.raises(StepError, match=r"database\.source\.eip \(the EIP; ask Huawei\)"):
        NoPlaceholders().hold(context)
    with pytest.raises(StepError, match=r"database\.source\.eip is still a placeholder"):
        REACH.hold(context)


def test_missing_credentials_and_rights_are_named(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StepError, match="not set: LANDFALL_NO_SUCH"):
        CredentialsPresent(("LANDFALL_NO_SUCH",)).hold(world.context())

    monkeypatch.setattr(world.target, "allowed", lambda verb, *_: verb != "patch")
    condition = ClusterAnswers(
        cluster="target", namespaces=("ns",), allowed=(("get", "", "x"), ("patch", "", "x"))
    )
    with pytest.raises(StepError, match="cluster aws does not let us patch x in ns"):
        condition.hold(world.context())


def test_a_landing_zone_that_was_not_brought_up_is_named(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world.stacks, "outputs", lambda _: {})

    with pytest.raises(StepError, match=r"stack prod has no output 'nat_addresses'.*pulumi up --stack prod"):
        LandingZoneUp().hold(world.context())


SOAK = Soak(
    domains=(DOMAIN,), seconds=10, interval_seconds=1, answer_seconds=1, max_error_rate=0.05, max_p99_ms=500
)
GOOD, BAD, SLOW = WebAnswer(200, 0.01), WebAnswer(None, 1.0, "refused"), WebAnswer(200, 0.9)


@pytest.mark.parametrize(
    ("answers", "breach"),
    [
        ([GOOD] * 10, ""),
        ([BAD], ""),
        ([GOOD] * 18 + [BAD], ""),
        ([BAD, BAD], "2 of 2 health checks failed"),
        ([GOOD] * 37 + [BAD] * 3, "3 of 40 health checks failed, more than 5.0%; the last: refused"),
        ([GOOD] * 98 + [BAD] * 2, ""),
        ([GOOD] * 10 + [SLOW], ""),
        ([GOOD] * 10 + [SLOW] * 2, "2 of 12 answers took longer than 500 ms"),
        ([GOOD] * 198 + [SLOW] * 2, ""),
    ],
)
def test_a_soak_judges_shares(answers: Sequence[WebAnswer], breach: str) -> None:
    found = SOAK.judge({"by name": list(answers)})

    assert breach in found
    assert bool(breach) == bool(found)


def test_a_soak_reports_its_figures(world: World) -> None:
    world.target.replicas[BOSS] = 2
    world.record = TARGET_ADDRESS

    found: dict[str, Any] = SOAK.apply(world.context())

    assert set(found["answers"]) == {
        f"{DOMAIN} {way}" for way in ("by name", "at the target", "at the source")
    }
    assert all(figures["failed"] == 0 and figures["asked"] >= 10 for figures in found["answers"].values())


def test_percentiles() -> None:
    assert percentile_ms([], 0.99) == 0
    assert percentile_ms([0.003, 0.001, 0.002], 0.5) == 2
    assert percentile_ms([0.001] * 99 + [1.0], 0.99) == 1


def test_a_wait_stops_where_the_operator_asks_for_it(world: World) -> None:
    world.source.buffered = [1] * 100

    with pytest.raises(InterruptedRunError, match="safe point"):
        BUFFERS.hold(world.context(stopping=lambda: world.clock.seconds > 3))


def test_a_steps_limit_ends_a_wait_in_it(world: World) -> None:
    world.source.buffered = [1] * 100
    context = world.context()

    with (
        pytest.raises(StepTimeoutError, match="step x took longer than it may, while waiting for buffers"),
        context.limit(3, "step x"),
    ):
        BUFFERS.hold(context)
