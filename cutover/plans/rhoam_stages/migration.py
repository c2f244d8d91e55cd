"""The stages on the migration cluster: the database changes its version and its kind, 3scale its version."""

from __future__ import annotations

from cutover.plan import Keep, Stage, Step
from cutover.plans.rhoam_stages.document import ENGINEERING, MIGRATION
from cutover.plans.rhoam_stages.parts import Parts, chained
from cutover.plans.rhoam_stages.source import DATABASE_DUMP
from cutover.threescale.domains import EditDomains
from cutover.threescale.plug_in import PluggedIn, PlugIn
from cutover.threescale.routes import HostsAnswer, ResyncRoutes, RoutesAdmitted
from cutover.threescale.scaling import (
    PauseOperator,
    RememberReplicas,
    ResumeOperator,
    ScaledDown,
    ScaleDown,
    ScaleUp,
)
from cutover.threescale.secrets import CopySecrets, SecretsMatch
from cutover.threescale.tenants import AskMaster, MasterAnswers
from cutover.threescale.versions import ThreescaleIs, ThreescaleReady, UpdateThreescale
from cutover.transfer import CompareAcross, ConvertToPostgres, DumpDatabase, LoadDatabase, UpgradeDatabase

POSTGRES_DUMP = "migrated-system"
_WRITTEN_ANEW = Keep("the migration cluster's 3scale serves nobody; the next attempt writes it anew")
_FREE = "the migration cluster's 3scale serves nobody, and the step needs nothing of the source's data"
_NEVER_OLDER = Keep(
    "3scale goes to no older version; before the next attempt the source's version is installed anew, which "
    "the gate of `remember-source` asks for"
)


def convert(parts: Parts) -> Stage:
    """The database of the source becomes a PostgreSQL."""
    loaded, converted = parts.loaded_database, parts.converted_database
    seconds = parts.settings.dump_seconds
    steps: tuple[Step, ...] = (
        parts.step(
            "load-database",
            "Load the source's dump into the system database of the standalone VPC",
            ENGINEERING,
            LoadDatabase(dump=parts.dump(DATABASE_DUMP), target=loaded),
            fulfils=("migration.load",),
            way_back=parts.undo(seconds),
            seconds=seconds,
        ),
    )
    if parts.converts:
        steps += (
            parts.step(
                "upgrade-mysql",
                f"Upgrade MySQL to {parts.settings.upgrade_to}",
                ENGINEERING,
                UpgradeDatabase(database=loaded, to=parts.settings.upgrade_to),
                fulfils=("migration.upgrade",),
                way_back=Keep(
                    "a server goes to no older version; the dump and the snapshot before the upgrade are "
                    "kept, and the next attempt loads into the newer one"
                ),
                seconds=seconds,
            ),
            parts.step(
                "convert-database",
                "Convert the system database from MySQL to PostgreSQL",
                ENGINEERING,
                ConvertToPostgres(source=loaded, target=converted),
                fulfils=("migration.convert",),
                way_back=parts.undo(seconds),
                seconds=seconds,
            ),
            parts.step(
                "compare-databases",
                "Compare everything across the two kinds of database",
                ENGINEERING,
                CompareAcross(source=loaded, target=converted),
                reason="a conversion changes types: rows, values and sequences are compared before use",
                seconds=seconds,
            ),
        )
    return Stage(
        id="convert",
        title="The system database is loaded"
        + (", upgraded and converted to PostgreSQL" if parts.converts else ""),
        phase=MIGRATION,
        steps=chained(*steps),
    )


