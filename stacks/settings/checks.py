"""Checks across sections. Each names the sections it needs, so that it runs even where others are wrong."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from components.settings.access import NotificationSettings
from components.settings.cache import CacheSettings
from components.settings.replication import ReplicationSettings
from stacks.settings.parts import (
    CloudflareSettings,
    ConfigEntry,
    DatabaseSettings,
    DomainSettings,
    RecordSettings,
    WorkloadName,
    WorkloadSettings,
)

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class CrossProblem:
    """What does not fit together: where, which value stands there, what was expected."""

    path: Path
    value: object
    expected: str


class CrossCheckError(ValueError):
    """The sections of an environment contradict one another."""

    def __init__(self, problems: Iterable[CrossProblem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(f"{problem.path}: {problem.expected}" for problem in self.problems))


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
        selectors = [workload.selector for workload in workloads if workload.domain == domain.name]
        if not selectors:
            yield CrossProblem(
                ("domains", index, "name"), domain.name, "a domain that one of the workloads names as its own"
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
    if replication is not None and target is None:
        yield CrossProblem(("replication",), replication, "the section database.target, which it writes to")
    if replication is not None and replication.forward == "native" and database.engine != "mysql":
        yield CrossProblem(
            ("replication", "forward"), replication.forward, f"dms, as the engine is {database.engine}"
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
    (("buffers",), _buffers_once),
)
