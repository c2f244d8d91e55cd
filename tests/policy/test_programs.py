"""The real programs under the controls: what they declare passes, and one change of it does not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from pydantic import TypeAdapter

from components.settings.exceptions import ControlException
from policy.control import Control
from policy.controls import CONTROLS
from policy.exceptions import covering
from policy.judgement import Resource
from stacks.build import stack_parts
from stacks.settings import load_any_environment
from tests.policy.edits import edited, verdicts
from tests.policy.evidence import evidence, page, table
from tests.policy.mutations import MUTATIONS
from tests.policy.programs import DAY, FLIPPED, STACKS, exceptions, program, write_settings
from tests.unit.recording import PROJECT

BY_ID = {control.id: control for control in CONTROLS}


def _violations(control: Control, stack: str, resources: Sequence[Resource] | None = None) -> list[str]:
    """What the pack would not let through: without exceptions."""
    named = TypeAdapter(tuple[ControlException, ...]).validate_python(exceptions(stack.partition("-")[0]))
    return [
        f"{control.id} {verdict.resource.name}: {'; '.join(verdict.failures)}"
        for verdict in verdicts(control, resources or program(stack))
        if verdict.failures and not covering(named, control.id, verdict.resource.name, DAY)
    ]


@pytest.mark.parametrize("stack", [*STACKS, *FLIPPED])
def test_what_is_declared_meets_every_control(stack: str) -> None:
    assert [found for control in CONTROLS for found in _violations(control, stack)] == []


def test_every_stack_of_both_environments_is_judged() -> None:
    with TemporaryDirectory() as name:
        write_settings(Path(name))
        declared = {
            f"{environment}-{part}" if part else environment
            for environment in ("prod", "rhoam")
            for part in stack_parts(load_any_environment(Path(name), environment))
        }
    assert {*STACKS, *FLIPPED} == declared
    for stack in FLIPPED:
        judged = [found for control in CONTROLS for found in verdicts(control, program(stack))]
        made = {found.type.partition(":")[0] for found in program(stack)}
        assert made & {"kubernetes", "cloudflare"} or stack == "rhoam-edge", "whose domains a customer names"
        assert judged == [], "a small stack declares nothing in AWS that would need a control"


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control.id)
def test_the_programs_give_each_control_something_to_judge(control: Control) -> None:
    judged = [verdict for stack in STACKS for verdict in verdicts(control, program(stack))]
    assert judged or control.id in {"EC2.21", "KMS.1"}, (
        "the programs have no network ACLs and managed policies"
    )


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control.id)
def test_one_change_of_a_program_is_not_let_through(control: Control) -> None:
    stack, edit = MUTATIONS[control.id]
    assert _violations(control, stack, edited(program(stack), [edit])) != []


@pytest.mark.parametrize("environment", ["prod", "rhoam"])
def test_every_exception_excuses_something(environment: str) -> None:
    named = TypeAdapter(tuple[ControlException, ...]).validate_python(exceptions(environment))
    stacks = [stack for stack in STACKS if stack.partition("-")[0] == environment]
    failing = {
        (verdict.control.id, verdict.resource.name)
        for stack in stacks
        for control in CONTROLS
        for verdict in verdicts(control, program(stack))
        if verdict.failures
    }
    for exception in named:
        assert any(exception.covers(*found, DAY) for found in failing), exception


def test_the_table_of_controls_holds_in_every_row(capsys: pytest.CaptureFixture[str]) -> None:
    rows = evidence()
    with capsys.disabled():
        print("\n" + table(rows))
    assert [row.control.id for row in rows if not row.holds] == []
    kept = (PROJECT / "docs" / "controls.md").read_text(encoding="utf-8")
    assert kept == page(rows), "python -m tests.policy.evidence docs/controls.md"
