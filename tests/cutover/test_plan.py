"""Plans: what is sound, what is not, and that the shipped plan carries out its document."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from cutover.actions.base import Evidence, Look
from cutover.context import Context
from cutover.errors import PlanError
from cutover.plan import Document, Keep, NoReturn, Plan, Stage, Step, Undo, check_plan, specification
from cutover.plans import build_plan
from cutover.runbook import markdown
from stacks.settings import Environment

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Nothing(Look):
    """An action of a test."""

    needed: tuple[str, ...] = ()

    @property
    def needs(self) -> tuple[str, ...]:
        return self.needed

    def describe(self) -> str:
        return "nothing"

    def apply(self, context: Context) -> Evidence:
        return {}


def step(step_id: str = "a", **changes: object) -> Step:
    made = Step(
        id=step_id,
        title="A step",
        owner="Operator",
        affects_service=False,
        reason="a test",
        action=Nothing(),
        way_back=Keep("it does nothing"),
        timeout_seconds=1,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def plan_of(
    *steps: Step, lines: dict[str, str] | None = None, left_out: dict[str, str] | None = None
) -> Plan:
    return Plan(
        id="test",
        title="A test",
        environment="prod",
        settings_hash="",
        owners=("Operator",),
        document=Document(title="A document", lines=lines or {}, left_out=left_out or {}),
        stages=(Stage(id="one", title="One", steps=steps),),
    )


def test_the_shipped_plan_is_sound(plan: Plan) -> None:
    assert check_plan(plan) == ()


def test_its_stages_are_those_of_the_issue(plan: Plan) -> None:
    assert [stage.id for stage in plan.stages] == [
        "prepare",
        "move",
        "connect",
        "switch",
        "quiesce",
        "verify",
    ]


def test_every_line_of_the_document_has_a_step_or_a_reason(plan: Plan) -> None:
    fulfilled = {line for item in plan.steps for line in item.fulfils}

    assert fulfilled | set(plan.document.left_out) == set(plan.document.lines)
    assert not fulfilled & set(plan.document.left_out)
    assert {line for line in plan.document.lines if line.startswith("rollback")} <= fulfilled
    assert all(item.fulfils or item.reason for item in plan.steps)


def test_only_the_steps_that_redirect_users_affect_service(plan: Plan) -> None:
    assert [item.id for item in plan.steps if item.affects_service] == [
        "switch-bill.truewatch.com",
        "switch-corestone.truewatch.com",
        "redirect-callers-automata",
        "forward-stragglers",
        "scale-down-source",
    ]


@pytest.mark.parametrize(
    ("broken", "problem"),
    [
        (plan_of(step(), step()), "step a: the id is used 2 times"),
        (plan_of(), "stage one: has no steps"),
        (plan_of(step(owner="Nobody")), "step a: owner 'Nobody' is none of Operator"),
        (plan_of(step(timeout_seconds=0)), "step a: timeout_seconds must be above 0"),
        (plan_of(step(reason="")), "step a: fulfils no line of the document and gives no reason"),
        (plan_of(step(way_back=Keep(""))), "step a: has no undo and does not say why"),
        (plan_of(step(way_back=NoReturn(""))), "step a: has no undo and does not say why"),
        (plan_of(step(way_back=Undo(timeout_seconds=1))), "step a: is to be undone, but Nothing has no undo"),
        (plan_of(step(fulfils=("9",))), "step a: fulfils line '9', which the document does not have"),
        (plan_of(step(), lines={"1": "Do it"}), "document line 1 (Do it) is fulfilled by no step"),
        (
            plan_of(step(), left_out={"1": "later"}),
            "left_out names line '1', which the document does not have",
        ),
        (
            plan_of(step(fulfils=("1",)), lines={"1": "Do it"}, left_out={"1": "later"}),
            "step a: fulfils line '1', which the plan says it leaves out",
        ),
        (
            plan_of(step(action=Nothing(("replicas",)))),
            "step a: needs the fact 'replicas', which no earlier step remembers",
        ),
        (
            plan_of(step(way_back=NoReturn("gone")), step("b", way_back=Undo(timeout_seconds=1))),
            "step b: has an undo, but stands behind a, from which there is no return",
        ),
    ],
)
def test_what_is_not_sound_is_named(broken: Plan, problem: str) -> None:
    assert any(found.startswith(problem) for found in check_plan(broken)), check_plan(broken)


def test_the_hash_is_the_same_in_another_process(settings: dict[str, Any], plan: Plan) -> None:
    code = (
        "import json, sys; from cutover.plans import build_plan; from stacks.settings import Environment;"
        "print(build_plan('boss-corestone', Environment.model_validate(json.load(sys.stdin))).hash)"
    )
    found = subprocess.run(
        [sys.executable, "-c", code],
        input=json.dumps(settings, default=str),
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={"PYTHONHASHSEED": "7"},
        timeout=60,
    )

    assert found.stdout.strip() == plan.hash


def test_the_hash_changes_with_the_settings(environment: Environment, plan: Plan) -> None:
    cutover = environment.cutover.model_copy(update={"soak_seconds": 21})
    other = environment.model_copy(update={"cutover": cutover})

    assert build_plan("boss-corestone", other).hash != plan.hash


def test_a_plan_holds_data_only() -> None:
    with pytest.raises(PlanError, match="holds data only"):
        specification(object())


def test_an_unknown_stage_step_or_plan_is_named(plan: Plan, environment: Environment) -> None:
    with pytest.raises(PlanError, match=r"no stage 'swich'; its stages are prepare, move"):
        plan.stage("swich")
    with pytest.raises(PlanError, match="no step 'x'"):
        plan.step("x")
    with pytest.raises(PlanError, match="no plan 'x'; the plans are boss-corestone"):
        build_plan("x", environment)


def test_the_runbook_names_every_step_with_owner_and_way_back(plan: Plan) -> None:
    text = markdown(plan)

    for item in plan.steps:
        assert f"### `{item.id}`: {item.title}" in text
    assert "Owner: Owner of the Huawei account" in text
    assert 'Document: "Solution: Assign an EIP to the Huawei Cloud RDS"' in text
    back = text[text.index("## The way back") :]
    order = [
        "scale-down-source",
        "forward-stragglers",
        "switch-bill.truewatch.com",
        "start-services",
        "lower-ttl",
    ]
    assert sorted(order, key=back.index) == order


def test_a_phase_is_gone_to_by_its_last_stage(environment: Environment) -> None:
    plan = build_plan("boss-corestone", environment)

    assert plan.stage("phase-1").id == "verify"
    assert plan.through("phase-1") == plan.through("verify")
    with pytest.raises(PlanError, match=r"no stage .phase-7.; its stages are prepare, .* its phases phase-1"):
        plan.stage("phase-7")


def test_a_stage_that_has_a_phases_name_is_a_problem(environment: Environment) -> None:
    plan = build_plan("boss-corestone", environment)
    renamed = replace(plan.stages[0], id="phase-1")

    found = check_plan(replace(plan, stages=(renamed, *plan.stages[1:])))

    assert "phase phase-1: a stage has the same name" in found
