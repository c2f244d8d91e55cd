"""The plans that are put to the test, each with its world. Another one is one more entry."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from cutover.plan import Plan
from cutover.plans import build_plan
from stacks.settings import Environment
from tests.cutover.conftest import filled_settings
from tests.faults.kill_worlds import rhoam as killed_world
from tests.faults.simulation.rhoam import SimulatedRhoam
from tests.faults.simulation.simulated import Simulated
from tests.faults.simulation.world import SimulatedWorld


@dataclass(frozen=True)
class Case:
    """A plan and where it runs."""

    name: str
    plan: Plan
    world: Callable[[], Simulated]
    """A new one."""
    waits: tuple[str, float] = ("", 0.0)
    """What a run says that ends because the plan asks for time to pass, and how many seconds."""
    ways_back: Mapping[str, str] = field(default_factory=dict)
    """What a halt says whose way on is a rollback, and the stage to which."""
    calls: int = 1300
    """About how many calls the way there takes when nothing fails."""


def _boss_corestone() -> Case:
    settings: dict[str, Any] = filled_settings(replication=True)
    cutover = settings["cutover"]
    # long waits are looked at as often as short ones: they are virtual, and each look is work
    cutover |= {"soak_seconds": 20, "source_quiet_seconds": 5}
    cutover["health_checks"] = {**cutover.get("health_checks", {}), "interval_ms": 2000}
    cutover["timeouts"] = {**cutover["timeouts"], "callers_seen": 10}
    environment = Environment.model_validate(settings)
    plan = build_plan("boss-corestone", environment)
    return Case("boss-corestone", plan, lambda: SimulatedWorld(environment))


def _rhoam() -> Case:
    kind = killed_world()
    day = ("the migration begins 24 h after it", 86_400.0)  # somebody is told a day ahead
    return Case(
        "rhoam",
        kind.plan,
        lambda: SimulatedRhoam(kind.environment),
        day,
        {"take back the steps from the one that plugs in": "convert"},
        1100,
    )


_CASES: dict[str, Callable[[], Case]] = {"boss-corestone": _boss_corestone, "rhoam": _rhoam}
NAMES = tuple(_CASES)


@cache
def case(name: str) -> Case:
    """A plan's case, made once."""
    return _CASES[name]()
