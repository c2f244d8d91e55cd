"""What the second document, the move from a 3scale on premises to RHOAM with limited access, asks for.

Every line of it stands here in its own words and in its order, in sections: each has an owner, a goal, and
what belongs to the goal. A goal or a line below it that has an id is a demand, which steps of the plan
fulfil; the others say more about demands.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cutover.plan import Document

TITLE = "Migration from on-prem to RHOAM, with limited access to the customer's AWS account"

SRE, ENGINEERING, CUSTOMER = "Red Hat BU/SRE-P", "RHOAM Engineering", "Customer"
OWNERS = {
    "Red Hat - BU/SRE-P": SRE,
    "Red Hat - RHOAM Eng": ENGINEERING,
    "RHOAM Eng": ENGINEERING,
    "Customer": CUSTOMER,
}
"""The plan's name of an owner, by the document's."""
AHEAD, SOURCE, MIGRATION, PRODUCTION = "ahead", "source", "migration", "production"
"""The places of steps: ahead of the migration, and the three clusters. They are the plan's phases."""


@dataclass(frozen=True)
class Line:
    """A line below a goal. `id`: empty where it says more about the section's demands."""

    text: str
    id: str = ""
    bullet: bool = True


@dataclass(frozen=True)
class Section:
    """One goal of the document. `id`: empty where its lines are the demands."""

    place: str
    owner: str
    goal: str
    id: str = ""
    lines: tuple[Line, ...] = ()

    @property
    def demands(self) -> Mapping[str, str]:
        """The texts of its demands, by their ids."""
        found = {self.id: self.goal} if self.id else {}
        return found | {line.id: line.text for line in self.lines if line.id}

    @property
    def written(self) -> tuple[str, ...]:
        """Its lines as the document has them."""
        below = (f"- {line.text}" if line.bullet else line.text for line in self.lines)
        return (f"Owner : {self.owner}", f"Goal : {self.goal}", *below)


_SRE, _RED_HAT, _ENG, _CUSTOMER = OWNERS

INTRODUCTION = (
    "This document describes the necessary steps that are required in order to migrate from on-prem to RHOAM "
    "with Red Hat having limited access to customer's AWS account.",
    "Note: The following steps are subject to change",
    "These steps must be completed a day (or more) before the migration starts. All of the steps listed in "
    "this section are not service affecting and are done in order to minimize the time it takes to migrate.",
    "Note - All steps are to be run on the migration workspace instance",
)
HEADINGS: Mapping[str, tuple[str, ...]] = {
    AHEAD: (),
    SOURCE: (
        "Once all of the pre-requisites are met the migration can start",
        "Below are the steps to be performed on source cluster",
    ),
    MIGRATION: ("Below are the steps to be performed on the migration cluster",),
    PRODUCTION: ("Below are the steps required to be performed against production cluster and AWS account",),
}
"""What stands before the first section of a place."""

