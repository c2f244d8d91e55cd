"""The report as one page of HTML that needs nothing else: no script, no font, no picture from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Any

from cutover.journal import Record
from cutover.plan import Plan
from cutover.report import ReportInput, Span, spans
from cutover.report_charts import timeline
from cutover.report_model import EarlierRun, Report, WindowReport
from cutover.times import duration

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --text: #222; --back: #fff; }
@media (prefers-color-scheme: dark) { :root { --text: #ddd; --back: #181a1b; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--text); background: var(--back);
  max-width: 1000px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: 0; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; } td, th { text-align: left; padding: .25rem .6rem .25rem 0;
  border-bottom: 1px solid var(--line); vertical-align: top; }
.good { color: #18794e; } .bad { color: #cd2b31; font-weight: 600; } .none { opacity: .7; }
@media (prefers-color-scheme: dark) { .good { color: #4cc38a; } .bad { color: #ff6369; } }
svg { width: 100%; height: auto; } svg text { font: 11px system-ui, sans-serif; fill: var(--text); }
thead { display: table-header-group; } .wide { overflow-x: auto; }
@page { size: A4; margin: 14mm; }
@media print { :root { color-scheme: light; --text: #000; --back: #fff; --line: #0004; }
  body { max-width: none; margin: 0; padding: 0; font-size: 10.5pt; } tr, svg { break-inside: avoid; }
  h2 { break-after: avoid; } .wide { overflow: visible; } .good { color: #18794e; } .bad { color: #cd2b31; }
  table { font-size: 9.5pt; } }
"""


def report_html(report: Report, plan: Plan, records: Iterable[Record], given: ReportInput) -> str:
    """The page."""
    return "\n".join(_page(report, plan, tuple(spans(plan, records)), given)) + "\n"


def _page(report: Report, plan: Plan, found: Sequence[Span], given: ReportInput) -> Iterator[str]:
    title = escape(f"{report.plan}: {report.outcome}")
    yield '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{title}</title><style>{_STYLE}</style></head><body><main>"
    word = "good" if report.outcome in ("succeeded", "rolled back") else "bad"
    yield f'<h1>{escape(plan.title)}: <span class="{word}">{escape(report.outcome)}</span></h1>'
    ended = _moment(report.finished) or "now"
    yield (
        f"<p>Environment {escape(report.environment)}, plan {escape(report.plan_hash[:12])}, "
        f"engine {escape(report.engine)}; {_moment(report.started)} to {ended}</p>"
    )
    yield "<h2>Success criteria</h2>"
    yield from _table(
        ("Judged", "Criterion", "Evidence"),
        ((_holds(item.holds), escape(item.title), escape(item.evidence)) for item in report.criteria),
    )
    if found:
        yield "<h2>Timeline</h2>"
        yield from timeline(found, given.series, given.samples)
    if report.slower:
        yield "<h2>Slower than planned</h2>"
        yield from _table(
            ("Step", "Took", "Planned"),
            (
                (escape(step.id), duration(step.seconds), duration(step.planned_seconds))
                for step in report.slower
            ),
        )
    elif any(step.planned_seconds is not None for step in report.steps):
        yield "<h2>Slower than planned</h2><p>No step was.</p>"
    if report.window is not None:
        yield from _window(report, report.window)
    if report.routes:
        yield "<h2>New routes</h2>"
        yield from _table(
            ("Leads to", "Route"),
            ((escape(item.leads_to), f"https://{escape(item.host)}") for item in report.routes),
        )
    if report.earlier:
        yield "<h2>Beside earlier runs and rehearsals</h2>"
        yield from _comparison(report)
    if report.approvals:
        yield "<h2>Approvals</h2>"
        yield from _table(
            ("Step", "By", "When", "Note"),
            (
                tuple(map(escape, (item.step, item.by, _moment(item.at), item.note)))
                for item in report.approvals
            ),
        )
    if report.traffic is not None:
        yield "<h2>What the clients saw</h2>"
        yield from _table(("", ""), _flat(report.traffic.model_dump()))
    for title, part in (
        ("The switch of the database", report.replication),
        ("The comparison of the data", report.verification),
        ("The way back", report.rollback),
    ):
        if part is not None:
            yield f"<h2>{title}</h2>"
            yield from _table(("", ""), _flat(part.model_dump()))
    if report.faults_injected:
        yield "<h2>Faults that were injected</h2>"
        yield from _table(
            ("What", "When", "Step"),
            (
                tuple(map(escape, (fault.kind, _moment(fault.at), fault.step)))
                for fault in report.faults_injected
            ),
        )
    yield "<h2>Steps</h2>"
    yield from _table(
        ("Stage", "Step", "Owner", "Outcome", "Seconds", "Planned", "Attempts"),
        (
            (
                escape(s.stage),
                escape(s.id),
                escape(s.owner),
                escape(s.outcome),
                f"{s.seconds:.1f}",
                "" if s.planned_seconds is None else f"{s.planned_seconds:.1f}",
                str(s.attempts),
            )
            for s in report.steps
        ),
    )
    yield "<h2>Versions</h2>"
    yield from _table(("", ""), ((escape(name), escape(value)) for name, value in report.versions.items()))
    yield "</main></body></html>"


