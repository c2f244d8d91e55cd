"""The plan `rhoam`: 3scale moves from a cluster of the customer's into RHOAM on AWS.

Three parties own its steps, and four places are its phases: what is done ahead, the source cluster, the
migration cluster and the production cluster. It stops the service on purpose, from `stop-traffic` until the
customer's systems use the new routes. Until then the source is only read and scaled down: a rollback from any
step scales it up as it was.
"""

from __future__ import annotations

from collections.abc import Mapping

from cutover.errors import PlanError
from cutover.plan import Plan, Window
from cutover.plans.parts import settings_hash
from cutover.plans.rhoam_stages import ahead, migration, production, source
from cutover.plans.rhoam_stages.document import CONVERSION, CUSTOMER, ENGINEERING, SRE, document
from cutover.plans.rhoam_stages.parts import Parts
from stacks.settings import RhoamEnvironment


def rhoam(environment: RhoamEnvironment) -> Plan:
    """The plan for an environment's settings. Raises PlanError where they leave open what its steps are."""
    parts = Parts(environment)
    update = migration.update(parts)
    plan = Plan(
        id="rhoam",
        title="3scale from the customer's cluster into RHOAM",
        environment=environment.name,
        settings_hash=settings_hash(environment),
        owners=(SRE, ENGINEERING, CUSTOMER),
        document=document(_left_out(parts)),
        window=Window(
            begins="stop-traffic", ends="update-systems", agreed_seconds=parts.owners.window_seconds
        ),
        stages=(
            ahead.red_hat(parts),
            ahead.customer(parts),
            source.stop(parts),
            source.dump(parts),
            migration.convert(parts),
            migration.connect(parts),
            *(() if update is None else (update,)),
            migration.leave(parts),
            production.restore(parts),
            production.serve(parts),
            production.finish(parts),
            production.hand_over(parts),
        ),
    )
    if unknown := sorted(set(parts.settings.planned) - {step.id for step in plan.steps}):
        raise PlanError(f"threescale.planned names {', '.join(unknown)}, which is no step of the plan")
    return plan


def _left_out(parts: Parts) -> Mapping[str, str]:
    """The demands that these settings have no step for, each with the reason."""
    found: dict[str, str] = {}
    if not parts.converts:
        found |= dict.fromkeys(CONVERSION, "the source's system database is a PostgreSQL already")
    if parts.settings.destination.custom_domain is None:
        found["ahead.domain"] = "the settings name no custom domain: the destination cluster's own is used"
    if not parts.settings.updates:
        found["migration.updates"] = "the source's 3scale is of RHOAM's version already"
    if not any(item.sso for item in parts.tenants):
        reason = "the settings ask for single sign-on on no tenant"
        found |= {"production.sso": reason, "production.publish": reason}
    return found
