"""What must be true of a pair of databases before one replicates to the other, and what to do otherwise."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from components.settings.engines import relational_release
from cutover.mysql import DatabaseError, Flavour, Session, quoted
from cutover.replication.model import Kind
from cutover.verification.catalog import Catalog

LONG_TRANSACTION_SECONDS = 60
LEAST_RETENTION_HOURS = 24
SPARE_SPACE = 1.2
"""The target needs the source's data and a fifth more, for indexes that are built and for binlogs."""
_SAME = (
    ("lower_case_table_names", "names of tables are found or not by their letter case"),
    ("sql_mode", "statements that one server takes are refused or changed by the other"),
    ("time_zone", "TIMESTAMP and NOW() are other values to applications that do not set their own zone"),
    ("explicit_defaults_for_timestamp", "TIMESTAMP columns get other defaults"),
    ("character_set_server", "new tables and connections get another character set"),
    ("collation_server", "new tables compare and sort text in another way"),
    ("group_concat_max_len", "long lists are cut off at another length"),
)


@dataclass(frozen=True)
class Finding:
    """Something that is in the way, or that somebody should know."""

    weight: Literal["error", "warning"]
    """`error`: the migration would fail or lose something; `warning`: it may."""
    about: str
    text: str
    advice: str

    def __str__(self) -> str:
        return f"{self.weight}: {self.about}: {self.text}. {self.advice}"


def inspect_pair(
    source: Session,
    target: Session,
    catalog: Catalog,
    *,
    forward: Kind,
    reverse: Kind,
    free_bytes: int | None = None,
) -> tuple[Finding, ...]:
    """Everything that is found. Raises DatabaseError where a server does not answer.

    Args:
        catalog: the source's.
        forward, reverse: what carries each direction.
        free_bytes: the target's free space, where it is known.
    """
    return (
        *offered(source.flavour),
        *_versions(source, target, forward),
        *_origin(source, "the forward replication", forward),
        *_origin(target, "the way back", reverse),
        *_same_variables(source, target),
        *_tables(catalog),
        *_definers(target, catalog),
        *_open_transactions(source),
        *_events(target, catalog),
        *_space(source, catalog, free_bytes),
    )


def offered(source: Flavour) -> Iterator[Finding]:
    """Whether a database of the source's own version can be had at RDS."""
    if source.family != "mysql":
        return
    try:
        release = relational_release("mysql", ".".join(map(str, source.version)))
    except ValueError as error:
        yield Finding(
            "warning",
            "version",
            f"the source's {source} cannot be had: {error}",
            "Rehearse the services on the target's version, or upgrade the source first",
        )
        return
    if release.extended:
        yield Finding(
            "warning",
            "version",
            f"the source's {source} is past its standard support, and RDS takes a further price for it",
            "Choose a newer version on the target",
        )


def _versions(source: Session, target: Session, forward: Kind) -> Iterator[Finding]:
    here, there = source.flavour, target.flavour
    if here.family != there.family and forward == "native":
        yield Finding(
            "error",
            "version",
            f"the source is {here}, the target {there}, and their GTIDs do not understand each other",
            "Choose `dms` as the forward replication",
        )
    if here.family == there.family and there.version[:2] < here.version[:2]:
        yield Finding(
            "error",
            "version",
            f"the target is {there}, older than the source, which is {here}",
            "Replication goes from an older version to a newer one: choose a newer version on the target",
        )
    if here.family == there.family and there.version[:2] > here.version[:2]:
        yield Finding(
            "warning",
            "version",
            f"the target is {there}, the source {here}: the way back goes from a newer version to an older",
            "Let no statement of the new version be used until the way back is given up, and rehearse it",
        )


def _origin(session: Session, purpose: str, kind: Kind) -> Iterator[Finding]:
    """What a server must offer to be replicated from."""
    about = f"binlog of the {session.server.name}"
    if session.variable("log_bin") != "ON":
        yield Finding(
            "error",
            about,
            f"it writes none, which {purpose} needs",
            "Turn on log_bin; on RDS: automatic backups",
        )
        return
    for name, wanted in (("binlog_format", "ROW"), ("binlog_row_image", "FULL")):
        if (found := session.variable(name) or wanted) != wanted:
            yield Finding(
                "error",
                about,
                f"{name} is {found}, which {purpose} needs to be {wanted}",
                f"Set it to {wanted}",
            )
    yield from _retention(session, about, purpose)
    if kind == "native":
        yield from _gtids(session, purpose)
    yield from _may_feed(session, purpose)


def _retention(session: Session, about: str, purpose: str) -> Iterator[Finding]:
    hours = retention_hours(session)
    if hours is not None and hours < LEAST_RETENTION_HOURS:
        yield Finding(
            "error",
            about,
            f"it is kept for {hours:g} hours; {purpose} is lost when it falls behind by more",
            f"Keep it for {LEAST_RETENTION_HOURS} hours or more: binlog_expire_logs_seconds, on RDS "
            "mysql.rds_set_configuration('binlog retention hours', …), on Huawei RDS its binlog settings",
        )


def retention_hours(session: Session) -> float | None:
    """How long the binlog is kept; None: for ever, or it is not said. Raises DatabaseError."""
    try:
        found = session.row("SELECT value FROM mysql.rds_configuration WHERE name = 'binlog retention hours'")
    except DatabaseError:
        found = None  # not RDS, or we may not read it
    if found is not None:
        return float(found[0] or 0)  # without a value RDS deletes binlogs as soon as it can
    seconds = session.variable("binlog_expire_logs_seconds")
    if seconds and int(seconds):
        return int(seconds) / 3600
    days = session.variable("expire_logs_days")
    return float(days) * 24 if days and float(days) else None


