"""Metrics of a cutover in Prometheus's text format: on the page's port, or as a file for a node's collector.

`python -m cutover.measure.metrics docs/metrics.md` writes what there is; a test holds it up to date.
"""

from __future__ import annotations

import os
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cutover.errors import PlanError
from cutover.history import History
from cutover.plan import Plan

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
WRITE_SECONDS = 5.0
Labels = Mapping[str, str]


@dataclass(frozen=True)
class Metric:
    """One metric; all are gauges, as each says how something stands."""

    name: str
    meaning: str
    labels: tuple[str, ...] = ()


INFO = Metric("landfall_cutover_info", "Always 1.", ("plan", "environment", "plan_hash"))
CONDITION = Metric(
    "landfall_cutover_condition", "1 for where it stands, such as `under way`.", ("condition",)
)
RUNNING = Metric("landfall_cutover_running", "1 while a runner is at work.")
DIED = Metric("landfall_cutover_runner_died", "1 where a runner has ended without a word.")
WAITING = Metric("landfall_cutover_waiting", "How many steps wait for a person.")
STEPS = Metric("landfall_cutover_steps", "How many steps there are in each state.", ("status",))
TOOK = Metric("landfall_cutover_step_seconds", "What a step's last attempt took.", ("stage", "step"))
STARTED = Metric("landfall_cutover_started_timestamp_seconds", "When it was begun first.")
LAST = Metric("landfall_cutover_last_record_timestamp_seconds", "When the journal was written last.")
WAY_BACK = Metric("landfall_cutover_way_back", "1 as long as there is a way back.")
UNREADABLE = Metric("landfall_cutover_journal_unreadable", "1 where the journal cannot be read.")
RATE = Metric("landfall_requests_per_second", "Users' requests, by the ingress's access log.", ("side",))
FAILED = Metric("landfall_requests_failed", "Of those of the last ten seconds, answered with 5xx.", ("side",))
LATENCY = Metric("landfall_request_seconds", "How long they took, at the ingress.", ("side", "quantile"))
HEALTH = Metric("landfall_health", "1 where the last health check was answered well.", ("domain", "side"))
LAG = Metric(
    "landfall_replication_lag_seconds", "How far the replica is behind; `reverse`: the source's.",
    ("direction",),
)  # fmt: skip
REPLICATING = Metric("landfall_replication_running", "1 while it replicates.", ("direction",))
METRICS = (
    INFO, CONDITION, RUNNING, DIED, WAITING, STEPS, TOOK, STARTED, LAST, WAY_BACK, UNREADABLE, RATE, FAILED,
    LATENCY, HEALTH, LAG, REPLICATING,
)  # fmt: skip
Value = tuple[Metric, Labels, float]


def values(plan: Plan, history: History, head: Mapping[str, Any]) -> Iterator[Value]:
    """What is known. `head`: see watch.view.head_view, with `error` and `probes` where somebody looks."""
    labels = {"plan": plan.id, "environment": plan.environment, "plan_hash": history.plan_hash or plan.hash}
    yield INFO, labels, 1
    yield CONDITION, {"condition": str(head["condition"])}, 1
    yield RUNNING, {}, head["running"]
    yield DIED, {}, head["died"]
    yield WAITING, {}, len(head["waiting"])
    states = Counter(str(history.step(step.id).status) for step in plan.steps)
    for status, count in sorted(states.items()):
        yield STEPS, {"status": status}, count
    for stage in plan.stages:
        for step in stage.steps:
            found = history.step(step.id)
            if found.ended:
                yield TOOK, {"stage": stage.id, "step": step.id}, found.seconds
    for metric, moment in ((STARTED, head["started"]), (LAST, head["last"])):
        if moment:
            yield metric, {}, datetime.fromisoformat(moment).timestamp()
    yield WAY_BACK, {}, head["way_back"]["possible"]
    yield UNREADABLE, {}, bool(head.get("error"))
    yield from _measured(head.get("probes") or {})