def connect(parts: Parts) -> Stage:
    """3scale of the source's version runs on the moved data."""
    site, stores, copies = parts.site("migration"), parts.stores("migration"), parts.copies("migration")
    scaling = parts.scaling_seconds
    return Stage(
        id="connect",
        title="3scale of the migration cluster works on the source's data",
        phase=MIGRATION,
        steps=chained(
            parts.step(
                "edit-routes",
                "Move master's and the tenants' routes to the migration cluster's domain",
                ENGINEERING,
                EditDomains(database=parts.converted_database, site=site, tenants=parts.tenant_names),
                fulfils=("migration.routes",),
                way_back=Keep("it goes with the database"),
            ),
            parts.step(
                "remember-migration",
                "Remember how 3scale of the migration cluster runs",
                ENGINEERING,
                RememberReplicas(site=site),
                reason="it is scaled up to the same again",
                could_be_ahead=_FREE,
            ),
            parts.step(
                "pause-migration-operator",
                "Pause the migration cluster's 3scale operator",
                ENGINEERING,
                PauseOperator(cluster="migration", workload=site.operator, seconds=parts.limits.pods_gone),
                reason="it would scale back what is scaled down, and revert Secrets that are edited",
                way_back=parts.undo(parts.limits.pods_ready),
                seconds=parts.limits.pods_gone,
                could_be_ahead=_FREE,
            ),
            parts.step(
                "scale-down-migration",
                "Scale down 3scale of the migration cluster",
                ENGINEERING,
                ScaleDown(site=site, components=site.components, seconds=parts.limits.pods_gone),
                fulfils=("migration.down",),
                way_back=Keep("it serves nobody; the next attempt scales it down all the same"),
                seconds=scaling,
                could_be_ahead=_FREE,
            ),
            parts.step(
                "copy-secrets-migration",
                "Copy the Secrets that must match to the migration cluster",
                ENGINEERING,
                CopySecrets(copies=copies),
                fulfils=("migration.secrets",),
                way_back=_WRITTEN_ANEW,
                could_be_ahead=_FREE,
            ),
            parts.step(
                "plug-in-migration",
                "Plug the standalone VPC's database and both Redis into 3scale",
                ENGINEERING,
                PlugIn(stores=stores),
                fulfils=("migration.plug",),
                checks=(SecretsMatch(copies=copies),),
                way_back=_WRITTEN_ANEW,
                could_be_ahead=_FREE,
            ),
            parts.step(
                "scale-up-migration",
                "Scale up 3scale of the migration cluster",
                ENGINEERING,
                ScaleUp(site=site, components=site.components, seconds=parts.limits.pods_ready),
                fulfils=("migration.up",),
                gates=(
                    ThreescaleIs(site=site, version=parts.version),
                    SecretsMatch(copies=copies),
                    PluggedIn(stores=stores),
                ),
                way_back=parts.undo(scaling),
                seconds=scaling,
            ),
            parts.step(
                "resume-migration-operator",
                "Let its operator run again",
                ENGINEERING,
                ResumeOperator(cluster="migration", workload=site.operator, seconds=parts.limits.pods_ready),
                reason="updates are its work; and what it would revert is seen here, and not on production",
                checks=(
                    ThreescaleReady(site=site, seconds=parts.limits.pods_ready),
                    SecretsMatch(copies=copies),
                    PluggedIn(stores=stores),
                ),
                way_back=parts.undo(parts.limits.pods_gone),
                seconds=parts.limits.pods_ready * 2,
            ),
            parts.step(
                "resync-migration",
                "Let zync make the routes of the moved tenants",
                ENGINEERING,
                ResyncRoutes(site=site, seconds=parts.limits.pods_ready),
                reason="zync makes routes when accounts change, and the rows were changed beneath 3scale",
                checks=(
                    RoutesAdmitted(site=site, tenants=parts.tenant_names, seconds=parts.limits.pods_ready),
                    HostsAnswer(site=site, path=parts.settings.health, seconds=parts.limits.pods_ready),
                ),
                seconds=parts.limits.pods_ready * 3,
            ),
            parts.step(
                "ask-migration",
                "Confirm that the APIs answer, by master API calls",
                ENGINEERING,
                AskMaster(site=site, tenants=parts.tenant_names, seconds=parts.limits.pods_ready),
                fulfils=("migration.up",),
                seconds=parts.limits.pods_ready,
            ),
        ),
    )


def update(parts: Parts) -> Stage | None:
    """3scale's version becomes RHOAM's, one after the other; None where it is that already."""
    site, stores, copies = parts.site("migration"), parts.stores("migration"), parts.copies("migration")
    before = parts.version
    steps = []
    updates = parts.settings.updates
    for number, item in enumerate(updates, start=1):
        steps.append(
            parts.step(
                f"update-to-{item.version}",
                f"Update 3scale from {before} to {item.version}",
                ENGINEERING,
                UpdateThreescale(
                    site=site,
                    before=before,
                    version=item.version,
                    channel=item.channel,
                    later=tuple(after.version for after in updates[number:]),
                    seconds=parts.settings.update_seconds,
                ),
                fulfils=("migration.updates",),
                checks=(
                    SecretsMatch(copies=copies),
                    PluggedIn(stores=stores),
                    MasterAnswers(site=site, tenants=parts.tenant_names, seconds=parts.limits.pods_ready),
                ),
                way_back=_NEVER_OLDER,
                seconds=parts.settings.update_seconds + parts.limits.pods_ready,
            )
        )
        before = item.version
    if not steps:
        return None
    return Stage(
        id="update", title=f"3scale is RHOAM's version, {before}", phase=MIGRATION, steps=chained(*steps)
    )


def leave(parts: Parts) -> Stage:
    """The data is made ready for the destination, and taken."""
    site = parts.site("migration")
    scaling = parts.scaling_seconds
    return Stage(
        id="leave",
        title="The data has the destination's routes, and is backed up",
        phase=MIGRATION,
        steps=chained(
            parts.step(
                "pause-migration-operator-again",
                "Pause the migration cluster's 3scale operator again",
                ENGINEERING,
                PauseOperator(cluster="migration", workload=site.operator, seconds=parts.limits.pods_gone),
                reason="it would scale back what is scaled down",
                way_back=parts.undo(parts.limits.pods_ready),
                seconds=parts.limits.pods_gone,
            ),
            parts.step(
                "scale-down-migration-again",
                "Scale down 3scale of the migration cluster",
                ENGINEERING,
                ScaleDown(site=site, components=site.components, seconds=parts.limits.pods_gone),
                fulfils=("migration.down-again",),
                way_back=parts.undo(scaling),
                seconds=scaling,
            ),
            parts.step(
                "edit-routes-again",
                "Move master's and the tenants' routes to the destination's domain",
                ENGINEERING,
                EditDomains(
                    database=parts.converted_database,
                    site=parts.site("destination"),
                    tenants=parts.tenant_names,
                    back=site,
                ),
                fulfils=("migration.routes-again",),
                gates=(ScaledDown(site=site, components=site.components),),
                way_back=parts.undo(parts.limits.call),
            ),
            parts.step(
                "back-up-postgres",
                "Back up the PostgreSQL into the bucket",
                ENGINEERING,
                DumpDatabase(source=parts.converted_database, dump=parts.dump(POSTGRES_DUMP)),
                fulfils=("migration.backup",),
                gates=(ScaledDown(site=site, components=site.components),),
                way_back=Keep("the backup stays in the bucket until the bucket's own age limit"),
                seconds=parts.settings.dump_seconds,
            ),
        ),
    )
