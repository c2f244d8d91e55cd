"""The stages on the production cluster: RHOAM's 3scale serves the customer's tenants."""

from __future__ import annotations

from cutover.actions.agree import Agree
from cutover.plan import Keep, NoReturn, Stage
from cutover.plans.rhoam_stages.document import CUSTOMER, ENGINEERING, PRODUCTION
from cutover.plans.rhoam_stages.migration import POSTGRES_DUMP
from cutover.plans.rhoam_stages.parts import CHANGES_NOTHING, Parts, chained
from cutover.plans.rhoam_stages.source import REDIS_DUMP
from cutover.threescale.default_tenant import TOKEN, CreateDefaultTenant
from cutover.threescale.inventory import InventoryEqual
from cutover.threescale.plug_in import PluggedIn, PlugIn
from cutover.threescale.rhoam import AwaitRhoam
from cutover.threescale.routes import GiveRoutes, HostsAnswer, ResyncRoutes, RoutesAdmitted
from cutover.threescale.scaling import (
    PauseOperator,
    RememberReplicas,
    ResumeOperator,
    ScaledDown,
    ScaleDown,
    ScaleUp,
)
from cutover.threescale.secrets import CopySecrets, SecretsMatch
from cutover.threescale.sso import SsoIntegration, SsoPublished
from cutover.threescale.tenants import ConfirmTenants, MasterAnswers, SetMasterPlan
from cutover.threescale.versions import ThreescaleIs, ThreescaleReady
from cutover.transfer import CompareRedis, RecoverRedis, RestoreByPod

_WITH_THE_DATABASE = Keep("it is in the destination's database, which is emptied with `restore-postgres`")
_FREE = "RHOAM's 3scale serves nobody yet, and the step needs nothing of the moved data"
_WRITTEN_ANEW = Keep("the destination's 3scale serves nobody yet; the next attempt writes it anew")


def restore(parts: Parts) -> Stage:
    """The data is on the destination."""
    site, stores, copies = parts.site("destination"), parts.stores("destination"), parts.copies("destination")
    scaling, seconds = parts.scaling_seconds, parts.settings.dump_seconds
    down = ScaledDown(site=site, components=site.components)
    version = parts.settings.updates[-1].version if parts.settings.updates else parts.version
    return Stage(
        id="restore",
        title="RHOAM's 3scale stands still, and its database, Redis and Secrets are the customer's",
        phase=PRODUCTION,
        steps=chained(
            parts.step(
                "remember-destination",
                "Remember how RHOAM's 3scale runs",
                ENGINEERING,
                RememberReplicas(site=site),
                reason="it is scaled up to the same again",
                gates=(ThreescaleIs(site=site, version=version),),
                could_be_ahead=_FREE,
            ),
            parts.step(
                "pause-destination-operator",
                "Pause RHOAM's 3scale operator",
                ENGINEERING,
                PauseOperator(cluster="destination", workload=site.operator, seconds=parts.limits.pods_gone),
                reason="it would scale back what is scaled down, and revert Secrets that are edited",
                way_back=parts.undo(parts.limits.pods_ready),
                seconds=parts.limits.pods_gone,
                could_be_ahead=_FREE,
            ),
            parts.step(
                "scale-down-destination",
                "Scale down RHOAM's 3scale",
                ENGINEERING,
                ScaleDown(site=site, components=site.components, seconds=parts.limits.pods_gone),
                fulfils=("production.down",),
                way_back=Keep("it serves nobody, and its database is emptied on the way back"),
                seconds=scaling,
                could_be_ahead=_FREE,
            ),
            parts.step(
                "restore-postgres",
                "Push the backup into the destination's PostgreSQL, by a throwaway pod",
                ENGINEERING,
                RestoreByPod(
                    dump=parts.dump(POSTGRES_DUMP),
                    target=parts.destination_database,
                    cluster="destination",
                    namespace=site.namespace,
                    image=parts.settings.restore_image,
                    deadline_seconds=seconds,
                ),
                fulfils=("production.restore",),
                gates=(down,),
                way_back=parts.undo(seconds),
                seconds=seconds,
            ),
            parts.step(
                "restore-redis",
                "Recover the backend's Redis",
                ENGINEERING,
                RecoverRedis(dump=parts.dump(REDIS_DUMP), target=parts.redis("", "backend")),
                fulfils=("production.redis",),
                gates=(down,),
                way_back=parts.undo(seconds),
                seconds=seconds,
            ),
            parts.step(
                "compare-redis",
                "Compare the backend's Redis with the dump",
                ENGINEERING,
                CompareRedis(dump=parts.dump(REDIS_DUMP), target=parts.redis("", "backend")),
                reason="usage counters and keys that are missing are found before anybody is let in",
                seconds=seconds,
            ),
            parts.step(
                "copy-secrets-destination",
                "Copy the Secrets that must match to the destination cluster",
                ENGINEERING,
                CopySecrets(copies=copies),
                fulfils=("production.secrets",),
                way_back=_WRITTEN_ANEW,
                could_be_ahead=_FREE,
            ),
            parts.step(
                "plug-in-destination",
                "Plug the destination's database and both Redis into RHOAM's 3scale",
                ENGINEERING,
                PlugIn(stores=stores),
                reason="RHOAM's Secrets say where its data is, and its operator writes 3scale's from them",
                checks=(SecretsMatch(copies=copies),),
                way_back=_WRITTEN_ANEW,
                could_be_ahead=_FREE,
            ),
        ),
    )


