"""The stages on the source cluster: the service stops here, and its data is taken."""

from __future__ import annotations

from cutover.actions.base import Condition
from cutover.actions.confirm import Confirm
from cutover.plan import Keep, Stage
from cutover.plans.rhoam_stages.ahead import day_old
from cutover.plans.rhoam_stages.document import CUSTOMER, ENGINEERING, SOURCE
from cutover.plans.rhoam_stages.parts import Parts, chained
from cutover.threescale.inventory import TakeInventory
from cutover.threescale.queues import EmptyQueues
from cutover.threescale.scaling import PauseOperator, RememberReplicas, ScaledDown, ScaleDown
from cutover.threescale.tenants import AskMaster, MasterAnswers
from cutover.threescale.versions import ThreescaleIs
from cutover.transfer import DumpDatabase, DumpRedis

GATEWAYS = ("apicast-production", "apicast-staging", "backend-listener")
"""What takes requests that are counted: ended first, while workers go on with what is queued."""
DATABASE_DUMP, REDIS_DUMP = "source-system", "source-backend-redis"
_KEPT_DUMP = Keep(
    "the dump stays in the bucket, as evidence and for the next attempt, until the bucket's own age limit"
)


def stop(parts: Parts) -> Stage:
    """From here on users are without the service."""
    site = parts.site("source")
    rest = tuple(name for name in site.components if name not in GATEWAYS)
    scaling = parts.scaling_seconds
    begins = parts.owners
    return Stage(
        id="stop",
        title="The service on the source stands still",
        phase=SOURCE,
        steps=chained(
            parts.step(
                "remember-source",
                "Remember how the source runs",
                ENGINEERING,
                RememberReplicas(site=site),
                reason="the way back scales everything to what it was",
                gates=(day_old(parts), ThreescaleIs(site=site, version=parts.version)),
            ),
            parts.step(
                "confirm-source",
                "See that the source's master API lists every tenant that is to move",
                ENGINEERING,
                AskMaster(site=site, tenants=parts.tenant_names, seconds=parts.limits.call * 3),
                reason="a tenant's name that is written wrongly is found while the service still runs",
                seconds=parts.limits.call * 30,
            ),
            parts.step(
                "agree-to-begin",
                "Say that the migration begins, and stop changing anything",
                CUSTOMER,
                parts.asked(
                    "From now on nobody changes anything: stop whatever calls the admin portals' APIs, "
                    "tell your administrators and the developers who sign up, and put up the notice of "
                    "maintenance. The service is stopped next, for at most "
                    f"{begins.window_seconds / 3600:g} h as planned.",
                    "who has said so to whom",
                    ahead=False,
                    take_back="changes may be made again, and the notice of maintenance taken down",
                ),
                fulfils=("source.traffic",),
                way_back=parts.undo(0),
                seconds=parts.person_seconds,
            ),
            parts.step(
                "pause-source-operator",
                "Pause the source's 3scale operator",
                CUSTOMER,
                PauseOperator(cluster="source", workload=site.operator, seconds=parts.limits.pods_gone),
                reason="it would scale back what is scaled down",
                way_back=parts.undo(parts.limits.pods_ready),
                seconds=parts.limits.pods_gone,
            ),
            parts.step(
                "stop-traffic",
                "Stop the traffic to 3scale: gateways and the backend's listener",
                CUSTOMER,
                ScaleDown(site=site, components=GATEWAYS, seconds=parts.limits.pods_gone),
                fulfils=("source.traffic",),
                affects_service=True,
                way_back=parts.undo(scaling),
                seconds=scaling,
            ),
            parts.step(
                "clear-queue",
                "Wait until the job queues are empty, or accept by name that what is in them is lost",
                CUSTOMER,
                EmptyQueues(
                    instructions=(
                        "Jobs are left in 3scale's queues. Either clear them: open the master portal at "
                        "/sidekiq, look at Queues, Retries and Scheduled, and press `Retry now` or delete "
                        "them; as soon as they are empty the migration goes on by itself. Or approve this "
                        "step: then what is left is lost (mails, webhooks, counts), and your name stands "
                        "for it."
                    ),
                    evidence="why the loss of what is left is accepted",
                    due_seconds=parts.owners.due_seconds,
                    site=site,
                    image=parts.settings.redis_image,
                    seconds=parts.settings.queue_seconds,
                    look_seconds=parts.limits.probe,
                ),
                fulfils=("source.queue",),
                way_back=Keep("what is queued is worked on once the workers run again"),
                seconds=parts.settings.queue_seconds + parts.person_seconds,
            ),
            parts.step(
                "take-inventory",
                "Write down what the tenants hold",
                ENGINEERING,
                TakeInventory(site=site, tenants=parts.tenants),
                reason="accounts, applications, plans, keys and counters are compared with it after the move",
                gates=(MasterAnswers(site=site, tenants=parts.tenant_names, seconds=parts.limits.call * 3),),
                seconds=parts.settings.dump_seconds,
            ),
            parts.step(
                "scale-down-source",
                "Scale down the rest of 3scale",
                CUSTOMER,
                ScaleDown(site=site, components=rest, seconds=parts.limits.pods_gone),
                fulfils=("source.down",),
                affects_service=True,
                way_back=parts.undo(scaling),
                seconds=scaling,
            ),
        ),
    )


def dump(parts: Parts) -> Stage:
    """The data leaves the source; its databases run on, and are only read."""
    site = parts.site("source")
    seconds = parts.settings.dump_seconds
    still: tuple[Condition, ...] = (ScaledDown(site=site, components=site.components),)
    return Stage(
        id="dump",
        title="The source's system database and backend Redis are dumped",
        phase=SOURCE,
        steps=chained(
            parts.step(
                "dump-database",
                "Dump the system database",
                CUSTOMER,
                DumpDatabase(source=parts.source_database, dump=parts.dump(DATABASE_DUMP)),
                fulfils=("source.dump.database",),
                gates=still,
                way_back=_KEPT_DUMP,
                seconds=seconds,
            ),
            parts.step(
                "dump-redis",
                "Dump the backend's Redis",
                CUSTOMER,
                DumpRedis(source=parts.source_redis, dump=parts.dump(REDIS_DUMP)),
                fulfils=("source.dump.redis",),
                gates=still,
                way_back=_KEPT_DUMP,
                seconds=seconds,
            ),
            parts.step(
                "confirm-source-down",
                "Confirm that 3scale has been down all along",
                CUSTOMER,
                Confirm(still),
                fulfils=("source.dump.down",),
            ),
        ),
    )