def _window(report: Report, window: WindowReport) -> Iterator[str]:
    """The time in which service was stopped, and on whom it waited."""
    ended = _moment(window.ended) if window.ended else "now, and it lasts"
    yield "<h2>The service window</h2>"
    yield (
        f"<p>Service was stopped from {escape(_moment(window.began))} to {escape(ended)}: "
        f"<b>{duration(window.seconds)}</b>. Its steps were planned to take "
        f"{duration(window.planned_seconds)}, and {duration(window.agreed_seconds)} were agreed.</p>"
    )
    yield from _table(
        ("Owner", "Steps", "Took", "Planned", "On the critical path"),
        (
            (
                escape(item.owner),
                str(item.steps),
                duration(item.seconds),
                duration(item.planned_seconds),
                duration(item.critical_seconds),
            )
            for item in window.owners
        ),
    )
    owners = {step.id: step.owner for step in report.steps}
    took = {step.id: step.seconds for step in report.steps}
    path = " → ".join(
        f"{escape(name)} ({escape(owners[name])}, {duration(took[name])})" for name in window.critical_path
    )
    yield f"<p>The critical path through its owners: {path}.</p>"
    if window.ahead:
        could = sum(item.seconds for item in window.ahead)
        yield f"<h3>What could have been done ahead: {duration(could)}</h3>"
        yield from _table(
            ("Step", "Took", "Why"),
            ((escape(item.id), duration(item.seconds), escape(item.why)) for item in window.ahead),
        )


def _holds(value: bool | None) -> str:
    return {
        True: '<span class="good">holds</span>',
        False: '<span class="bad">does not hold</span>',
        None: '<span class="none">not judged</span>',
    }[value]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    # a table that is wider than a telephone is scrolled, by the keyboard as well
    label = ", ".join(filter(None, head)) or "Figures"
    yield f'<div class="wide" tabindex="0" role="group" aria-label="{label}"><table>'
    if any(head):
        yield "<thead><tr>" + "".join(f'<th scope="col">{cell}</th>' for cell in head) + "</tr></thead>"
    for row in rows:
        yield "<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>"
    yield "</table></div>"


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name} ")
        else:
            shown = f"{value:,}" if isinstance(value, int | float) else "–" if value is None else str(value)
            yield escape(f"{prefix}{name}".replace("_", " ")), escape(shown)


def _comparison(report: Report) -> Iterator[str]:
    """This run in the first row, then the others, the newest first."""
    rows = (_row(EarlierRun.of(report), this=True), *map(_row, reversed(report.earlier)))
    figures = ("Requests", "Failed", "Writes lost", "Longest held", "Longest write gap", "Switch")
    yield from _table(("Run", "Outcome", "Took", *figures), rows)


def _row(run: EarlierRun, *, this: bool = False) -> Sequence[str]:
    return (
        "<strong>this run</strong>" if this else escape(_moment(run.started)),
        f"{escape(run.outcome)} ({escape(run.engine)} engine)",
        "–" if run.seconds is None else duration(run.seconds),
        *(_figure(value) for value in (run.requests, run.failed, run.writes_lost)),
        *(_figure(value, " ms") for value in (run.held_max_ms, run.write_gap_max_ms, run.switch_ms)),
    )


def _figure(value: float | None, unit: str = "") -> str:
    return "–" if value is None else f"{value:,}{unit}"


def _moment(text: str) -> str:
    """A time for people, in UTC."""
    return f"{datetime.fromisoformat(text).astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if text else ""
