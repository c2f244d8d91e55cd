"""The report of a run: its model is part of the public interface, with a schema version."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from cutover.criteria_rhoam import rhoam_criteria
from cutover.errors import PlanError
from cutover.history import BACK, FORWARD, History, Status, StepHistory, fold
from cutover.journal import Record
from cutover.measure.series import Sample, read_series, thinned
from cutover.plan import Plan
from cutover.report_earlier import earlier_reports, keep_earlier, planned_times
from cutover.report_model import (
    ApprovalReport,
    Criterion,
    EarlierRun,
    Engine,
    Fault,
    ReplicationReport,
    Report,
    RollbackReport,
    RouteReport,
    Section,
    SlowerStep,
    StageReport,
    StepReport,
    Traffic,
    VerificationReport,
    read_report,
)
from cutover.times import said_by
from cutover.window import window_of
from stacks.settings import CutoverSettings

RHOAM = "rhoam"
"""The plan that is judged by criteria of its own."""
SWITCH = "switch-database"
"""The step by which the database is switched."""
MARGIN_SECONDS = 30.0
"""So much before and after the run is shown of what was measured."""
MOST_SAMPLES = 2000


@dataclass(frozen=True)
class ReportInput:
    """What a report holds that the journal does not know."""

    engine: Engine
    traffic: Traffic | None = None
    series: Mapping[str, Any] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()
    samples: tuple[Sample, ...] = ()
    """What pages measured meanwhile."""
    planned: Mapping[str, float] = field(default_factory=dict)
    """Seconds by step."""
    earlier: tuple[Report, ...] = ()
    """Of other runs of the plan, the oldest first."""


_S = TypeVar("_S", bound=Section)


class _Faults(Section):
    faults_injected: tuple[Fault, ...]


def read_report_input(
    traffic: Path | None, series: Path | None, faults: Path | None, engine: str
) -> ReportInput:
    """Reads the files. Raises PlanError that names the file and the place."""
    if engine not in ("official", "lab"):
        raise PlanError(f"--engine {engine}: expected official or lab")
    chosen: Engine = "lab" if engine == "lab" else "official"
    return ReportInput(
        engine=chosen,
        traffic=_section(Traffic, traffic) if traffic else None,
        series=_read(series) if series else {},
        faults=_section(_Faults, faults).faults_injected if faults else (),
    )


def _section(model: type[_S], path: Path) -> _S:
    try:
        return model.model_validate(_read(path))
    except ValidationError as error:
        places = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        raise PlanError(f"{path}: not a report's {model.__name__.strip('_').lower()}: {places}") from error


def _read(path: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PlanError(f"{path} cannot be read: {error}") from error
    if not isinstance(found, dict):
        raise PlanError(f"{path}: expected a JSON object")
    return found


def with_context(
    given: ReportInput,
    plan: Plan,
    records: Iterable[Record],
    *,
    series: Path,
    folder: Path,
    expected: Path | None,
    compare: Iterable[Path],
) -> ReportInput:
    """Adds what was measured meanwhile, what was planned, and other runs. Raises PlanError.

    Args:
        series: where pages kept what they measured.
        folder: the report's; a report of another run that lies there is put aside.
        expected: a report whose times were planned; None: the last run's that succeeded.
        compare: further reports to compare with.
    """
    history = fold(records)
    if not history.started:
        return given
    keep_earlier(folder, history.started)
    earlier = earlier_reports(folder, compare, plan.id, history.started)
    planned = planned_times([read_report(expected)] if expected else earlier)
    begin, end = (
        datetime.fromisoformat(moment).timestamp() if moment else float("inf")
        for moment in (history.started, history.finished)
    )
    samples = thinned(read_series(series, begin - MARGIN_SECONDS, end + MARGIN_SECONDS), MOST_SAMPLES)
    return replace(given, samples=tuple(samples), planned=planned, earlier=earlier)


def make_report(
    plan: Plan, records: Iterable[Record], given: ReportInput, thresholds: CutoverSettings
) -> Report:
    """Builds the report from the journal. Raises PlanError where nothing was run yet."""
    records = tuple(records)
    history = fold(records)
    if not history.started:
        raise PlanError("there is nothing to report: the plan was not run yet")
    planned = {**given.planned, **said_by(plan)}
    window = window_of(plan, records, history, planned)
    steps = tuple(
        StepReport(
            id=step.id,
            stage=stage.id,
            owner=step.owner,
            outcome=_step_outcome(history, step.id),
            seconds=history.step(step.id).seconds,
            attempts=history.step(step.id).attempts,
            planned_seconds=planned.get(step.id),
        )
        for stage in plan.stages
        for step in stage.steps
    )
    outcome = _outcome(history)
    return Report(
        plan=plan.id,
        plan_hash=history.plan_hash,
        environment=plan.environment,
        engine=given.engine,
        outcome=outcome,
        started=history.started,
        finished=history.finished,
        stages=tuple(
            _stage(stage.id, [step for step in steps if step.stage == stage.id]) for stage in plan.stages
        ),
        steps=steps,
        traffic=given.traffic,
        replication=_of_switch(records, ReplicationReport, "replication"),
        verification=_of_switch(records, VerificationReport, "verification"),
        rollback=_rollback(records, outcome),
        criteria=tuple(
            rhoam_criteria(plan, history, outcome, given.traffic, window)
            if plan.id == RHOAM
            else _criteria(
                plan,
                history,
                outcome,
                traffic=given.traffic,
                thresholds=thresholds,
                verified=_of_switch(records, VerificationReport, "verification"),
            )
        ),
        approvals=tuple(_approvals(records)),
        slower=slower(steps, planned),
        earlier=tuple(EarlierRun.of(report) for report in given.earlier),
        window=window,
        routes=tuple(
            RouteReport(host=item["host"], leads_to=item["for"]) for item in history.facts.get("routes", ())
        ),
        differs=plan.document.differs,
        faults_injected=given.faults,
        versions=_versions(history),
    )


def write_report(
    folder: Path, plan: Plan, records: Iterable[Record], given: ReportInput, thresholds: CutoverSettings
) -> Report:
    """Writes report.json and report.html into a folder. Raises PlanError."""
    from cutover.report_html import report_html  # noqa: PLC0415 - the page builds on this module's model

    records = tuple(records)
    made = make_report(plan, records, given, thresholds)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "report.json").write_text(made.model_dump_json(indent=2) + "\n", encoding="utf-8")
        (folder / "report.html").write_text(report_html(made, plan, records, given), encoding="utf-8")
    except OSError as error:
        raise PlanError(f"the report could not be written to {folder}: {error}") from error
    return made


SLOWER = 1.5
"""A step is called slower from here on, as a share of what was planned, and from two seconds more."""
_SLOWER_SECONDS = 2.0


def slower(steps: Iterable[StepReport], planned: Mapping[str, float]) -> tuple[SlowerStep, ...]:
    """The steps that took longer than was planned, the one that lost most first."""
    found = [
        SlowerStep(id=step.id, seconds=step.seconds, planned_seconds=planned[step.id])
        for step in steps
        if step.attempts
        and step.id in planned
        and step.seconds > max(SLOWER * planned[step.id], planned[step.id] + _SLOWER_SECONDS)
    ]
    return tuple(sorted(found, key=lambda step: step.planned_seconds - step.seconds))


def _approvals(records: Iterable[Record]) -> Iterable[ApprovalReport]:
    """All of them, in their order: one that was given before a rollback counts as well."""
    for record in records:
        if record.kind == "approval":
            names = ("step", "by", "note", "at")
            yield ApprovalReport(**{name: record.data[name] for name in names})


def _switches(records: Iterable[Record], direction: str) -> list[Mapping[str, Any]]:
    """What switches of the database in a direction that came to their end have noted, in their order."""
    return [
        record.data.get("evidence", {})
        for record in records
        if record.kind == "outcome"
        and record.data.get("step") == SWITCH
        and record.data.get("direction") == direction
        and record.data.get("result") == "done"
    ]


def _of_switch(records: Iterable[Record], model: type[_S], name: str) -> _S | None:
    """A part of the last switch forward, as far as it was noted: one that was killed notes less."""
    for evidence in reversed(_switches(records, FORWARD)):
        found = evidence.get(name)
        if found:
            fields = {key: found[key] for key in model.model_fields if key in found}
            try:
                return model.model_validate(fields)
            except ValidationError:
                return None
    return None


def _rollback(records: Iterable[Record], outcome: str) -> RollbackReport | None:
    """Until the database was switched, nothing was ever written on the target's."""
    found = [evidence["rollback"] for evidence in _switches(records, BACK) if "rollback" in evidence]
    if found:
        return RollbackReport.model_validate(found[-1])
    return RollbackReport(writes_on_target=0, kept=0) if outcome == "rolled back" else None


