"""The plan held against the document that it carries out, line by line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cutover.plan import Plan, Undo, check_plan
from cutover.plans.migration_document import DETAILS, LINES
from cutover.runbook import markdown

DOCUMENT = Path(__file__).with_name("migration_plan.txt")
"""The document's two phases and its rollback plan, as they were handed over."""
HEADINGS = {
    "Phase 1: Migrate Stateless Services (BOSS and Corestone)",
    "Rollback Plan",
    "1. Resource Migration",
    "2. ConfigMap Modifications",
    "3. DNS Configuration Changes",
    "4. Service Verification",
    "Phase 2: MySQL Database Migration",
    "1. Data Migration",
    "2. Cutover Procedure",
    "3. Service Validation",
}


def lines() -> list[str]:
    """The lines of the document without their bullets and, in its rollback plan, their numbers."""
    text = DOCUMENT.read_text(encoding="utf-8")
    bare = [line.strip().removeprefix("•").strip() for line in text.splitlines() if line.strip()]
    return [line if line in HEADINGS else line.lstrip("0123456789.").strip() for line in bare]


def test_every_line_is_a_heading_a_demand_or_a_detail() -> None:
    known = HEADINGS | set(LINES.values()) | set(DETAILS)

    assert [line for line in lines() if line not in known] == []


def test_nothing_is_made_up() -> None:
    assert [line for line in (*LINES.values(), *DETAILS) if line not in lines()] == []


def test_every_demand_has_a_step(plan: Plan) -> None:
    fulfilled = {line for step in plan.steps for line in step.fulfils}

    assert {line: LINES[line] for line in LINES if line not in fulfilled} == {
        line: LINES[line] for line in plan.document.left_out
    }
    assert all(plan.document.left_out.values())


def test_every_detail_belongs_to_a_demand_that_has_a_step(plan: Plan) -> None:
    fulfilled = {line for step in plan.steps for line in step.fulfils} | set(plan.document.left_out)

    assert {text: ids for text, ids in DETAILS.items() if not ids or not set(ids) <= fulfilled} == {}


def test_every_step_has_a_line_or_a_reason(plan: Plan) -> None:
    assert [step.id for step in plan.steps if not step.fulfils and not step.reason] == []


@pytest.mark.parametrize("line", [line for line in LINES if line.startswith("rollback.")])
def test_each_line_of_the_rollback_plan_stands_with_a_step_that_is_undone(plan: Plan, line: str) -> None:
    found = [step for step in plan.steps if line in step.fulfils]

    assert any(isinstance(step.way_back, Undo) for step in found)


def test_where_the_way_back_differs_the_runbook_says_so(plan: Plan) -> None:
    text = markdown(plan)

    assert plan.document.differs
    for difference in plan.document.differs:
        assert difference in text


def test_a_line_without_a_step_and_a_detail_without_a_line_are_problems(plan: Plan) -> None:
    document = plan.document
    more = replace(
        document,
        lines={**document.lines, "1.9": "Do more"},
        details={**document.details, "Much more": ("1.10",), "Nothing": ()},
    )

    assert check_plan(replace(plan, document=more)) == (
        "document line 1.9 (Do more) is fulfilled by no step",
        "detail 'Much more' belongs to line '1.10', which the document does not have",
        "detail 'Nothing' belongs to line 'none', which the document does not have",
    )