def serve(parts: Parts) -> Stage:
    """RHOAM's 3scale serves the moved tenants; nobody has been sent there yet."""
    site, stores, copies = parts.site("destination"), parts.stores("destination"), parts.copies("destination")
    settings = parts.settings
    ready = parts.limits.pods_ready
    master = MasterAnswers(site=site, tenants=parts.tenant_names, seconds=ready)
    email = settings.default_tenant.email
    return Stage(
        id="serve",
        title="RHOAM's 3scale serves the customer's tenants on their new routes",
        phase=PRODUCTION,
        steps=chained(
            parts.step(
                "scale-up-destination",
                "Scale up RHOAM's 3scale",
                ENGINEERING,
                ScaleUp(site=site, components=site.components, seconds=ready),
                fulfils=("production.up",),
                gates=(SecretsMatch(copies=copies, but=(TOKEN,)), PluggedIn(stores=stores)),
                way_back=parts.undo(parts.scaling_seconds),
                seconds=parts.scaling_seconds,
            ),
            parts.step(
                "resync-destination",
                "Let zync make the routes of the moved tenants",
                ENGINEERING,
                ResyncRoutes(site=site, seconds=ready),
                reason="zync makes routes when accounts change, and the rows were changed beneath 3scale",
                checks=(
                    RoutesAdmitted(site=site, tenants=parts.tenant_names, seconds=ready),
                    HostsAnswer(site=site, path=settings.health, seconds=ready),
                    master,
                ),
                seconds=ready * 4,
            ),
            parts.step(
                "give-routes",
                "Give the customer the new routes",
                ENGINEERING,
                GiveRoutes(site=site),
                fulfils=("production.up",),
            ),
            parts.step(
                "set-enterprise-plan",
                'Set the master account\'s plan to "Enterprise"',
                ENGINEERING,
                SetMasterPlan(site=site),
                fulfils=("production.plan",),
                way_back=_WITH_THE_DATABASE,
                seconds=parts.limits.call * 30,
            ),
            parts.step(
                "confirm-tenants",
                "Open each tenant's portal, make a few API calls, and compare with what was written down",
                ENGINEERING,
                ConfirmTenants(site=site, tenants=parts.tenants, seconds=ready),
                fulfils=("production.confirm",),
                checks=(InventoryEqual(site=site, tenants=parts.tenants),),
                seconds=settings.dump_seconds,
            ),
            parts.step(
                "create-default-tenant",
                "Create RHOAM's default tenant",
                ENGINEERING,
                CreateDefaultTenant(
                    site=site,
                    tenant=settings.default_tenant,
                    email=email if isinstance(email, str) else "",
                    also_in=settings.destination.rhoam_namespace,
                    seconds=ready,
                ),
                fulfils=("production.tenant",),
                way_back=_WITH_THE_DATABASE,
                seconds=parts.limits.call * 30 + ready,
            ),
        ),
    )


