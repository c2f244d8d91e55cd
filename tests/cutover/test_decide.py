"""What comes next, from any history."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cutover.decide import Do, Reached, Refuse, TakeBack, decide, stage_before
from cutover.history import BACK, FORWARD, OPERATOR, Heading, History, Status, StepHistory
from cutover.plan import Document, Keep, NoReturn, Plan, Stage, Step
from tests.cutover.test_plan import step


def plan_of(*stages: tuple[Step, ...]) -> Plan:
    return Plan(
        id="test",
        title="A test",
        environment="prod",
        settings_hash="",
        owners=("Operator",),
        document=Document(title="A document", lines={}),
        stages=tuple(Stage(id=f"s{i}", title="", steps=steps) for i, steps in enumerate(stages)),
    )


PLAN = plan_of((step("a"), step("b")), (step("c"),), (step("d"), step("e")))
statuses = st.lists(st.sampled_from(Status), min_size=5, max_size=5)
stages = st.sampled_from([None, "s0", "s1", "s2"])


def history_of(found: list[Status]) -> History:
    return History(steps={name: StepHistory(status) for name, status in zip("abcde", found, strict=True)})


@given(statuses, stages)
def test_forward_is_the_first_step_that_is_not_done(found: list[Status], until: str | None) -> None:
    decision = decide(PLAN, history_of(found), Heading(FORWARD, until, OPERATOR))

    within = [item.id for item in PLAN.through(until)]
    left = [name for name in within if found["abcde".index(name)] != Status.DONE]
    if not left:
        assert decision == Reached()
    else:
        assert isinstance(decision, Do)
        assert decision.step.id == left[0]
        status = found["abcde".index(left[0])]
        assert decision.look_first == (status != Status.PENDING)
        assert decision.broken_off == (status in (Status.BEGUN, Status.UNDO_BEGUN))


@given(statuses, stages)
def test_back_is_the_last_step_of_which_anything_was_begun(found: list[Status], until: str | None) -> None:
    decision = decide(PLAN, history_of(found), Heading(BACK, until, OPERATOR))

    beyond = [item.id for item in PLAN.beyond(until)]
    left = [name for name in beyond if found["abcde".index(name)] != Status.PENDING]
    if not left:
        assert decision == Reached()
    else:
        assert isinstance(decision, TakeBack)
        assert decision.step.id == left[-1]


@given(statuses, stages, st.sampled_from([FORWARD, BACK]))
def test_following_decisions_always_ends(found: list[Status], until: str | None, direction: str) -> None:
    history = history_of(found)
    for _ in range(6):
        match decide(PLAN, history, Heading(direction, until, OPERATOR)):
            case Do(item):
                history.step(item.id).status = Status.DONE
            case TakeBack(item):
                history.step(item.id).status = Status.PENDING
            case _:
                return
    raise AssertionError("five steps took more than five decisions")


def test_there_is_no_way_back_past_a_point_of_no_return() -> None:
    plan = plan_of((step("a"),), (step("b", way_back=NoReturn("the source was ended")),), (step("c"),))
    history = History(steps={name: StepHistory(Status.DONE) for name in "abc"})

    assert decide(plan, history, Heading(BACK, None, OPERATOR)) == Refuse(
        "step b was begun, and from there is no return: the source was ended"
    )
    assert isinstance(decide(plan, history, Heading(BACK, "s1", OPERATOR)), TakeBack)


def test_a_step_that_was_not_begun_does_not_bar_the_way_back() -> None:
    plan = plan_of((step("a", way_back=Keep("nothing")), step("b", way_back=NoReturn("gone"))))
    history = History(steps={"a": StepHistory(Status.DONE)})

    assert isinstance(decide(plan, history, Heading(BACK, None, OPERATOR)), TakeBack)


def test_the_stage_before() -> None:
    assert stage_before(PLAN, "s0") is None
    assert stage_before(PLAN, "s2") == "s1"
