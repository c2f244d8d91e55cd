"""What keeps a rehearsal from being a success: the world is asked, not the program under rehearsal."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dns.resolver

from lab import topology
from lab.clouds import Clouds
from lab.moved import Moved
from lab.objects import Objects, differences, stated
from lab.topology import AWS, HUAWEI

_NO_CHANGE = ("same", "read")

Pulumi = Callable[..., str]
"""Runs pulumi with arguments in the project; gives its output, raises LabError."""


@dataclass(frozen=True)
class Before:
    """The source as it was before anything was begun."""

    objects: Objects


def look(clouds: Clouds, moved: Moved) -> Before:
    """See Before."""
    return Before(stated(clouds, HUAWEI, moved.namespaces))


def wrong_traffic(traffic: Mapping[str, Any]) -> Iterator[str]:
    """What clients saw and should not have."""
    refused = traffic["refused"] or {}
    for name in ("failed", "reads_failed", "unknown_outcome", "writes_lost", "writes_duplicated"):
        if count := traffic[name] - refused.get(name, 0):
            yield f"{count} {name.replace('_', ' ')}"
    if not refused and traffic["stale_clients"]["failed"]:
        yield f"{traffic['stale_clients']['failed']} failed requests of clients that never resolve again"


def wrong_checks(checks: Mapping[str, Any]) -> Iterator[str]:
    """What the judge found in sessions and in BOSS's schedule."""
    if lost := checks["sessions"]["lost"]:
        yield f"{lost} sessions lost"
    settlements = checks["settlements"]
    if periods := settlements["duplicated"]:
        yield f"BOSS's schedule ran more than once for {', '.join(periods)}"
    if overlapping := settlements["overlapping"]:
        yield f"{overlapping} settlements settled what was settled before"


def wrong_calls(failed: Mapping[str, int]) -> Iterator[str]:
    """The callers of the services that had calls without an answer."""
    for caller, count in failed.items():
        if count:
            yield f"{count} calls of {caller} were not answered"


class World:
    """Both clouds after a rehearsal."""

    def __init__(self, clouds: Clouds, moved: Moved, pulumi: Pulumi, progress: Callable[[str], None]) -> None:
        self._clouds = clouds
        self._moved = moved
        self._pulumi = pulumi
        self._progress = progress

    def wrong_on_the_target(self) -> Iterator[str]:
        """What is not as it should be once the services have moved."""
        yield from self._dns(self._clouds.ingress_addresses)
        for namespace, name in self._moved.workloads:
            replicas = self._source_replicas(namespace, name)
            self._progress(f"the source runs {replicas} of {namespace}/{name}")
            if replicas != 0:
                yield f"the source's {namespace}/{name} still has {replicas} replicas"

    def wrong_on_the_source(self, before: Before) -> Iterator[str]:
        """What is not as it was, object by object, once the services are back."""
        yield from self._dns((topology.HUAWEI_INGRESS,))
        found = list(differences(before.objects, stated(self._clouds, HUAWEI, self._moved.namespaces)))
        compared = len(before.objects)
        self._progress(f"of the source's {compared} objects {len(found)} differ from what they were")
        yield from (f"on the source, {line}" for line in found)

    def wrong_in_previews(self, stacks: Sequence[str]) -> Iterator[str]:
        """The stacks of which `pulumi preview` shows a change."""
        for stack in stacks:
            shown = json.loads(self._pulumi("preview", "--stack", stack, "--json"))
            counts = {kind: n for kind, n in shown["changeSummary"].items() if kind not in _NO_CHANGE}
            self._progress(f"pulumi preview {stack}: {counts or 'no change'}")
            if counts:
                yield f"`pulumi preview` of {stack} shows {counts}"

    def wrong_after_destroy(self, source: str, target: str) -> Iterator[str]:
        """What `pulumi destroy` of the two flipped stacks changed on the clusters."""
        for place, stack in ((HUAWEI, source), (AWS, target)):
            before = stated(self._clouds, place, self._moved.namespaces)
            self._pulumi("destroy", "--yes", "--skip-preview", "--stack", stack)
            found = list(differences(before, stated(self._clouds, place, self._moved.namespaces)))
            self._progress(f"pulumi destroy {stack}: {len(found)} of {len(before)} live objects changed")
            yield from (f"`pulumi destroy` of {stack}: {line}" for line in found)

    def _dns(self, expected: Sequence[str]) -> Iterator[str]:
        resolver = dns.resolver.Resolver(configure=False)
        resolver.nameservers = [topology.PUBLIC_DNS]
        for domain in self._moved.domains:
            answered = str(resolver.resolve(domain, "A", lifetime=10.0)[0])
            self._progress(f"DNS answers {domain} with {answered}")
            if answered not in expected:
                yield f"DNS answers {domain} with {answered}, expected {' or '.join(expected)}"

    def _source_replicas(self, namespace: str, name: str) -> int:
        path = "jsonpath={.spec.replicas}"
        return int(self._clouds.kubectl(HUAWEI, "get", "-n", namespace, f"deployment/{name}", "-o", path))


def summary(traffic: Mapping[str, Any]) -> Iterator[str]:
    """What the clients saw, in a few lines."""
    latency, gap, stale = traffic["latency_ms"], traffic["write_gap_ms"], traffic["stale_clients"]
    requests, failed, reads_failed = traffic["requests"], traffic["failed"], traffic["reads_failed"]
    yield f"requests {requests}, failed {failed}, of these reads {reads_failed}"
    if refused := traffic["refused"]:
        yield (
            f"while services were restarted, {refused['seconds']} s: {refused['failed']} failed, "
            f"of these {refused['unknown_outcome']} with an unknown outcome"
        )
    yield (
        f"writes acknowledged {traffic['writes_acknowledged']}, lost {traffic['writes_lost']}, "
        f"duplicated {traffic['writes_duplicated']}, outcome unknown {traffic['unknown_outcome']}"
    )
    yield f"between two acknowledged writes: p50 {gap['p50']} ms, p99 {gap['p99']} ms, max {gap['max']} ms"
    yield (
        f"latency: source p50 {latency['source_p50']} ms, p99 {latency['source_p99']} ms; "
        f"target p50 {latency['target_p50']} ms, p99 {latency['target_p99']} ms"
    )
    yield f"clients that never resolve again: {stale['requests']} requests, {stale['failed']} failed"


def summary_of_checks(checks: Mapping[str, Any]) -> Iterator[str]:
    """Sessions and settlements, in a line each."""
    sessions, settled = checks["sessions"], checks["settlements"]
    yield f"sessions: {sessions['begun']} begun, used {sessions['used']} times, {sessions['lost']} lost"
    yield (
        f"settlements: {settled['rows']} runs, {len(settled['duplicated'])} periods more than once, "
        f"{settled['overlapping']} overlapping, {settled['missed']} periods without"
    )
