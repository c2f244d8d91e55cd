"""The report as one page of HTML that needs nothing else: no script, no font, no picture from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from html import escape
from typing import Any

from cutover.journal import Record
from cutover.plan import Plan
from cutover.report import Report, Span, spans

WIDTH, LANE, CHART = 960, 26, 120
_LEFT, _RIGHT = 90, 10
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
"""


def report_html(report: Report, plan: Plan, records: Iterable[Record], series: Mapping[str, Any]) -> str:
    """The page."""
    return "\n".join(_page(report, plan, tuple(spans(plan, records)), series)) + "\n"


def _page(report: Report, plan: Plan, found: Sequence[Span], series: Mapping[str, Any]) -> Iterator[str]:
    title = escape(f"{report.plan}: {report.outcome}")
    yield '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{title}</title><style>{_STYLE}</style></head><body>"
    word = "good" if report.outcome in ("succeeded", "rolled back") else "bad"
    yield f'<h1>{escape(plan.title)}: <span class="{word}">{escape(report.outcome)}</span></h1>'
    yield (
        f"<p>Environment {escape(report.environment)}, plan {escape(report.plan_hash[:12])}, "
        f"engine {escape(report.engine)}; {escape(report.started)} to {escape(report.finished or 'now')}</p>"
    )
    yield "<h2>Success criteria</h2>"
    yield from _table(
        ("", "Criterion", "Evidence"),
        ((_holds(item.holds), escape(item.title), escape(item.evidence)) for item in report.criteria),
    )
    if found:
        yield "<h2>Timeline</h2>"
        yield from _timeline(found, series)
    if report.traffic is not None:
        yield "<h2>What the clients saw</h2>"
        yield from _table(("", ""), _flat(report.traffic.model_dump()))
    yield "<h2>Steps</h2>"
    yield from _table(
        ("Stage", "Step", "Owner", "Outcome", "Seconds", "Attempts"),
        (
            (
                escape(s.stage),
                escape(s.id),
                escape(s.owner),
                escape(s.outcome),
                f"{s.seconds:.1f}",
                str(s.attempts),
            )
            for s in report.steps
        ),
    )
    yield "<h2>Versions</h2>"
    yield from _table(("", ""), ((escape(name), escape(value)) for name, value in report.versions.items()))
    yield "</body></html>"


def _holds(value: bool | None) -> str:
    return {
        True: '<span class="good">holds</span>',
        False: '<span class="bad">does not hold</span>',
        None: '<span class="none">not judged</span>',
    }[value]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield "<table>"
    if any(head):
        yield "<tr>" + "".join(f"<th>{cell}</th>" for cell in head) + "</tr>"
    for row in rows:
        yield "<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>"
    yield "</table>"


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name} ")
        else:
            yield escape(f"{prefix}{name}".replace("_", " ")), "–" if value is None else f"{value:,}"


def _timeline(found: Sequence[Span], series: Mapping[str, Any]) -> Iterator[str]:
    """Stages as bars, over requests, failures and latency by second where they were measured."""
    seconds: list[Mapping[str, Any]] = list(series.get("seconds", ()))
    offset = float(series.get("started", 0.0))
    times = [(_epoch(span.began), _epoch(span.ended)) for span in found]
    start = min([times[0][0], *([offset] if seconds else [])])
    end = max([times[-1][1], *([offset + len(seconds)] if seconds else [])])
    scale = (WIDTH - _LEFT - _RIGHT) / max(end - start, 0.001)

    def x(moment: float) -> float:
        return round(_LEFT + (moment - start) * scale, 1)

    lanes = list(dict.fromkeys(span.stage for span in found))
    height = len(lanes) * LANE + (3 * (CHART + 24) if seconds else 0) + 24
    yield f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="Timeline of stages">'
    for number, lane in enumerate(lanes):
        yield f'<text x="0" y="{number * LANE + 17}">{escape(lane)}</text>'
    for span, (began, ended) in zip(found, times, strict=True):
        colour = "#cd2b31" if not span.ok else "#3e63dd" if span.direction == "forward" else "#ad7f00"
        width = max(2.0, x(ended) - x(began))
        label = escape(f"{span.stage}, {span.direction}: {ended - began:.1f} s")
        yield (
            f'<rect x="{x(began)}" y="{lanes.index(span.stage) * LANE + 4}" width="{width:.1f}" '
            f'height="{LANE - 8}" rx="3" fill="{colour}"><title>{label}</title></rect>'
        )
    top = len(lanes) * LANE + 24
    for title, key, colour in (
        ("requests/s", "requests", "#3e63dd"), ("failed/s", "failed", "#cd2b31"),
        ("p99 ms", "p99_ms", "#6e56cf"),
    ) if seconds else ():  # fmt: skip
        points = [(x(offset + item["second"]), float(item.get(key) or 0.0)) for item in seconds]
        yield from _chart(title, points, top, colour)
        top += CHART + 24
    yield f'<text x="{_LEFT}" y="{height - 6}">0 s</text>'
    yield f'<text x="{WIDTH - _RIGHT}" y="{height - 6}" text-anchor="end">{end - start:.0f} s</text></svg>'


def _chart(title: str, points: Sequence[tuple[float, float]], top: int, colour: str) -> Iterator[str]:
    highest = max((value for _, value in points), default=0.0)
    bottom = top + CHART
    line = " ".join(
        f"{place},{bottom - value / (highest or 1.0) * (CHART - 10):.1f}" for place, value in points
    )
    yield f'<text x="0" y="{top + 12}">{escape(title)}</text>'
    yield f'<text x="0" y="{top + 28}">max {highest:g}</text>'
    yield f'<line x1="{_LEFT}" y1="{bottom}" x2="{WIDTH - _RIGHT}" y2="{bottom}" stroke="var(--line)"/>'
    yield f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.5"/>'


def _epoch(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()
