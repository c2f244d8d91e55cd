"""Replication by AWS DMS: tasks that the stack `<environment>-replication` declares, started and watched."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from botocore.exceptions import BotoCoreError, ClientError

from cutover.errors import StepError, StepTimeoutError
from cutover.mysql import Server, Session, quoted
from cutover.replication.model import ReplicationState

MARKER_TABLE = "landfall_marker"
POLL_SECONDS = 2.0
MARKER_POLL_SECONDS = 0.005
TEST_SECONDS = 180.0
CHANGE_SECONDS = 600.0
"""A task takes minutes to start or stop."""
LATENCY_PERIOD = timedelta(minutes=10)
"""How old a figure of CloudWatch may be."""
_CHANGING = ("creating", "modifying", "starting", "stopping", "testing", "moving")
_BROKEN_TABLES = ("Table error", "Table cancelled", "Suspended")


@dataclass(frozen=True)
class TaskView:
    """A task, as DMS describes it."""

    status: str
    detail: str
    checkpoint: str
    loaded: bool
    instance: str
    endpoints: tuple[str, str]
    kind: str


class DmsReplication:
    """One task of DMS, from `origin` to `replica`. Implements model.Replication.

    A task says `running` while tables of it are suspended, and `stopped` after its source went away: here its
    state is healthy only if it runs and all of its tables go on.

    A position is a marker: a row that is written on the origin and waited for on the replica. DMS applies
    changes in their order, so that all before the marker are there when it is.
    """

    kind: Literal["dms"] = "dms"

    def __init__(
        self, clients: tuple[Any, Any], task_arn: str, origin: Server, replica: Server, schema: str
    ) -> None:
        """`clients`: boto3's of DMS and of CloudWatch. `origin`, `replica`: with users that may write the
        marker's table."""
        self._dms, self._cloudwatch = clients
        self._arn = task_arn
        self._origin = origin
        self._replica = replica
        self._table = quoted(schema, MARKER_TABLE)

    def set_up(self) -> None:
        """See model.Replication: the marker's table is made, and DMS tests both connections."""
        with self._origin.connect() as here, self._replica.connect() as there:
            make_marker_table(here, self._table)
            make_marker_table(there, self._table)
        view = self._view()
        for endpoint in view.endpoints:
            self._test(view.instance, endpoint)

    def start(self, position: str | None = None) -> None:
        """See model.Replication.

        Args:
            position: `file:offset` in the origin's binlog to follow from, for a task that loads nothing; it
                makes the task begin anew there.

        Raises:
            StepError: another task runs between the same databases, or DMS refuses.
        """
        view = self._view()
        if view.status == "running":
            return
        self._refuse_a_loop(view)
        first = view.status == "ready" or position is not None
        arguments = {"CdcStartPosition": position} if position is not None else {}
        self._call(
            "start_replication_task",
            ReplicationTaskArn=self._arn,
            StartReplicationTaskType="start-replication" if first else "resume-processing",
            **arguments,
        )
        self._wait_for("running", lambda now: now.status == "running")

    def stop(self) -> None:
        """See model.Replication."""
        if self._view().status in ("running", "starting"):
            self._call("stop_replication_task", ReplicationTaskArn=self._arn)
            self._wait_for("stopped", lambda now: now.status in ("stopped", "ready", "failed"))

    def retire(self) -> None:
        """See model.Replication. The task itself belongs to its stack."""
        self.stop()

    def state(self) -> ReplicationState:
        """See model.Replication."""
        view = self._view()
        broken = self._broken_tables()
        if broken:
            return ReplicationState("failed", f"suspended tables: {', '.join(broken)}; {view.detail}")
        if view.status == "running":
            return ReplicationState("running", "loaded, follows" if view.loaded else f"loads; {view.detail}")
        if view.status == "ready":
            return ReplicationState("absent", "it was never started")
        state: Literal["stopped", "failed"] = "stopped" if view.detail.startswith("NORMAL") else "failed"
        return ReplicationState(state, f"{view.status}: {view.detail or 'DMS gives no reason'}")

    def wait_loaded(self, seconds: float, say: Callable[[str], None] = lambda _: None) -> None:
        """Waits until all tables are loaded and changes are followed. Raises StepError."""
        deadline = time.monotonic() + seconds
        while True:
            state, view = self.state(), self._view()
            if not state.healthy:
                raise StepError(f"the DMS task {self._arn} does not run while it loads: {state.detail}")
            if view.loaded:
                return
            if time.monotonic() > deadline:
                raise StepTimeoutError(f"the DMS task {self._arn} has not loaded within {seconds:g} s")
            say(state.detail)
            time.sleep(POLL_SECONDS)

    def position(self) -> str:
        """See model.Replication. Raises DatabaseError where the origin does not take the marker."""
        with self._origin.connect() as session:
            return write_marker(session, self._table)

    def wait_applied(self, position: str, seconds: float) -> None:
        """See model.Replication."""
        with self._replica.connect() as session:
            self.wait_for_marker(session, position, seconds)

    def wait_for_marker(self, session: Session, marker: str, seconds: float) -> None:
        """The same on a session of the replica that is open already."""
        deadline = time.monotonic() + seconds
        query = f"SELECT 1 FROM {self._table} WHERE id = %s"  # noqa: S608 - a quoted name
        while not session.rows(query, (marker,)):
            if time.monotonic() > deadline:
                raise StepTimeoutError(
                    f"what was written on {self._origin} has not arrived on {self._replica} by DMS within "
                    f"{seconds:g} s: {self.state().detail}"
                )
            time.sleep(MARKER_POLL_SECONDS)
        if broken := self._broken_tables():
            raise StepError(
                f"the marker has arrived on {self._replica}, but DMS has suspended {', '.join(broken)}: "
                "reload those tables"
            )

    def measure_lag(self, seconds: float) -> float:
        """See model.Replication."""
        begun = time.monotonic()
        self.wait_applied(self.position(), seconds)
        return time.monotonic() - begun

    def observed_lag(self, seconds: float) -> float | None:  # noqa: ARG002 - nothing is waited for
        """See model.Replication: what DMS tells CloudWatch once a minute, in whole seconds."""
        instances = self._call(
            "describe_replication_instances",
            Filters=[{"Name": "replication-instance-arn", "Values": [self._view().instance]}],
        )["ReplicationInstances"]
        dimensions = [
            {
                "Name": "ReplicationInstanceIdentifier",
                "Value": instances[0]["ReplicationInstanceIdentifier"],
            },
            {"Name": "ReplicationTaskIdentifier", "Value": self._arn.rpartition(":")[2]},
        ]
        metric = {"Namespace": "AWS/DMS", "MetricName": "CDCLatencyTarget", "Dimensions": dimensions}
        now = datetime.now(UTC)
        try:
            found = self._cloudwatch.get_metric_data(
                MetricDataQueries=[
                    {"Id": "lag", "MetricStat": {"Metric": metric, "Period": 60, "Stat": "Maximum"}}
                ],
                StartTime=now - LATENCY_PERIOD,
                EndTime=now,
                ScanBy="TimestampDescending",
            )
        except (BotoCoreError, ClientError) as error:
            raise StepError(f"CloudWatch: {metric['MetricName']} could not be read: {error}") from error
        values = found["MetricDataResults"][0]["Values"] if found["MetricDataResults"] else []
        return float(values[0]) if values else None

    def write_marker(self, session: Session) -> str:
        """Writes a marker on a session of the origin that is open already. Raises DatabaseError."""
        return write_marker(session, self._table)

    def _view(self) -> TaskView:
        filters = [{"Name": "replication-task-arn", "Values": [self._arn]}]
        found = self._call("describe_replication_tasks", Filters=filters)["ReplicationTasks"]
        if not found:
            raise StepError(f"DMS has no task {self._arn}: run `pulumi up` on the stack of the replication")
        task = found[0]
        progress = task.get("ReplicationTaskStats", {}).get("FullLoadProgressPercent", 0)
        kind = str(task["MigrationType"])
        return TaskView(
            status=str(task["Status"]),
            detail=str(task.get("StopReason") or task.get("LastFailureMessage") or f"{progress} % loaded"),
            checkpoint=str(task.get("RecoveryCheckpoint") or ""),
            loaded=kind == "cdc" or progress == 100,
            instance=str(task["ReplicationInstanceArn"]),
            endpoints=(str(task["SourceEndpointArn"]), str(task["TargetEndpointArn"])),
            kind=kind,
        )

    def _broken_tables(self) -> list[str]:
        found: list[str] = []
        marker = None
        while True:
            more: dict[str, str] = {"Marker": marker} if marker else {}
            answer = self._call("describe_table_statistics", ReplicationTaskArn=self._arn, **more)
            found += [
                f"{table['SchemaName']}.{table['TableName']}"
                for table in answer["TableStatistics"]
                if table.get("TableState") in _BROKEN_TABLES
            ]
            marker = answer.get("Marker")
            if not marker:
                return found

    def _refuse_a_loop(self, view: TaskView) -> None:
        """Two tasks in opposite directions send each other their changes for ever."""
        tasks = self._call("describe_replication_tasks")["ReplicationTasks"]
        running = [
            str(task["ReplicationTaskIdentifier"])
            for task in tasks
            if task["ReplicationTaskArn"] != self._arn
            and task["ReplicationInstanceArn"] == view.instance
            and task["Status"] in ("running", "starting")
        ]
        if running:
            raise StepError(
                f"the DMS task {', '.join(running)} runs on the same instance: stop it first, as two tasks "
                "in opposite directions send each other their changes"
            )

    def _test(self, instance: str, endpoint: str) -> None:
        try:
            self._call("test_connection", ReplicationInstanceArn=instance, EndpointArn=endpoint)
        except StepError as error:
            if "already" not in str(error):  # somebody else is testing it
                raise
        filters = [{"Name": "endpoint-arn", "Values": [endpoint]}]
        deadline = time.monotonic() + TEST_SECONDS
        while True:
            found = self._call("describe_connections", Filters=filters)["Connections"]
            status = str(found[0]["Status"]) if found else "absent"
            if status == "successful":
                return
            if status == "failed" or time.monotonic() > deadline:
                reason = found[0].get("LastFailureMessage", "") if found else ""
                raise StepError(f"DMS cannot connect to {endpoint}: {status} {reason}")
            time.sleep(POLL_SECONDS)

    def _wait_for(self, what: str, holds: Callable[[TaskView], bool]) -> None:
        deadline = time.monotonic() + CHANGE_SECONDS
        while not holds(view := self._view()):
            if view.status not in _CHANGING and view.status != "ready" and what == "running":
                raise StepError(f"the DMS task {self._arn} did not start: {view.status}, {view.detail}")
            if time.monotonic() > deadline:
                raise StepTimeoutError(f"the DMS task {self._arn} is {view.status}, and not {what}")
            time.sleep(POLL_SECONDS)

    def _call(self, operation: str, **parameters: Any) -> Any:
        try:
            return getattr(self._dms, operation)(**parameters)
        except (BotoCoreError, ClientError) as error:
            raise StepError(f"DMS: {operation} failed: {error}") from error


def make_marker_table(session: Session, table: str) -> None:
    """The table of markers, on either server; may be repeated."""
    session.execute(
        f"CREATE TABLE IF NOT EXISTS {table} "
        "(id CHAR(32) CHARACTER SET ascii NOT NULL PRIMARY KEY, at DATETIME(3) NOT NULL)"
    )


def write_marker(session: Session, table: str) -> str:
    """Writes a new marker and returns its id. Raises DatabaseError."""
    marker = uuid.uuid4().hex
    session.execute(f"INSERT INTO {table} VALUES (%s, UTC_TIMESTAMP(3))", (marker,))  # noqa: S608
    return marker
