"""What a report is made of: part of the public interface, with a schema version."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from cutover.errors import PlanError

SCHEMA = 3
"""1 had no approvals, no slower steps and no earlier runs; 2 no planned times, no window and no routes."""
Engine = Literal["official", "lab"]


class Section(BaseModel):
    """A part of the report."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class StageReport(Section):
    """One stage; `seconds` of its steps' last attempts together."""

    id: str
    outcome: str
    seconds: float


class StepReport(Section):
    """One step; `seconds` of its last attempt, forward or back."""

    id: str
    stage: str
    owner: str
    outcome: str
    seconds: float
    attempts: int
    planned_seconds: float | None = None


class OwnerReport(Section):
    """What one party did within the window."""

    owner: str
    steps: int
    planned_seconds: float
    seconds: float
    critical_seconds: float
    """Of its steps on the critical path."""


class AheadReport(Section):
    """A step within the window that could have been done before it."""

    id: str
    seconds: float
    why: str


class WindowReport(Section):
    """The time in which service was stopped on purpose; None as an end: it lasts."""

    began: str
    ended: str | None
    seconds: float
    planned_seconds: float
    """Of its steps, as planned."""
    agreed_seconds: float
    steps: tuple[str, ...]
    critical_path: tuple[str, ...]
    owners: tuple[OwnerReport, ...]
    ahead: tuple[AheadReport, ...]


class RouteReport(Section):
    """A host that users are to ask from now on."""

    host: str
    leads_to: str


class Held(Section):
    """Requests that were parked at the gate."""

    count: int
    max_ms: float


class Refused(Section):
    """What failed while the database was switched by restarts, which refuses writes; part of `failed`."""

    failed: int
    unknown_outcome: int
    seconds: float


class Percentiles(Section):
    """In milliseconds; None where nothing was measured."""

    p50: float | None
    p99: float | None
    max: float | None


class Latencies(Section):
    """In milliseconds, by the side that answered."""

    source_p50: float | None
    source_p99: float | None
    target_p50: float | None
    target_p99: float | None


class StaleClients(Section):
    """Clients that never ask DNS again."""

    requests: int
    failed: int


class Traffic(Section):
    """What the clients saw. `failed`: errors and time-outs, retries of the program's own not included."""

    requests: int
    failed: int
    reads_failed: int
    unknown_outcome: int
    held: Held
    refused: Refused | None = None
    writes_acknowledged: int
    writes_lost: int
    writes_duplicated: int
    write_gap_ms: Percentiles
    latency_ms: Latencies
    stale_clients: StaleClients


class ReplicationReport(Section):
    """The switch of the database, in milliseconds; of the last switch forward."""

    kind: str
    """What carried the forward replication: `native` or `dms`."""
    lag_ms_at_fence: float
    park_ms: float
    pause_ms: float
    fence_ms: float
    drain_ms: float
    compare_ms: float
    promote_ms: float
    let_through_ms: float


class VerificationReport(Section):
    """What was compared of the two databases, to its end under the fence."""

    tables: int
    rows: int
    rows_per_second: float
    rechecked_under_fence: int
    mismatches: int
    schema_differences: int


class RollbackReport(Section):
    """What became of the writes on the target's database."""

    writes_on_target: int
    kept: int


class Criterion(Section):
    """One of the document's success criteria. `holds` is None where this run cannot judge it."""

    id: str
    title: str
    holds: bool | None
    evidence: str


class Fault(Section):
    """A fault that was injected on purpose."""

    kind: str
    at: str
    step: str


class ApprovalReport(Section):
    """A person's word on a step."""

    step: str
    by: str
    note: str
    at: str


class SlowerStep(Section):
    """A step that took longer than was planned."""

    id: str
    seconds: float
    planned_seconds: float


class EarlierRun(Section):
    """What is compared of another run of the plan, or of a rehearsal; None: it was not measured."""

    started: str
    engine: Engine
    outcome: str
    seconds: float | None
    requests: int | None
    failed: int | None
    writes_lost: int | None
    held_max_ms: float | None
    write_gap_max_ms: float | None
    switch_ms: float | None

    @classmethod
    def of(cls, report: Report) -> Self:
        """From its report."""
        traffic, parts = report.traffic, report.replication
        names = ("park_ms", "pause_ms", "fence_ms", "drain_ms", "compare_ms", "promote_ms", "let_through_ms")
        return cls(
            started=report.started,
            engine=report.engine,
            outcome=report.outcome,
            seconds=report.seconds,
            requests=traffic.requests if traffic else None,
            failed=traffic.failed if traffic else None,
            writes_lost=traffic.writes_lost if traffic else None,
            held_max_ms=traffic.held.max_ms if traffic else None,
            write_gap_max_ms=traffic.write_gap_ms.max if traffic else None,
            switch_ms=round(sum(getattr(parts, name) for name in names), 3) if parts else None,
        )


class Report(Section):
    """The whole report."""

    schema_version: int = SCHEMA
    plan: str
    plan_hash: str
    environment: str
    engine: Engine
    outcome: str
    started: str
    finished: str
    stages: tuple[StageReport, ...]
    steps: tuple[StepReport, ...]
    traffic: Traffic | None
    replication: ReplicationReport | None = None
    verification: VerificationReport | None = None
    rollback: RollbackReport | None
    criteria: tuple[Criterion, ...]
    faults_injected: tuple[Fault, ...] = ()
    approvals: tuple[ApprovalReport, ...] = ()
    slower: tuple[SlowerStep, ...] = ()
    earlier: tuple[EarlierRun, ...] = ()
    """Of other runs of the plan, the oldest first."""
    window: WindowReport | None = None
    """None: the plan stops nothing, or has not stopped it yet."""
    routes: tuple[RouteReport, ...] = ()
    """The new routes, where the plan makes some."""
    differs: tuple[str, ...] = ()
    """Where the plan does otherwise than its document says, and why."""
    versions: Mapping[str, str]

    @property
    def seconds(self) -> float | None:
        """From its start to its end; None where it has not ended."""
        if not self.finished:
            return None
        began, ended = (datetime.fromisoformat(moment) for moment in (self.started, self.finished))
        return round((ended - began).total_seconds(), 3)


def read_report(path: Path) -> Report:
    """A report of this version or of an earlier one. Raises PlanError that names the file and the place."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PlanError(f"{path} cannot be read: {error}") from error
    version = found.get("schema_version") if isinstance(found, dict) else None
    if not isinstance(version, int):
        raise PlanError(f"{path} is not a report: it has no schema_version")
    if version > SCHEMA:
        raise PlanError(
            f"{path} is a report of version {version}; this program reads up to {SCHEMA}. Use a later one"
        )
    try:
        # what an earlier version did not have is empty
        return Report.model_validate(found)
    except ValidationError as error:
        places = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        raise PlanError(f"{path}: not a report of version {version}: {places}") from error