def _measured(probes: Mapping[str, Any]) -> Iterator[Value]:
    for side, found in probes.get("traffic", {}).items():
        if "error" in found:
            continue
        yield RATE, {"side": side}, found["rate"]
        yield FAILED, {"side": side}, found["failed"]
        for quantile, milliseconds in (("0.5", found["p50"]), ("0.99", found["p99"])):
            if milliseconds is not None:
                yield LATENCY, {"side": side, "quantile": quantile}, milliseconds / 1000
    for row in probes.get("rows", ()):
        yield HEALTH, {"domain": row["domain"], "side": row["side"]}, row["good"]
    lag = probes.get("lag", {})
    if "direction" in lag:
        yield REPLICATING, {"direction": lag["direction"]}, lag["state"] == "running"
        if lag["seconds"] is not None:
            yield LAG, {"direction": lag["direction"]}, lag["seconds"]


def text(found: Iterable[Value]) -> str:
    """The text format: each metric's meaning and type, then its values."""
    by_metric: dict[Metric, list[tuple[Labels, float]]] = {}
    for metric, labels, value in found:
        by_metric.setdefault(metric, []).append((labels, value))
    return "".join(
        f"# HELP {metric.name} {metric.meaning}\n# TYPE {metric.name} gauge\n"
        + "".join(f"{metric.name}{_labels(labels)} {float(value):.15g}\n" for labels, value in samples)
        for metric, samples in by_metric.items()
    )


def _labels(labels: Labels) -> str:
    inside = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())
    return f"{{{inside}}}" if inside else ""


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


class Textfile:
    """Writes the metrics again and again into a file for node_exporter's textfile collector."""

    def __init__(self, path: Path, render: Callable[[], str]) -> None:
        """Raises PlanError where the file cannot be written."""
        self._path = path
        self._render = render
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="textfile", daemon=True)
        if path.suffix != ".prom":
            raise PlanError(f"{path}: node_exporter reads files whose name ends in .prom")
        try:
            self._write()
        except OSError as error:
            raise PlanError(f"the metrics cannot be written to {path}: {error}") from error

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(WRITE_SECONDS):
            try:
                self._write()
            except OSError as error:
                # the collector tells of a file that grows old; the page goes on
                sys.stderr.write(f"the metrics could not be written to {self._path}: {error}\n")

    def _write(self) -> None:
        """At once and whole: the collector may read at any moment."""
        fresh = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        fresh.write_text(self._render(), encoding="utf-8")
        fresh.chmod(0o644)
        fresh.replace(self._path)


def reference() -> str:
    """docs/metrics.md."""
    rows = "\n".join(
        f"| `{metric.name}` | {', '.join(f'`{label}`' for label in metric.labels)} | {metric.meaning} |"
        for metric in METRICS
    )
    return f"""\
# Metrics

Made by `python -m cutover.measure.metrics docs/metrics.md` from the code; a test holds it up to date.

`cutover watch` serves these on its own port, in Prometheus's text format: `http://127.0.0.1:PORT/metrics`,
without the page's token, as there is no secret in them. Give the page a port of its own for that
(`cutover watch --port 9470`):

```yaml
scrape_configs:
  - job_name: landfall
    static_configs: [{{targets: ["127.0.0.1:9470"]}}]
```

`cutover watch --textfile /var/lib/node_exporter/landfall.prom` writes the same every five seconds for
node_exporter's textfile collector. Both go on when the runner has died. All are gauges.

| metric | labels | meaning |
|---|---|---|
{rows}

Two alerts that are worth their noise:

```yaml
- alert: CutoverRunnerDied
  expr: landfall_cutover_runner_died == 1
- alert: CutoverWaitsForSomebody
  expr: landfall_cutover_waiting > 0
  for: 2m
```
"""


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(reference(), encoding="utf-8")