def _step_outcome(history: History, step_id: str) -> str:
    step = history.step(step_id)
    if step.status == Status.PENDING and step.rounds:
        return "undone"
    return str(step.status)


def _outcome(history: History) -> str:
    if history.outcome.startswith("reached"):
        return "succeeded"
    if history.outcome in ("succeeded", "rolled back"):
        return history.outcome
    return "rolled back" if history.outcome.startswith("rolled back") else "halted"


def _stage(stage_id: str, steps: list[StepReport]) -> StageReport:
    outcomes = {step.outcome for step in steps}
    word = next(iter(outcomes)) if len(outcomes) == 1 else "under way"
    if "failed" in outcomes or "undo failed" in outcomes:
        word = "failed"
    return StageReport(id=stage_id, outcome=word, seconds=round(sum(step.seconds for step in steps), 3))


def _criteria(
    plan: Plan,
    history: History,
    outcome: str,
    *,
    traffic: Traffic | None,
    thresholds: CutoverSettings,
    verified: VerificationReport | None,
) -> Iterable[Criterion]:
    """The five success criteria of the document, as far as this run can judge them."""

    def done(*stages: str) -> bool:
        steps = [step for stage in plan.stages if stage.id in stages for step in stage.steps]
        return bool(steps) and all(history.step(step.id).status == Status.DONE for step in steps)

    back = "rolled back: the services run on the source" if outcome == "rolled back" else ""
    running = done("connect", "switch", "quiesce")
    yield Criterion(
        id="services-on-aws",
        title="All services running properly on AWS infrastructure",
        holds=None if back else running,
        evidence=back
        or ("pods ready, DNS settled on the target, soaked, source at 0" if running else _open(history)),
    )
    yield _database(history, verified, connected=done("connect"), back=back)
    yield _no_disruption(traffic)
    yield _integrations(plan, history, back, holds=done("verify"))
    yield _performance(traffic, thresholds)


