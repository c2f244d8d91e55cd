"""The plans that ship with landfall: each carries out one document."""

import importlib
from collections.abc import Callable, Mapping
from typing import Any

from cutover.errors import PlanError
from cutover.plan import Plan
from cutover.plans.boss_corestone import boss_corestone
from cutover.plans.rhoam import rhoam
from stacks.settings import AnyEnvironment, Environment, RhoamEnvironment

PLANS: Mapping[str, tuple[type[AnyEnvironment], Callable[[Any], Plan]]] = {
    "boss-corestone": (Environment, boss_corestone),
    "rhoam": (RhoamEnvironment, rhoam),
}
"""By name: the kind of settings that a plan is made from, and what makes it."""


def build_plan(name: str, environment: AnyEnvironment) -> Plan:
    """A plan for an environment: one of `PLANS`, or a function of one's own, as `module:function`.

    Raises:
        PlanError: there is no such plan, the settings are another plan's, or the function yields none.
    """
    if name in PLANS:
        kind, make = PLANS[name]
        if not isinstance(environment, kind):
            fitting = ", ".join(plan for plan, (other, _) in PLANS.items() if isinstance(environment, other))
            raise PlanError(
                f"plan {name} is not for the settings of {environment.name}, which plan {fitting} is for: "
                f"--plan {fitting}, or --environment with another"
            )
        return make(environment)
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
