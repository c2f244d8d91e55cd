"""What needs what, and the longest chain."""

from cutover.critical_path import critical_path, links
from cutover.plan import Plan
from tests.watch.stage import make_plan


def test_a_step_that_affects_service_is_a_bar_across_its_stage(plan: Plan) -> None:
    needs = {(link.before, link.after) for link in links(plan)}

    assert ("switch-bill.truewatch.com", "soak-bill.truewatch.com") in needs
    assert ("soak-bill.truewatch.com", "switch-corestone.truewatch.com") in needs
    assert ("remember-ttl", "lower-ttl") in needs or ("remember-ttl", "await-old-ttl") in needs


def test_each_step_stands_behind_what_it_needs_and_behind_the_stage_before(plan: Plan) -> None:
    found = critical_path(plan, {})

    assert all(found.rank[link.before] < found.rank[link.after] for link in links(plan))
    for stage, following in zip(plan.stages, plan.stages[1:], strict=False):
        highest = max(found.rank[step.id] for step in stage.steps)
        assert all(found.rank[step.id] > highest for step in following.steps)


def test_times_decide_which_chain_is_the_longest() -> None:
    plan = make_plan(1, 3)  # s1-1 affects service, s1-2 and s1-3 stand beside each other behind it

    assert critical_path(plan, {"s1-1": 1, "s1-2": 5, "s1-3": 2}).steps == ("s1-1", "s1-2")
    slow = critical_path(plan, {"s1-1": 1, "s1-2": 5, "s1-3": 7})
    assert (slow.steps, slow.seconds) == (("s1-1", "s1-3"), 8)


def test_a_plan_of_5000_steps_is_worked_out() -> None:
    assert len(critical_path(make_plan(50, 100), {}).steps) == 100
