"""The status of pods, from what is known of their containers."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lab.kubernetes.node.probes import Verdict, port_number
from lab.kubernetes.node.status import (
    Record,
    Records,
    Surroundings,
    first_record,
    initialized,
    phase,
    pod_status,
    restarts_after,
    waiting,
)

NOW = datetime(2026, 3, 24, 12, 0, tzinfo=UTC)
RUNNING: dict[str, Any] = {"running": {"startedAt": "2026-03-24T12:00:00Z"}}


def exited(code: int) -> dict[str, Any]:
    return {"terminated": {"exitCode": code}}


def record(state: dict[str, Any], **more: Any) -> Record:
    return Record("main", "busybox", state=state, **more)


@pytest.mark.parametrize(
    ("inits", "mains", "expected"),
    [
        ([], [record(waiting("ContainerCreating"))], "Pending"),
        ([], [record(RUNNING)], "Running"),
        ([], [record(RUNNING), record(waiting("ErrImagePull"))], "Pending"),
        ([], [record(waiting("CrashLoopBackOff"), last=exited(1))], "Running"),
        ([], [record(exited(1))], "Running"),  # about to be restarted
        ([], [record(exited(0), finished=True)], "Succeeded"),
        ([], [record(exited(0), finished=True), record(exited(2), finished=True)], "Failed"),
        ([], [record(exited(0), finished=True), record(RUNNING)], "Running"),
        ([record(RUNNING)], [record(waiting("PodInitializing"))], "Pending"),
        ([record(exited(1), finished=True)], [record(waiting("PodInitializing"))], "Failed"),
        ([record(exited(0), finished=True)], [record(RUNNING)], "Running"),
        ([record(RUNNING, sidecar=True, started=True)], [record(exited(0), finished=True)], "Succeeded"),
    ],
)
def test_phase(inits: list[Record], mains: list[Record], expected: str) -> None:
    assert phase(Records(inits, mains)) == expected


def test_a_sidecar_counts_as_initialized_once_started() -> None:
    assert not initialized([record(RUNNING, sidecar=True)])
    assert initialized([record(RUNNING, sidecar=True, started=True)])


@pytest.mark.parametrize(
    ("policy", "code", "again"),
    [
        ("Always", 0, True),
        ("Always", 1, True),
        ("OnFailure", 0, False),
        ("OnFailure", 1, True),
        ("Never", 1, False),
    ],
)
def test_restart_policies(policy: str, code: int, again: bool) -> None:
    assert restarts_after(policy, code) is again


POD: dict[str, Any] = {"metadata": {"name": "p", "generation": 3}, "spec": {}}


def status(
    main: Record, previous: list[dict[str, Any]] | None = None, pod: dict[str, Any] = POD, **more: Any
) -> Any:
    surroundings = Surroundings("198.51.100.10", "192.0.2.7", NOW, **more)
    return pod_status(pod, Records([], [main]), surroundings, previous or [], NOW + timedelta(seconds=60))


def by_type(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {condition["type"]: condition for condition in found["conditions"]}


def test_a_running_pod_that_is_not_ready_says_which_container() -> None:
    found = status(record(RUNNING))
    ready = by_type(found)["Ready"]
    assert (ready["status"], ready["reason"]) == ("False", "ContainersNotReady")
    assert ready["message"] == "containers with unready status: [main]"
    assert found["podIPs"] == [{"ip": "192.0.2.7"}]
    assert found["observedGeneration"] == 3


def test_a_condition_keeps_its_time_until_it_changes() -> None:
    first = status(record(RUNNING))
    old = [{**condition, "lastTransitionTime": "before"} for condition in first["conditions"]]
    second = by_type(status(record(RUNNING, ready=True), old))
    assert second["Initialized"]["lastTransitionTime"] == "before"
    assert second["Ready"]["lastTransitionTime"] == "2026-03-24T12:01:00Z"


def test_conditions_of_others_stay() -> None:
    other = {"type": "DisruptionTarget", "status": "True", "reason": "x"}
    assert by_type(status(record(RUNNING), [other]))["DisruptionTarget"] == other


def test_a_readiness_gate_holds_the_pod_back() -> None:
    pod = {**POD, "spec": {"readinessGates": [{"conditionType": "example/up"}]}}
    main = record(RUNNING, ready=True)
    held = by_type(status(main, pod=pod))
    assert (held["ContainersReady"]["status"], held["Ready"]["status"]) == ("True", "False")
    passed = [{"type": "example/up", "status": "True"}]
    assert by_type(status(main, passed, pod=pod))["Ready"]["status"] == "True"


def test_an_ended_pod_is_not_ready_and_says_why() -> None:
    done = by_type(status(record(exited(0), finished=True)))
    assert (done["Ready"]["status"], done["Ready"]["reason"]) == ("False", "PodCompleted")
    found = status(record(RUNNING), reason="DeadlineExceeded", message="too long")
    assert (found["phase"], found["reason"], found["message"]) == ("Failed", "DeadlineExceeded", "too long")
    assert by_type(found)["Ready"]["reason"] == "PodFailed"


def before(state: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
    return [{"name": "main", "containerID": "x://1", "restartCount": 2, "state": state, **more}]


def test_what_an_earlier_agent_ran_is_restarted_or_lost_by_policy() -> None:
    container = {"name": "main", "image": "busybox"}
    fresh = first_record(container, [], "Always", "ContainerCreating")
    assert (fresh.restarts, fresh.last, fresh.finished) == (0, {}, False)
    again = first_record(container, before(RUNNING), "Always", "ContainerCreating")
    assert (again.restarts, again.last["terminated"]["exitCode"], again.finished) == (3, 137, False)
    lost = first_record(container, before(RUNNING), "Never", "ContainerCreating")
    assert (lost.state["terminated"]["reason"], lost.finished) == ("ContainerStatusUnknown", True)
    done = first_record(container, before(exited(0)), "OnFailure", "ContainerCreating")
    assert (done.finished, done.succeeded, done.restarts) == (True, True, 2)
    paused = first_record(
        container, before(waiting("CrashLoopBackOff"), lastState=exited(4)), "Always", "ContainerCreating"
    )
    assert (paused.restarts, paused.last, paused.finished) == (2, exited(4), False)


def test_a_verdict_needs_its_threshold_in_a_row() -> None:
    verdict = Verdict({"failureThreshold": 3, "successThreshold": 2})
    taken = [verdict.take(result) for result in (False, False, True, False, False, False, False, True, True)]
    assert taken == [False, False, False, False, False, True, True, False, True]


def test_probe_ports_may_have_names() -> None:
    container = {"ports": [{"name": "http", "containerPort": 8080}]}
    assert port_number(container, "http") == 8080
    assert port_number(container, 81) == 81
    with pytest.raises(Exception, match='no port named "web"'):
        port_number(container, "web")


def test_records_compare_by_what_they_say() -> None:
    one = record(RUNNING)
    assert replace(one, ready=True) != one
    assert replace(one, state=dict(RUNNING)) == one
