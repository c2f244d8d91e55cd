"""The stage `verify`: what depends on the services works with them where they are now."""

from __future__ import annotations

from collections.abc import Iterator

from cutover.actions.callers_seen import CallersSeen
from cutover.actions.confirm import Confirm
from cutover.actions.report_now import ReportNow, SeeRetries
from cutover.conditions.in_cluster import AnswersInCluster
from cutover.plan import Keep, Stage, Step
from cutover.plans.parts import CHANGES_NOTHING, MARGIN_SECONDS, OPERATOR, PHASE_1, Parts
from stacks.settings import CronJobReport, HttpInCluster

_REPORTED = Keep("a report that was made stays made")


def verify(parts: Parts) -> Stage:
    """The stage; it changes nothing but the reports that it makes."""
    return Stage(
        id="verify",
        title="Whoever depends on the services is served by the target",
        phase=PHASE_1,
        steps=(*_reports(parts), *_answers(parts), _seen(parts)),
    )


def _reports(parts: Parts) -> Iterator[Step]:
    for report in parts.environment.verifications:
        if not isinstance(report, CronJobReport):
            continue
        seconds = report.timeout_seconds + MARGIN_SECONDS
        yield Step(
            id=f"report-{report.name}",
            title=f"Identify the schedule of {report.name}, and make a report now",
            owner=OPERATOR,
            affects_service=False,
            fulfils=("1.4.kodo.schedule", "1.4.kodo.report"),
            action=ReportNow(report=report),
            way_back=_REPORTED,
            timeout_seconds=seconds,
        )
        yield Step(
            id=f"retries-{report.name}",
            title=f"See what {report.name} does when a report fails once",
            owner=OPERATOR,
            affects_service=False,
            fulfils=("1.4.kodo.retries",),
            action=SeeRetries(report=report),
            way_back=_REPORTED,
            timeout_seconds=seconds + parts.limits.pods_ready * 2,
        )


def _answers(parts: Parts) -> Iterator[Step]:
    checks = [check for check in parts.environment.verifications if isinstance(check, HttpInCluster)]
    if checks:
        yield _confirm(
            parts,
            "verify-authentication",
            "See that those who authenticate against the services can",
            ("1.4.corestone.verify",),
            checks,
        )
    callers = [check for caller in parts.environment.callers if (check := caller.verification) is not None]
    if callers:
        yield _confirm(
            parts,
            "verify-callers",
            "See that the callers that were redirected get through",
            ("1.4.automata.verify",),
            callers,
        )


def _confirm(
    parts: Parts, step_id: str, title: str, fulfils: tuple[str, ...], checks: list[HttpInCluster]
) -> Step:
    return Step(
        id=step_id,
        title=title,
        owner=OPERATOR,
        affects_service=False,
        fulfils=fulfils,
        action=Confirm(
            tuple(AnswersInCluster(check=check, probe_seconds=parts.limits.probe) for check in checks)
        ),
        way_back=CHANGES_NOTHING,
        timeout_seconds=sum(check.timeout_seconds for check in checks) + MARGIN_SECONDS,
    )


def _seen(parts: Parts) -> Step:
    return Step(
        id="callers-seen",
        title="See each caller of before at the target, or name it",
        owner=OPERATOR,
        affects_service=False,
        fulfils=("1.4.others", "1.4.automata.features"),
        action=CallersSeen(seconds=parts.limits.callers_seen),
        way_back=CHANGES_NOTHING,
        timeout_seconds=parts.limits.callers_seen + MARGIN_SECONDS,
    )
