"""What a cutover holds itself to: gates, waits and deadlines."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from components.settings.base import HostName, Model
from stacks.settings.notices import Notice

Region = Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$", description="an AWS region")]
Seconds = Annotated[float, Field(gt=0, le=86400)]
Milliseconds = Annotated[float, Field(gt=0, le=3_600_000)]


class HealthCheckSettings(Model):
    """How each domain's `health` path is asked, over https."""

    interval_ms: Milliseconds = 500
    timeout_ms: Milliseconds = 2000
    allowed_hosts: tuple[HostName, ...] = ()
    """Hosts that a check may ask or be redirected to besides the declared domains."""
    certificate_days: Annotated[int, Field(ge=0)] = 30
    """How long the target's certificate must still be valid, in days."""


class TimeoutSettings(Model):
    """How long one thing may take before it counts as failed, in seconds."""

    call: Seconds = 10
    """One request to an API."""
    flip: Seconds = 300
    """One `up` of a small stack."""
    pods_ready: Seconds = 300
    pods_gone: Seconds = 300
    buffers_empty: Seconds = 600
    jobs_end: Seconds = 3600
    """Until a job that a schedule has begun ends, once the schedule is suspended."""
    callers_seen: Seconds = 120
    """Until every caller of before is seen at the target; who is not is named."""
    dns: Seconds = 900
    """Until all authoritative servers answer the new content, its TTL not included."""
    database_copy: Seconds = 43_200
    """The first copy of the database."""
    probe: Seconds = 60
    """One pod that looks at something from inside a cluster."""
    person: Seconds = 86400
    """A step that waits for somebody to act."""


class DeadlineSettings(Model):
    """When a switch gives up and lets traffic through to the source again, in milliseconds from its start."""

    park_ms: Milliseconds = 5000
    """All requests in flight are finished."""
    fence_ms: Milliseconds = 3000
    """The source takes no more writes."""
    drain_ms: Milliseconds = 10_000
    """The target has applied all of the source's writes."""
    compare_ms: Milliseconds = 5000
    """What changed within the last moments is compared."""
    total_ms: Milliseconds = 20_000

    @model_validator(mode="after")
    def _within_total(self) -> Self:
        if (longest := max(self.park_ms, self.fence_ms, self.drain_ms, self.compare_ms)) > self.total_ms:
            raise ValueError(f"expected no deadline beyond total_ms ({self.total_ms:g}), not {longest:g}")
        return self


class AnchorSettings(Model):
    """Where the journal's last hash is kept besides, so that a journal that was cut or rewritten is found."""

    bucket: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")]
    """A bucket with object lock and a default retention, best of another account."""
    region: Region
    prefix: Annotated[str, Field(pattern=r"^([A-Za-z0-9_.-]+/)*$")] = ""
    """What the objects' names begin with; empty, or ending in `/`."""


class LocalJournalSettings(Model):
    """A file in the project's folder, for runners on one machine."""

    kind: Literal["local"] = "local"
    anchor: AnchorSettings | None = None
    """None: the journal's hash is kept nowhere else."""


class TableJournalSettings(Model):
    """A table of DynamoDB, for a team: journal, lease and approvals."""

    kind: Literal["dynamodb"]
    table: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{3,255}$")]
    """As the landing zone's output `journal_table` says."""
    region: Region
    lease_seconds: Annotated[float, Field(ge=10, le=600)] = 30
    """After so long without a sign of life, a runner counts as lost and another may go on."""
    anchor: AnchorSettings | None = None
    """None: the journal's hash is kept nowhere else."""


JournalSettings = Annotated[LocalJournalSettings | TableJournalSettings, Field(discriminator="kind")]


class CutoverSettings(Model):
    """Thresholds, waits and deadlines of the cutover."""

    database_switch: Literal["armed", "restart"] = "armed"
    """`armed`: requests wait at a gate, in front of pods that run against the target's database already.
    `restart`: the first document's own way; writes are refused until the services have been restarted."""
    soak_seconds: Annotated[float, Field(ge=0, le=86400)]
    """How long the gates watch after a switch."""
    source_quiet_seconds: Annotated[float, Field(ge=0, le=86400)] = 60
    """How long nobody may be connected to the source's database before it is given up."""
    max_error_rate: Annotated[float, Field(ge=0, le=1)]
    """The share of failed health checks that a soak still bears."""
    max_p99_ms: Milliseconds = 1000
    """The 99th percentile of a health check's answer time that a soak still bears."""
    health_checks: HealthCheckSettings = HealthCheckSettings()
    timeouts: TimeoutSettings = TimeoutSettings()
    deadlines: DeadlineSettings = DeadlineSettings()
    notices: tuple[Notice, ...] = ()
    """Who is told while it runs."""
    journal: JournalSettings = LocalJournalSettings()
    """Where the journal, the lease and approvals are kept."""