SECTIONS = (
    Section(
        AHEAD,
        _SRE,
        "Provide RHOAM Eng team with the access to:",
        lines=(
            Line("Destination AWS account", "ahead.account"),
            Line("Destination cluster kubeadmin access", "ahead.kubeadmin"),
        ),
    ),
    Section(AHEAD, _RED_HAT, "Confirm access to the resources from Pre-requisite 1", "ahead.access"),
    Section(
        AHEAD,
        _RED_HAT,
        "Create migration cluster and:",
        "ahead.cluster",
        lines=(
            Line("Confirm access to it", "ahead.cluster.access"),
            Line(
                "Install 3scale version matching the source 3scale version using -mas channel",
                "ahead.cluster.threescale",
            ),
        ),
    ),
    Section(AHEAD, _RED_HAT, "Configure stand alone VPC", "ahead.vpc"),
    Section(
        AHEAD,
        _RED_HAT,
        "On migration cluster AWS account standalone VPC create the following:",
        lines=(
            Line(
                "System database matching the same type and version that's used on source cluster",
                "ahead.stores.system",
            ),
            Line("Two Redis instances with version matching RHOAM version", "ahead.stores.redis"),
            Line(
                "In case if the system database is not PostgreSQL database type, provision PostgreSQL - this "
                "database will be used as the destination database during conversion from MySQL or Oracle to "
                "PostgreSQL",
                "ahead.stores.postgres",
            ),
        ),
    ),
    Section(AHEAD, _ENG, "Create migration workspace instance", "ahead.workspace"),
    Section(AHEAD, _CUSTOMER, "Create an S3 bucket with 3scale secrets in it", "ahead.bucket"),
    Section(AHEAD, _CUSTOMER, "Provide RHOAM Eng with the access to the S3 bucket", "ahead.bucket.access"),
    Section(
        AHEAD,
        _ENG,
        "Confirm that the access to the S3 is correct and that the bucket contents can be pulled",
        "ahead.bucket.confirmed",
    ),
    Section(
        AHEAD,
        _CUSTOMER,
        "Configure IDP on the destination cluster and confirm that the cluster is accessible via the IDP "
        "created",
        "ahead.idp",
    ),
    Section(AHEAD, _CUSTOMER, "Create custom domain CR on destination cluster", "ahead.domain"),
    Section(
        AHEAD,
        _CUSTOMER,
        "Trigger RHOAM installation, ensure that the following configuration is correct:",
        "ahead.rhoam",
        lines=(
            Line("SMTP", "ahead.rhoam.smtp"),
            Line("Custom domain", "ahead.rhoam.domain"),
            Line("Notification email address", "ahead.rhoam.email"),
            Line("Quota", "ahead.rhoam.quota"),
        ),
    ),
    Section(
        AHEAD,
        _ENG,
        "Scale down RHOAM Operator as soon as the APIManager is created on destination cluster",
        "ahead.hold",
    ),
    Section(
        AHEAD,
        _CUSTOMER,
        "Confirm that there's a rollback procedure in place in case of migration failure",
        "ahead.rollback",
    ),
    Section(
        SOURCE,
        _CUSTOMER,
        "Prepare 3scale instance for the migration:",
        lines=(
            Line("Stop traffic going to 3scale instance", "source.traffic"),
            Line("Clear the job queue or accept the potential data loss", "source.queue"),
            Line("Scale down 3scale instance", "source.down"),
            Line("To check the status of the 3scale queues follow the SOP:", bullet=False),
        ),
    ),
    Section(
        SOURCE,
        _CUSTOMER,
        "Perform data dump from:",
        lines=(
            Line("System database", "source.dump.database"),
            Line("Backend Redis instance", "source.dump.redis"),
            Line("Scale down 3scale instance", "source.dump.down"),
        ),
    ),
    Section(
        MIGRATION,
        _ENG,
        "Source system database with the dump provided by the customer",
        "migration.load",
    ),
    Section(MIGRATION, _ENG, "Upgrade the MySQL version from 5.28 to 8.X", "migration.upgrade"),
    Section(MIGRATION, _ENG, "Migrate from MySQL to PostgreSQL", "migration.convert"),
    Section(
        MIGRATION, _ENG, "Edit master routes and customer tenant/tenants admin routes", "migration.routes"
    ),
    Section(MIGRATION, _ENG, "Scale down 3scale instance", "migration.down"),
    Section(
        MIGRATION,
        _ENG,
        "Copy secrets from source to migration cluster and plug in AWS system database and Redises to 3scale "
        "instance",
        lines=(
            Line("Copy secrets:", "migration.secrets", bullet=False),
            Line("Plug in external databases to 3scale", "migration.plug", bullet=False),
        ),
    ),
    Section(
        MIGRATION,
        _ENG,
        "Scale up 3scale and confirm apis are accessible via master api calls",
        "migration.up",
    ),
    Section(
        MIGRATION,
        _ENG,
        "Perform 3scale updates up to version matching current RHOAM 3scale version",
        "migration.updates",
    ),
    Section(
        MIGRATION,
        _ENG,
        "Scale 3scale down and update master and customer tenant/tenants admin portal route to the route "
        "matching destination cluster",
        lines=(
            Line("Scale 3scale down:", "migration.down-again", bullet=False),
            Line(
                "Update master and customer tenant/tenants admin portal routes",
                "migration.routes-again",
                bullet=False,
            ),
        ),
    ),
    Section(
        MIGRATION,
        _ENG,
        "Perform backup of Postgres database and put backup in S3 bucket (if needed)",
        "migration.backup",
    ),
    Section(
        PRODUCTION,
        _ENG,
        "Scale 3scale down and push Postgres database dump to destination cluster via throwaway pod",
        lines=(
            Line("Scale down 3scale instance", "production.down", bullet=False),
            Line("Source system database with the PostgreSQL dump", "production.restore", bullet=False),
        ),
    ),
    Section(PRODUCTION, _ENG, "Recover backend backend Redis", "production.redis"),
    Section(PRODUCTION, _ENG, "Copy secrets from local to destination cluster", "production.secrets"),
    Section(
        PRODUCTION,
        _ENG,
        "Scale up 3scale and provide routes to the customer so that they can configure their systems with "
        "the new routes",
        "production.up",
    ),
    Section(PRODUCTION, _ENG, 'Set master account plan to "Enterprise"', "production.plan"),
    Section(
        PRODUCTION,
        _ENG,
        "Confirm 3scale is up and running, navigate to customer tenant/s (impresonate) make few api calls "
        "etc",
        "production.confirm",
    ),
    Section(PRODUCTION, _ENG, "Create RHOAM default tenant", "production.tenant"),
    Section(PRODUCTION, _ENG, "Scale up RHOAM", "production.rhoam"),
    Section(PRODUCTION, _ENG, "Wait for RHOAM Operator to finish installation", "production.wait"),
    Section(PRODUCTION, _ENG, "Create SSO integration on additional tenant", "production.sso"),
    Section(
        PRODUCTION,
        _CUSTOMER,
        "Publish SSO Integration by logging to 3scale and testing SSO Integration",
        "production.publish",
    ),
    Section(PRODUCTION, _CUSTOMER, "Perform verification steps", "production.verify"),
    Section(PRODUCTION, _CUSTOMER, "Update systems to point to new routes", "production.systems"),
)