def finish(parts: Parts) -> Stage:
    """RHOAM has finished its installation around the moved 3scale."""
    site, stores = parts.site("destination"), parts.stores("destination")
    settings = parts.settings
    rhoam = settings.destination
    ready = parts.limits.pods_ready
    single = tuple(item for item in parts.tenants if item.sso)
    steps = [
        parts.step(
            "scale-up-rhoam",
            "Scale up RHOAM's operators: 3scale's first, then RHOAM's own",
            ENGINEERING,
            ResumeOperator(cluster="destination", workload=site.operator, seconds=ready),
            reason="3scale's operator is back before RHOAM's looks for it",
            way_back=parts.undo(parts.limits.pods_gone),
            seconds=ready,
        ),
        parts.step(
            "resume-rhoam",
            "Scale up RHOAM",
            ENGINEERING,
            ResumeOperator(cluster="destination", workload=parts.rhoam_operator, seconds=ready),
            fulfils=("production.rhoam",),
            way_back=parts.undo(parts.limits.pods_gone),
            seconds=ready,
        ),
        parts.step(
            "await-rhoam",
            "Wait until RHOAM's operator has finished its installation",
            ENGINEERING,
            AwaitRhoam(
                cluster="destination",
                namespace=rhoam.rhoam_namespace,
                installation=rhoam.installation,
                seconds=settings.install_seconds,
            ),
            fulfils=("production.wait",),
            checks=(
                PluggedIn(stores=stores),
                ThreescaleReady(site=site, seconds=ready),
                MasterAnswers(
                    site=site, tenants=(*parts.tenant_names, settings.default_tenant.name), seconds=ready
                ),
                InventoryEqual(site=site, tenants=parts.tenants),
            ),
            seconds=settings.install_seconds + ready * 3,
        ),
    ]
    if single:
        steps += [
            parts.step(
                "create-sso",
                "Create the SSO integration on the moved tenants",
                ENGINEERING,
                SsoIntegration(
                    site=site, namespace=rhoam.sso_namespace, realm=rhoam.sso_realm, tenants=single
                ),
                fulfils=("production.sso",),
                way_back=_WITH_THE_DATABASE,
                seconds=parts.limits.call * 60,
            ),
            parts.step(
                "publish-sso",
                "Try the SSO integration, and publish it",
                CUSTOMER,
                parts.asked(
                    f"Log in to the admin portal of {', '.join(item.name for item in single)} on its new "
                    "route (the routes are listed by `cutover status --owner customer`), go to Account "
                    "Settings > Users > SSO Integrations, test the flow of `Red Hat Single Sign-On`, and "
                    "publish it.",
                    "who has logged in by it",
                    ahead=False,
                ),
                fulfils=("production.publish",),
                checks=(SsoPublished(site=site, tenants=single),),
                way_back=_WITH_THE_DATABASE,
                seconds=parts.person_seconds,
            ),
        ]
    return Stage(
        id="finish",
        title="RHOAM has finished around the moved 3scale, and people log in by its single sign-on",
        phase=PRODUCTION,
        steps=chained(
            *steps,
            parts.step(
                "verify",
                "Perform the verification steps",
                CUSTOMER,
                parts.asked(
                    "On the new routes, with clients of your own and nobody else's: call APIs of each "
                    "tenant through the gateway with existing keys, see calls without a key refused, see "
                    "the counters move, sign in to the admin and the developer portals, and look at "
                    "accounts, applications and plans. Whatever is written there is lost if it is rolled "
                    "back.",
                    "what was tried, and where the results are",
                    ahead=False,
                ),
                fulfils=("production.verify",),
                checks=(HostsAnswer(site=site, path=settings.health, seconds=ready),),
                way_back=_WITH_THE_DATABASE,
                seconds=parts.person_seconds,
            ),
        ),
    )


def hand_over(parts: Parts) -> Stage:
    """The customer's systems use RHOAM; from here on there is no way back."""
    seconds, due = parts.person_seconds, parts.owners.due_seconds
    asks = (
        "From `update-systems` on, what users write is on RHOAM alone, and the source cannot take over "
        "again without losing it. Look at the report so far (`cutover report`) and at `verify`, and agree "
        "that it goes on."
    )
    return Stage(
        id="hand-over",
        title="The customer's systems use RHOAM",
        phase=PRODUCTION,
        steps=chained(
            parts.step(
                "agree-engineering",
                "Agree that there is no way back from here",
                ENGINEERING,
                Agree(instructions=asks, evidence="what was looked at", due_seconds=due),
                reason="the point of no return is passed by two people",
                way_back=CHANGES_NOTHING,
                seconds=seconds,
            ),
            parts.step(
                "agree-customer",
                "Agree too",
                CUSTOMER,
                Agree(
                    instructions=asks,
                    evidence="what was looked at",
                    due_seconds=due,
                    besides=("agree-engineering",),
                ),
                reason="the point of no return is passed by two people",
                way_back=CHANGES_NOTHING,
                seconds=seconds,
            ),
            parts.step(
                "update-systems",
                "Point the systems to the new routes",
                CUSTOMER,
                parts.asked(
                    "Change your DNS records, your gateways and whatever calls 3scale's API to the new "
                    "routes (`cutover status --owner customer` lists them), and take down the notice of "
                    "maintenance.",
                    "which systems were changed, and by whom",
                    ahead=False,
                ),
                fulfils=("production.systems",),
                affects_service=True,
                checks=(
                    HostsAnswer(
                        site=parts.site("destination"),
                        path=parts.settings.health,
                        seconds=parts.limits.pods_ready,
                    ),
                ),
                way_back=NoReturn("users write on RHOAM from here on, and the source does not hear of it"),
                seconds=seconds,
            ),
        ),
    )