def _gtids(session: Session, purpose: str) -> Iterator[Finding]:
    about = f"GTIDs of the {session.server.name}"
    if session.flavour.family == "mysql" and (mode := session.variable("gtid_mode")) != "ON":
        yield Finding(
            "error", about, f"gtid_mode is {mode}, which {purpose} needs to be ON", "Turn it on step by step"
        )
    if session.variable("log_slave_updates") == "OFF" or session.variable("log_replica_updates") == "OFF":
        yield Finding(
            "error",
            about,
            f"what it applies as a replica does not reach its own binlog, which {purpose} needs",
            "Turn on log_replica_updates (log_slave_updates)",
        )


def _may_feed(session: Session, purpose: str) -> Iterator[Finding]:
    """Whether somebody with our rights could let an external replica in."""
    rights = {
        str(right)
        for (right,) in session.rows(
            "SELECT PRIVILEGE_TYPE FROM information_schema.USER_PRIVILEGES "
            "WHERE REPLACE(GRANTEE, '''', '') = CURRENT_USER()"
        )
    }
    wanted = {"REPLICATION SLAVE", "REPLICATION SLAVE ADMIN", "SUPER"}
    if not rights & wanted:
        yield Finding(
            "error",
            f"rights on the {session.server.name}",
            f"{session.server.user} has no REPLICATION SLAVE, so {purpose} cannot be let in",
            "Grant it; a managed database that does not allow it cannot feed an external replica",
        )


def _same_variables(source: Session, target: Session) -> Iterator[Finding]:
    for name, effect in _SAME:
        here, there = source.variable(name), target.variable(name)
        if here is not None and there is not None and _modes(here) != _modes(there):
            yield Finding(
                "error" if name == "lower_case_table_names" else "warning",
                name,
                f"{here!r} on the source, {there!r} on the target: {effect}",
                "Set it on the target as it is on the source"
                + (", when the instance is made" if name == "lower_case_table_names" else ""),
            )


def _modes(value: str) -> frozenset[str]:
    return frozenset(value.split(","))


def _tables(catalog: Catalog) -> Iterator[Finding]:
    for place, table in sorted(catalog.tables.items()):
        if not table.key:
            yield Finding(
                "warning",
                place,
                "it has no primary key: each change searches the whole table on the replica, and it is "
                "verified as a whole, under the fence too",
                "Give it a primary key, or record that its owner accepts that",
            )
        if table.engine.lower() != "innodb":
            yield Finding(
                "error",
                place,
                f"its engine is {table.engine}, which knows no transactions: a copy of it is not consistent",
                f"ALTER TABLE {quoted(table.schema, table.name)} ENGINE = InnoDB",
            )


def _definers(target: Session, catalog: Catalog) -> Iterator[Finding]:
    """Accounts by which views, triggers, events and routines run, and which the target does not have."""
    needed: dict[str, list[str]] = {}
    for kind in ("view", "trigger", "event", "routine"):
        for name, said in catalog.objects.get(kind, {}).items():
            if said.get("definer"):
                needed.setdefault(str(said["definer"]), []).append(f"{kind} {name}")
    try:
        there = {f"{user}@{host}" for user, host in target.rows("SELECT User, Host FROM mysql.user")}
    except DatabaseError:
        if needed:
            yield Finding(
                "warning",
                "definers",
                f"the accounts of the target cannot be read; {', '.join(needed)} must be among them",
                "Make sure that they are",
            )
        return
    for account, objects in sorted(needed.items()):
        if account not in there:
            yield Finding(
                "error",
                "definers",
                f"{account}, by whom {', '.join(objects[:3])} run, does not exist on the target",
                "Create it there with the same rights, or give those objects another definer",
            )


def _open_transactions(source: Session) -> Iterator[Finding]:
    rows = source.rows(
        "SELECT trx_mysql_thread_id, TIMESTAMPDIFF(SECOND, trx_started, NOW()) "
        "FROM information_schema.INNODB_TRX WHERE trx_mysql_thread_id > 0 "
        "AND trx_started < NOW() - INTERVAL %s SECOND",
        (LONG_TRANSACTION_SECONDS,),
    )
    for thread, seconds in rows:
        yield Finding(
            "warning",
            "open transactions",
            f"connection {thread} of the source has had a transaction open for {seconds} s",
            "A consistent copy waits for it, and the fence ends it: find out whose it is",
        )


def _events(target: Session, catalog: Catalog) -> Iterator[Finding]:
    """Events that run on both servers do everything twice."""
    if not catalog.objects.get("event"):
        return
    if target.variable("event_scheduler") == "ON":
        yield Finding(
            "error",
            "event scheduler",
            "it is ON on the target, so that events there run while the source still serves",
            "Turn it off, or let the events be DISABLED there, until the switch enables them",
        )


def _space(source: Session, catalog: Catalog, free_bytes: int | None) -> Iterator[Finding]:
    schemas = sorted({table.schema for table in catalog.tables.values()})
    if not schemas or free_bytes is None:
        return
    used = int(
        source.value(
            "SELECT COALESCE(SUM(DATA_LENGTH + INDEX_LENGTH), 0) FROM information_schema.TABLES "
            "WHERE TABLE_SCHEMA IN %s",
            (tuple(schemas),),
        )
    )
    if used * SPARE_SPACE > free_bytes:
        yield Finding(
            "error",
            "space",
            f"the source's data takes {used / 2**30:.1f} GiB, and the target has "
            f"{free_bytes / 2**30:.1f} GiB free",
            f"Give the target {used * SPARE_SPACE / 2**30:.0f} GiB or more",
        )


def errors(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Those that stand in the way."""
    return tuple(finding for finding in findings if finding.weight == "error")