LINES: Mapping[str, str] = {name: text for section in SECTIONS for name, text in section.demands.items()}
"""What the document asks for, by id, in its order."""
CONVERSION = ("ahead.stores.postgres", "migration.upgrade", "migration.convert")
"""What is there for a source whose database is none of PostgreSQL."""

DIFFERS = (
    "the source's 3scale operator is paused before anything is scaled, as it would scale it back",
    "the job queues are cleared while workers still run and gateways are stopped already, so nothing is "
    "added meanwhile; only then is the rest scaled down",
    "the document's lists have the source scaled down once before the dumps and once behind them: it is "
    "scaled down before them, so that they hold everything, and confirmed to be so behind them",
    "Secrets of the databases and Redis are not copied but written anew for each cluster, and so is the "
    "address of the backend's route",
    "the destination's database and Redis are those that the stack declares, so RHOAM's own Secrets are "
    "led there too: its operator writes 3scale's from them. As published it writes a Redis' address "
    "without TLS and user: a release that takes `username`, `password` and `tls` from those Secrets is "
    "needed, or `await-rhoam` finds the address changed and stops",
    "the master plan's line reads 'impresonate': a token of the master account's opens the tenant's portal "
    "as its own impersonation administrator",
)
"""Where the plan does otherwise than the document says, and why."""


def text() -> tuple[str, ...]:
    """The whole document, line by line."""
    found = list(INTRODUCTION)
    place = AHEAD
    for section in SECTIONS:
        if section.place != place:
            found += HEADINGS[section.place]
            place = section.place
        found += section.written
    return tuple(found)


def owner_of(line: str) -> str:
    """The plan's owner of a demand. Raises KeyError."""
    for section in SECTIONS:
        if line in section.demands:
            return OWNERS[section.owner]
    raise KeyError(line)


def place_of(line: str) -> str:
    """Where a demand is fulfilled. Raises KeyError."""
    for section in SECTIONS:
        if line in section.demands:
            return section.place
    raise KeyError(line)


def document(left_out: Mapping[str, str]) -> Document:
    """The document as a plan carries it. `left_out`: the reason, by the demand's id."""
    details: dict[str, tuple[str, ...]] = {
        INTRODUCTION[2]: tuple(name for name in LINES if name.startswith(f"{AHEAD}.")),
        INTRODUCTION[3]: tuple(name for name in LINES if name.startswith(f"{AHEAD}.")),
    }
    for section in SECTIONS:
        demands = tuple(section.demands)
        if not section.id:
            details[section.goal] = demands
        details |= {line.text: demands for line in section.lines if not line.id}
    return Document(title=TITLE, lines=LINES, details=details, left_out=left_out, differs=DIFFERS)
