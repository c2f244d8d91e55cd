"""The plans that ship with landfall: each carries out one document."""

from collections.abc import Callable, Mapping

from cutover.errors import PlanError
from cutover.plan import Plan
from cutover.plans.boss_corestone import boss_corestone
from stacks.settings import Environment

PLANS: Mapping[str, Callable[[Environment], Plan]] = {"boss-corestone": boss_corestone}


def build_plan(name: str, environment: Environment) -> Plan:
    """A plan for an environment. Raises PlanError where there is no such plan."""
    if name not in PLANS:
        raise PlanError(f"there is no plan {name!r}; the plans are {', '.join(PLANS)}")
    return PLANS[name](environment)
