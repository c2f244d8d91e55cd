"""The plans that ship with landfall: each carries out one document."""

import importlib
from collections.abc import Callable, Mapping

from cutover.errors import PlanError
from cutover.plan import Plan
from cutover.plans.boss_corestone import boss_corestone
from stacks.settings import Environment

PLANS: Mapping[str, Callable[[Environment], Plan]] = {"boss-corestone": boss_corestone}


def build_plan(name: str, environment: Environment) -> Plan:
    """A plan for an environment: one of `PLANS`, or a function of one's own, as `module:function`.

    Raises:
        PlanError: there is no such plan, or the function yields none.
    """
    if name in PLANS:
        return PLANS[name](environment)
    module, _, function = name.partition(":")
    if not function:
        raise PlanError(
            f"there is no plan {name!r}; the plans are {', '.join(PLANS)}, or module:function of one's own"
        )
    try:
        plan = getattr(importlib.import_module(module), function)(environment)
    except (ImportError, AttributeError, TypeError) as error:
        raise PlanError(
            f"plan {name}: {error}; expected module:function that takes an environment"
        ) from error
    if not isinstance(plan, Plan):
        raise PlanError(f"plan {name}: expected a Plan, not {type(plan).__name__}")
    return plan