def _database(
    history: History, verified: VerificationReport | None, *, connected: bool, back: str
) -> Criterion:
    """Live connections; and once the database is switched, that it holds what the source's held."""
    title = "Database functionality verified"
    if back:
        return Criterion(id="database-verified", title=title, holds=None, evidence=back)
    switched = history.step(SWITCH).status == Status.DONE
    step = "restart-services" if switched else "start-services"
    held = history.step(step).evidence.get("held", {})
    seen = [found["seen"] for found in held.values() if isinstance(found, dict) and "connections" in found]
    holds = bool(seen) and connected
    evidence = seen or ["live connections were not seen"]
    if verified is not None:
        same = not verified.mismatches and not verified.schema_differences
        holds = holds and same
        evidence.append(
            f"{verified.rows} rows of {verified.tables} tables compared, {verified.rechecked_under_fence} "
            f"again under the fence: {verified.mismatches} differ, and {verified.schema_differences} "
            "properties of the schema"
        )
    elif switched:
        holds, evidence = False, [*evidence, "the databases were not compared to the end"]
    return Criterion(id="database-verified", title=title, holds=holds, evidence="; ".join(evidence))


def _integrations(plan: Plan, history: History, back: str, *, holds: bool) -> Criterion:
    """Judged by the stage `verify`; what it could not see is named."""
    steps = [step for stage in plan.stages if stage.id == "verify" for step in stage.steps]
    evidence = [f"{step.id}: {text}" for step in steps for text in _verified(history.step(step.id))]
    return Criterion(
        id="integrations",
        title="All upstream and downstream integrations functioning correctly",
        holds=None if back or not steps else holds,
        evidence=back or "; ".join(evidence) or "not judged: the plan verifies none",
    )


