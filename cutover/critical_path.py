"""Which steps need which, and the longest chain of them.

A runner does one step at a time, in the plan's order. What a step needs is less: the facts that another
remembers, the flip of the same stack before it, and what the plan says that it builds on. A step that
affects service is a bar across its stage: it needs all before it, and all behind needs it. A stage needs the
one before it. What stands beside the critical path has time to spare; what stands on it makes the night
longer when it is slow.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from cutover.actions.flip_stack import FlipStack
from cutover.plan import Plan, Step


@dataclass(frozen=True)
class Link:
    """A step that another one needs, and why."""

    before: str
    after: str
    why: str


@dataclass(frozen=True)
class Path:
    """The longest chain; `seconds` as far as times are known."""

    steps: tuple[str, ...]
    seconds: float
    rank: Mapping[str, int]
    """How many steps each step has before it."""


def links(plan: Plan) -> tuple[Link, ...]:
    """Within each stage; a stage as a whole needs the one before it."""
    return tuple(link for stage in plan.stages for link in _links(stage.steps))


def _links(steps: tuple[Step, ...]) -> Iterator[Link]:
    gives: dict[str, str] = {}
    flipped: dict[str, str] = {}
    bar = ""
    ends: list[str] = []
    for step in steps:
        needed = dict.fromkeys(step.after, "it builds on it")
        needed |= {gives[fact]: f"the fact {fact}" for fact in step.action.needs if fact in gives}
        if isinstance(step.action, FlipStack):
            if step.action.stack in flipped:
                needed.setdefault(flipped[step.action.stack], f"the stack {step.action.stack}")
            flipped[step.action.stack] = step.id
        if step.affects_service:
            for name in ends:
                needed.setdefault(name, "it affects service")
        elif bar and not needed:
            needed[bar] = "it comes behind what affects service"
        gives |= dict.fromkeys(step.action.gives, step.id)
        ends = [name for name in ends if name not in needed] + [step.id]
        bar = step.id if step.affects_service else bar
        yield from (Link(before, step.id, why) for before, why in needed.items())


def critical_path(plan: Plan, times: Mapping[str, float]) -> Path:
    """By time where times are known, else by number of steps."""
    needs: dict[str, list[str]] = {}
    for link in links(plan):
        needs.setdefault(link.after, []).append(link.before)
    chain: list[str] = []
    rank: dict[str, int] = {}
    first = 0
    for stage in plan.stages:
        cost: dict[str, tuple[float, int]] = {}
        through: dict[str, str] = {}
        for step in stage.steps:
            before = max(needs.get(step.id, ()), key=lambda name: cost[name], default="")
            spent, count = cost[before] if before else (0.0, 0)
            cost[step.id] = (spent + times.get(step.id, 0.0), count + 1)
            through[step.id] = before
            rank[step.id] = max((rank[name] + 1 for name in needs.get(step.id, ())), default=first)
        chain += _back(stage.steps, cost, through)
        first = 1 + max((rank[step.id] for step in stage.steps), default=first - 1)
    return Path(tuple(chain), sum(times.get(name, 0.0) for name in chain), rank)


def _back(
    steps: tuple[Step, ...], cost: Mapping[str, tuple[float, int]], through: Mapping[str, str]
) -> list[str]:
    name = max((step.id for step in steps), key=lambda item: cost[item], default="")
    found = []
    while name:
        found.append(name)
        name = through[name]
    return found[::-1]
