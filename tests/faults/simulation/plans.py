"""The plans that are put to the test, each with its world. Another one is one more entry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from cutover.plan import Plan
from cutover.plans import build_plan
from stacks.settings import Environment
from tests.cutover.conftest import filled_settings
from tests.faults.simulation.world import SimulatedWorld


@dataclass(frozen=True)
class Case:
    """A plan and where it runs."""

    name: str
    environment: Environment
    plan: Plan
    world: Callable[[Environment], SimulatedWorld]


def _boss_corestone() -> Case:
    settings: dict[str, Any] = filled_settings(replication=True)
    cutover = settings["cutover"]
    # long waits are looked at as often as short ones: they are virtual, and each look is work
    cutover |= {"soak_seconds": 20, "source_quiet_seconds": 5}
    cutover["health_checks"] = {**cutover.get("health_checks", {}), "interval_ms": 2000}
    cutover["timeouts"] = {**cutover["timeouts"], "callers_seen": 10}
    environment = Environment.model_validate(settings)
    return Case("boss-corestone", environment, build_plan("boss-corestone", environment), SimulatedWorld)


_CASES: dict[str, Callable[[], Case]] = {"boss-corestone": _boss_corestone}
NAMES = tuple(_CASES)


@cache
def case(name: str) -> Case:
    """A plan's case, made once."""
    return _CASES[name]()