def _verified(step: StepHistory) -> Iterable[str]:
    """What a step of the stage `verify` has seen, in words."""
    if step.status != Status.DONE:
        yield step.error or str(step.status)
        return
    found = step.evidence
    schedule = found.get("schedule", {})
    if schedule:
        yield f"reports at {schedule['schedule']!r}, tries {schedule['retries']} times more after a failure"
    yield from (str(found[name]) for name in ("report", "retries") if name in found)
    for what, seen in found.get("confirmed", {}).items():
        yield f"{what}: {seen.get('seen', 'holds')}"
    if "callers" in found:
        named = found.get("not_seen", ())
        yield f"{len(found['callers']) - len(named)} of {len(found['callers'])} callers seen at the target"
        yield from (f"not seen: {text}" for text in named)


def _open(history: History) -> str:
    left = [
        f"{name}: {step.error or step.status}"
        for name, step in history.steps.items()
        if step.status != Status.DONE
    ]
    return "; ".join(left) or "not all steps were run"


def _no_disruption(traffic: Traffic | None) -> Criterion:
    holds, evidence = None, "not judged: no traffic was measured"
    if traffic is not None:
        bad = {
            "failed": traffic.failed,
            "reads failed": traffic.reads_failed,
            "writes lost": traffic.writes_lost,
            "writes duplicated": traffic.writes_duplicated,
            "of stale clients failed": traffic.stale_clients.failed,
        }
        holds = not any(bad.values())
        evidence = f"{traffic.requests} requests; " + ", ".join(
            f"{count} {name}" for name, count in bad.items()
        )
    return Criterion(
        id="no-disruption", title="No service disruption for end users", holds=holds, evidence=evidence
    )


def _performance(traffic: Traffic | None, thresholds: CutoverSettings) -> Criterion:
    holds, evidence = None, "not judged: no traffic was measured on the target"
    if traffic is not None and traffic.latency_ms.target_p99 is not None:
        slowest = traffic.latency_ms.target_p99
        holds = slowest <= thresholds.max_p99_ms
        before = traffic.latency_ms.source_p99
        evidence = (
            f"99 % answered within {slowest:g} ms on the target, at most {thresholds.max_p99_ms:g} ms"
            + (f"; {before:g} ms on the source" if before is not None else "")
        )
    return Criterion(
        id="performance",
        title="Performance metrics within acceptable thresholds",
        holds=holds,
        evidence=evidence,
    )


def _versions(history: History) -> dict[str, str]:
    found = {"pulumi": history.engine}
    for package in ("pulumi", "pulumi-kubernetes", "pulumi-cloudflare", "pulumi-aws", "kubernetes"):
        try:
            found[f"python {package}"] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


@dataclass(frozen=True)
class Span:
    """When a stage was worked on, from the journal."""

    stage: str
    direction: str
    began: str
    ended: str
    ok: bool


def spans(plan: Plan, records: Iterable[Record]) -> tuple[Span, ...]:
    """The stages in the order in which they were worked on; consecutive steps of one stage in one span."""
    found: list[Span] = []
    begun: dict[str, str] = {}
    known = {step.id for step in plan.steps}
    for record in records:
        step = record.data.get("step", "")
        if step not in known:
            continue
        if record.kind == "intent":
            begun[step] = record.at
        if record.kind == "outcome" and step in begun and record.data["result"] != "blocked":
            stage, direction = plan.stage_of(step).id, record.data["direction"]
            span = Span(stage, direction, begun.pop(step), record.at, record.data["result"] == "done")
            last = found[-1] if found else None
            if last is not None and (last.stage, last.direction) == (stage, direction):
                found[-1] = Span(stage, direction, last.began, span.ended, last.ok and span.ok)
            else:
                found.append(span)
    return tuple(found)
