"""Checks across sections. Each names the sections it needs, so that it runs even where others are wrong."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from components.settings.access import NotificationSettings
from components.settings.cache import CacheSettings
from components.settings.replication import ReplicationSettings
from stacks.settings.moving import (
    PARTS,
    SIDES,
    AcceptedCaller,
    CallerSettings,
    MoveSettings,
    Verification,
)
from stacks.settings.parts import (
    CloudflareSettings,
    ConfigEntry,
    DatabaseSettings,
    DomainSettings,
    KubernetesSide,
    RecordSettings,
    WorkloadName,
    WorkloadSettings,
)
from stacks.settings.problems import CrossProblem, Path
from stacks.settings.rhoam_checks import apart, convertible, taken_by_rhoam, told


def cross_check(sections: Mapping[str, Any]) -> list[CrossProblem]:
    """All contradictions between the sections that are given; a check whose section is absent is skipped."""
    return [
        problem
        for needed, check in _CHECKS
        if all(name in sections for name in needed)
        for problem in check(*(sections[name] for name in needed))
    ]


def _domains_in_zones(
    domains: tuple[RecordSettings, ...], cloudflare: CloudflareSettings
) -> Iterator[CrossProblem]:
    for index, domain in enumerate(domains):
        if domain.zone not in cloudflare.zones:
            known = ", ".join(cloudflare.zones)
            yield CrossProblem(
                ("domains", index, "zone"), domain.zone, f"a zone declared in cloudflare.zones ({known})"
            )
        elif domain.name != domain.zone and not domain.name.endswith(f".{domain.zone}"):
            yield CrossProblem(
                ("domains", index, "name"), domain.name, f"a name inside the zone {domain.zone}"
            )


def _domains_once(domains: tuple[RecordSettings, ...]) -> Iterator[CrossProblem]:
    yield from _once(("domains",), "name", [domain.name for domain in domains])


def _workloads_once(
    shared: tuple[WorkloadName, ...], workloads: tuple[WorkloadSettings, ...]
) -> Iterator[CrossProblem]:
    seen = {workload.key for workload in shared}
    yield from _once(("shared_workloads",), "name", [workload.key for workload in shared])
    yield from _once(("workloads",), "name", [workload.key for workload in workloads])
    for index, workload in enumerate(workloads):
        if workload.key in seen:
            yield CrossProblem(
                ("workloads", index, "name"), workload.key, "a workload that is not in shared_workloads too"
            )


def _domains_served(
    domains: tuple[DomainSettings, ...], workloads: tuple[WorkloadSettings, ...]
) -> Iterator[CrossProblem]:
    names = {domain.name: domain for domain in domains}
    for index, workload in enumerate(workloads):
        if workload.domain is None:
            continue
        if workload.domain not in names:
            yield CrossProblem(
                ("workloads", index, "domain"),
                workload.domain,
                f"one of the declared domains ({', '.join(names)})",
            )
        elif names[workload.domain].service.partition("/")[0] != workload.namespace:
            yield CrossProblem(
                ("workloads", index, "namespace"),
                workload.namespace,
                f"the namespace of the domain's service, {names[workload.domain].service}",
            )
    for index, domain in enumerate(domains):
        shared = [other.name for other in domains if other.service == domain.service]
        selectors = [workload.selector for workload in workloads if workload.domain in shared]
        if not selectors:
            yield CrossProblem(
                ("domains", index, "service"),
                domain.service,
                "the Service of a domain that one of the workloads names as its own",
            )
        elif any(selector != selectors[0] for selector in selectors):
            yield CrossProblem(
                ("domains", index, "name"),
                domain.name,
                "workloads of one selector behind one domain's service",
            )


def _entries_once(entries: tuple[ConfigEntry, ...]) -> Iterator[CrossProblem]:
    names = [f"{entry.namespace}/{entry.config_map}:{entry.key}" for entry in entries]
    yield from _once(("config_entries",), "key", names)


def _buffers_once(buffers: tuple[Any, ...]) -> Iterator[CrossProblem]:
    yield from _once(("buffers",), "name", [buffer.name for buffer in buffers])


def _told(
    notifications: NotificationSettings | None,
    database: DatabaseSettings,
    cache: CacheSettings | None,
    replication: ReplicationSettings | None,
) -> Iterator[CrossProblem]:
    """What has alarms needs somebody to tell."""
    sections: tuple[tuple[Path, object], ...] = (
        (("database", "target"), database.target),
        (("cache",), cache),
        (("replication",), replication),
    )
    for path, section in sections:
        if section is not None and notifications is None:
            yield CrossProblem(path, section, "the section notifications too, which its alarms go to")


def _replication_fits(
    database: DatabaseSettings, replication: ReplicationSettings | None
) -> Iterator[CrossProblem]:
    target = database.target
    if target is not None and target.engine != database.engine:
        yield CrossProblem(
            ("database", "target", "engine"), target.engine, f"{database.engine}, the source's engine"
        )
    if target is not None and target.database_name != database.name:
        yield CrossProblem(
            ("database", "target", "database_name"),
            target.database_name,
            f"{database.name}, as the source's database is called",
        )
    if replication is not None and database.engine == "postgres" and database.further:
        yield CrossProblem(
            ("database", "further"), database.further, "none, as a task replicates one database of PostgreSQL"
        )
    if len(set(database.names)) < len(database.names):
        yield CrossProblem(
            ("database", "further"), database.further, f"each database once, and not {database.name} again"
        )
    if replication is not None and target is None:
        yield CrossProblem(("replication",), replication, "the section database.target, which it writes to")
    if replication is not None and replication.forward == "native" and database.engine != "mysql":
        yield CrossProblem(
            ("replication", "forward"), replication.forward, f"dms, as the engine is {database.engine}"
        )


def _clusters_named(clusters: dict[str, KubernetesSide]) -> Iterator[CrossProblem]:
    for name in clusters:
        if name in PARTS:
            yield CrossProblem(
                ("clusters", name), name, "another name, as a stack of the environment is called so"
            )


def _clusters_known(
    clusters: dict[str, KubernetesSide],
    callers: tuple[CallerSettings, ...],
    accepted_callers: tuple[AcceptedCaller, ...],
    verifications: tuple[Verification, ...],
) -> Iterator[CrossProblem]:
    known = (*SIDES, *clusters)
    expected = f"source, target or one of the section clusters ({', '.join(clusters) or 'which is empty'})"
    sections = {"callers": callers, "accepted_callers": accepted_callers, "verifications": verifications}
    for section, items in sections.items():
        for index, item in enumerate(items):
            if item.cluster not in known:
                yield CrossProblem((section, index, "cluster"), item.cluster, expected)


def _callers_once(
    callers: tuple[CallerSettings, ...], accepted_callers: tuple[AcceptedCaller, ...]
) -> Iterator[CrossProblem]:
    names = [f"{caller.cluster}: {caller.key}" for caller in callers]
    yield from _once(("callers",), "name", names)
    accepted = [f"{caller.cluster}: {caller.key}" for caller in accepted_callers]
    yield from _once(("accepted_callers",), "name", accepted)
    for index, name in enumerate(accepted):
        if name in names:
            yield CrossProblem(
                ("accepted_callers", index, "name"), name, "a caller that is not among the callers too"
            )
    entries = [
        ((index, number), f"{caller.cluster}: {caller.namespace}/{entry.config_map}:{entry.key}")
        for index, caller in enumerate(callers)
        for number, entry in enumerate(caller.entries)
    ]
    for position, (place, entry) in enumerate(entries):
        if entry in [other for _, other in entries[:position]]:
            yield CrossProblem(
                ("callers", place[0], "entries", place[1], "key"), entry, "an entry that stands here once"
            )


def _callers_not_on_target(callers: tuple[CallerSettings, ...]) -> Iterator[CrossProblem]:
    for index, caller in enumerate(callers):
        if caller.cluster == "target" and caller.entries:
            yield CrossProblem(
                ("callers", index, "entries"),
                caller.entries,
                "none on the target, whose entries are config_entries",
            )


def _verifications_once(verifications: tuple[Verification, ...]) -> Iterator[CrossProblem]:
    yield from _once(("verifications",), "name", [found.name for found in verifications])


def _all_moved(
    move: MoveSettings | None,
    shared: tuple[WorkloadName, ...],
    workloads: tuple[WorkloadSettings, ...],
) -> Iterator[CrossProblem]:
    """What is scaled and switched has to be in the backup."""
    if move is None:
        return
    moved = {namespace.name: namespace.only for namespace in move.velero.namespaces}
    yield from _once(
        ("move", "velero", "namespaces"), "name", [namespace.name for namespace in move.velero.namespaces]
    )
    for section, items in (("shared_workloads", shared), ("workloads", workloads)):
        for index, item in enumerate(items):
            if item.namespace not in moved:
                yield CrossProblem(
                    (section, index, "namespace"),
                    item.namespace,
                    f"one of move.velero.namespaces ({', '.join(moved)})",
                )
            elif moved[item.namespace] and item.name not in moved[item.namespace]:
                yield CrossProblem(
                    (section, index, "name"),
                    item.name,
                    f"one of what moves from {item.namespace} ({', '.join(moved[item.namespace])})",
                )


def _once(path: Path, key: str, names: list[str]) -> Iterator[CrossProblem]:
    for index, name in enumerate(names):
        if (first := names.index(name)) < index:
            yield CrossProblem(
                (*path, index, key),
                name,
                f"a name of its own: {'.'.join(map(str, path))}[{first}] has it too",
            )


_CHECKS: tuple[tuple[tuple[str, ...], Callable[..., Iterator[CrossProblem]]], ...] = (
    (("domains", "cloudflare"), _domains_in_zones),
    (("notifications", "database", "cache", "replication"), _told),
    (("database", "replication"), _replication_fits),
    (("domains",), _domains_once),
    (("shared_workloads", "workloads"), _workloads_once),
    (("domains", "workloads"), _domains_served),
    (("config_entries",), _entries_once),
    (("clusters",), _clusters_named),
    (("clusters", "callers", "accepted_callers", "verifications"), _clusters_known),
    (("callers", "accepted_callers"), _callers_once),
    (("callers",), _callers_not_on_target),
    (("verifications",), _verifications_once),
    (("move", "shared_workloads", "workloads"), _all_moved),
    (("buffers",), _buffers_once),
    (("source_database", "migration"), convertible),
    (("destination",), taken_by_rhoam),
    (("notifications", "source_database"), told),
    (("migration", "destination"), apart),
)
