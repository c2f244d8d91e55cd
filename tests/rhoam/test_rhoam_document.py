"""The plan `rhoam` held against its document, line by line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cutover.actions.agree import Agree
from cutover.actions.person import Person
from cutover.errors import PlanError
from cutover.plan import NoReturn, Plan, Undo, check_plan
from cutover.plans import build_plan
from cutover.plans.rhoam_stages.document import (
    AHEAD,
    LINES,
    MIGRATION,
    OWNERS,
    PRODUCTION,
    SECTIONS,
    SOURCE,
    owner_of,
    place_of,
    text,
)
from cutover.runbook import markdown
from stacks.settings import RhoamEnvironment

DOCUMENT = Path(__file__).with_name("document.txt")
"""The document as it was handed over."""


def place(plan: Plan, step: str) -> str:
    return plan.stage_of(step).phase


def test_the_plan_knows_the_whole_document_in_its_order() -> None:
    lines = [line.strip() for line in DOCUMENT.read_text(encoding="utf-8").splitlines() if line.strip()]

    assert list(text()) == lines


def test_the_plan_is_sound(plan: Plan) -> None:
    assert check_plan(plan) == ()


def test_every_demand_has_a_step(plan: Plan) -> None:
    fulfilled = {line for step in plan.steps for line in step.fulfils}

    assert [line for line in LINES if line not in fulfilled] == []
    assert plan.document.left_out == {}


def test_every_section_is_a_demand_or_has_some() -> None:
    assert [section.goal for section in SECTIONS if not section.demands] == []
    assert len(LINES) == sum(len(section.demands) for section in SECTIONS)


def test_every_step_has_a_line_or_a_reason(plan: Plan) -> None:
    assert [step.id for step in plan.steps if not step.fulfils and not step.reason] == []


def test_every_step_has_the_owner_of_its_lines(plan: Plan) -> None:
    wrong = [
        (step.id, step.owner, line)
        for step in plan.steps
        for line in step.fulfils
        if step.owner != owner_of(line)
    ]

    assert wrong == []
    assert set(plan.owners) == set(OWNERS.values())


def test_every_step_is_in_the_place_of_its_lines(plan: Plan) -> None:
    wrong = [
        (step.id, line)
        for step in plan.steps
        for line in step.fulfils
        if place(plan, step.id) != place_of(line)
    ]

    assert wrong == []
    assert list(dict.fromkeys(stage.phase for stage in plan.stages)) == [AHEAD, SOURCE, MIGRATION, PRODUCTION]


def test_steps_come_in_the_order_of_their_lines(plan: Plan) -> None:
    order = list(LINES)
    reached = 0
    for step in plan.steps:
        for line in step.fulfils:
            at = order.index(line)
            # a line that takes several steps is come back to; a later one is never begun before an earlier
            done = {name for earlier in plan.steps[: plan.steps.index(step)] for name in earlier.fulfils}
            assert at >= reached or line in done or line == "ahead.rhoam", (step.id, line)
            reached = max(reached, at)


def test_nothing_that_is_done_ahead_affects_service(plan: Plan) -> None:
    assert [s.id for s in plan.steps if place(plan, s.id) == AHEAD and s.affects_service] == []
    assert next(step.id for step in plan.steps if step.affects_service) == "stop-traffic"


def test_the_first_step_on_the_source_holds_the_age_of_what_was_done_ahead(plan: Plan) -> None:
    first = next(step for step in plan.steps if place(plan, step.id) == SOURCE)

    assert any(type(gate).__name__ == "AheadIsDayOld" for gate in first.gates)


def test_people_are_told_what_to_do_and_what_counts_as_evidence(plan: Plan) -> None:
    people = [step for step in plan.steps if isinstance(step.action, Person)]

    assert [s.id for s in people if not s.action.instructions or not s.action.evidence] == []  # type: ignore[attr-defined]
    assert [s.id for s in people if s.action.due_seconds is None] == []  # type: ignore[attr-defined]
    assert {step.owner for step in people} == set(plan.owners)


def test_owners_may_do_ahead_what_is_theirs_side_by_side(plan: Plan) -> None:
    early = [
        step.id
        for step in plan.steps
        if isinstance(step.action, Person) and step.action.asked_early is not None
    ]

    assert early
    assert {place(plan, name) for name in early} == {AHEAD}


def test_two_people_pass_the_point_of_no_return(plan: Plan) -> None:
    last = next(step for step in plan.steps if isinstance(step.way_back, NoReturn))
    before = [step for step in plan.steps if isinstance(step.action, Agree)]

    assert last.id == "update-systems" == plan.steps[-1].id
    assert {step.owner for step in before} == {"RHOAM Engineering", "Customer"}


def test_whatever_changes_the_source_has_an_undo(plan: Plan) -> None:
    changing = {"pause-source-operator", "stop-traffic", "scale-down-source"}

    assert {
        step.id for step in plan.steps if step.id in changing and isinstance(step.way_back, Undo)
    } == changing


@pytest.mark.parametrize(
    ("change", "left_out"),
    [
        ({"updates": []}, {"migration.updates"}),
        ({"destination": {}}, {"ahead.domain"}),
        (
            {"tenants": [{"name": "acme", "token_env": "ACME_TOKEN", "sso": False}]},
            {"production.sso", "production.publish"},
        ),
    ],
)
def test_what_settings_make_needless_is_left_out_with_a_reason(
    settings: dict[str, Any], change: dict[str, Any], left_out: set[str]
) -> None:
    settings["threescale"] |= change
    plan = build_plan("rhoam", RhoamEnvironment.model_validate(settings))

    assert check_plan(plan) == ()
    assert set(plan.document.left_out) == left_out
    assert all(plan.document.left_out.values())


def test_a_source_with_postgresql_is_not_converted(settings: dict[str, Any]) -> None:
    settings["source_database"] = "postgresql"
    settings["migration"]["system_database"] = settings["migration"].pop("conversion_database")
    plan = build_plan("rhoam", RhoamEnvironment.model_validate(settings))

    assert check_plan(plan) == ()
    assert {"upgrade-mysql", "convert-database"} & {step.id for step in plan.steps} == set()
    assert set(plan.document.left_out) == {"ahead.stores.postgres", "migration.upgrade", "migration.convert"}


def test_a_line_without_a_step_is_a_problem(plan: Plan) -> None:
    document = replace(plan.document, lines={**plan.document.lines, "production.more": "Do more"})

    assert check_plan(replace(plan, document=document)) == (
        "document line production.more (Do more) is fulfilled by no step",
    )


def test_the_plan_is_for_settings_of_its_kind(environment: RhoamEnvironment) -> None:
    with pytest.raises(
        PlanError, match="boss-corestone is not for the settings of rhoam, which plan rhoam is"
    ):
        build_plan("boss-corestone", environment)


def test_the_runbook_has_every_line_of_the_document(plan: Plan) -> None:
    written = markdown(plan)

    assert [line for line in LINES.values() if f'"{line}"' not in written] == []
    for difference in plan.document.differs:
        assert difference in written


def test_each_partys_runbook_has_its_steps_and_no_other(plan: Plan) -> None:
    for owner in plan.owners:
        written = markdown(plan, owner=owner)
        assert [step.id for step in plan.steps if f"### `{step.id}`" in written] == [
            step.id for step in plan.steps if step.owner == owner
        ]
