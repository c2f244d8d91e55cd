"""The report's picture: stages as bars, over charts of traffic, latency and lag on the same line of time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Any

from cutover.measure.series import Flow, Sample
from cutover.report import Span

WIDTH, LANE, CHART = 960, 26, 110
_LEFT, _RIGHT, _BETWEEN = 90, 10, 28
_BLUE, _GREY, _RED, _VIOLET, _GREEN, _AMBER = "#3e63dd", "#8b8d98", "#cd2b31", "#6e56cf", "#30a46c", "#ad7f00"
Points = list[tuple[float, float | None]]


@dataclass(frozen=True)
class Line:
    """Values over time; None where nothing was measured."""

    name: str
    colour: str
    points: Points


@dataclass(frozen=True)
class Chart:
    """Lines on one scale."""

    title: str
    unit: str
    lines: tuple[Line, ...]

    @property
    def highest(self) -> float:
        """Of all lines."""
        return max(
            (value for line in self.lines for _, value in line.points if value is not None), default=0.0
        )


def timeline(found: Sequence[Span], series: Mapping[str, Any], samples: Sequence[Sample]) -> Iterator[str]:
    """`series`: what clients saw by second, where they were asked; `samples`: what pages measured."""
    drawn = [
        chart
        for chart in (*_of_clients(series), *_of_samples(samples))
        if any(value is not None for line in chart.lines for _, value in line.points)
    ]
    times = [(_epoch(span.began), _epoch(span.ended)) for span in found]
    moments = [moment for chart in drawn for line in chart.lines for moment, _ in line.points]
    start = min([times[0][0], *moments])
    end = max([times[-1][1], *moments])
    scale = (WIDTH - _LEFT - _RIGHT) / max(end - start, 0.001)

    def x(moment: float) -> float:
        return round(_LEFT + (moment - start) * scale, 1)

    lanes = list(dict.fromkeys(span.stage for span in found))
    yield from _picture(len(lanes) * LANE + 20, "Timeline of stages")
    for number, lane in enumerate(lanes):
        yield f'<text x="0" y="{number * LANE + 17}">{escape(lane)}</text>'
    for span, (began, ended) in zip(found, times, strict=True):
        colour = _RED if not span.ok else _BLUE if span.direction == "forward" else _AMBER
        width = max(2.0, x(ended) - x(began))
        label = escape(f"{span.stage}, {span.direction}: {ended - began:.1f} s")
        yield (
            f'<rect x="{x(began)}" y="{lanes.index(span.stage) * LANE + 4}" width="{width:.1f}" '
            f'height="{LANE - 8}" rx="3" fill="{colour}"><title>{label}</title></rect>'
        )
    yield from _axis(len(lanes) * LANE + 14, end - start)
    yield "</svg>"
    for chart in drawn:
        yield from _picture(CHART + _BETWEEN, chart.title)
        yield from _chart(chart, x)
        yield "</svg>"


def _picture(height: int, label: str) -> Iterator[str]:
    yield f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(label)}">'


def _axis(bottom: int, seconds: float) -> Iterator[str]:
    yield f'<text x="{_LEFT}" y="{bottom}">0 s</text>'
    yield f'<text x="{WIDTH - _RIGHT}" y="{bottom}" text-anchor="end">{seconds:.0f} s</text>'


def _of_clients(series: Mapping[str, Any]) -> Iterator[Chart]:
    seconds: list[Mapping[str, Any]] = list(series.get("seconds", ()))
    offset = float(series.get("started", 0.0))

    def line(name: str, key: str, colour: str) -> Line:
        return Line(
            name, colour, [(offset + item["second"], float(item.get(key) or 0.0)) for item in seconds]
        )

    if not seconds:
        return
    sides = (
        (line("source", "source", _GREY), line("target", "target", _BLUE)) if "source" in seconds[0] else ()
    )
    yield Chart("what clients saw: requests", "a second", (*sides, line("failed", "failed", _RED)))
    yield Chart("what clients saw: 99 % within", "ms", (line("", "p99_ms", _VIOLET),))


def _of_samples(samples: Sequence[Sample]) -> Iterator[Chart]:
    def line(name: str, colour: str, points: Points) -> Line:
        return Line(name, colour, points)

    def of(side: str, value: str) -> Points:
        flows: list[tuple[float, Flow | None]] = [(item.at, getattr(item, side)) for item in samples]
        return [(at, None if flow is None else getattr(flow, value)) for at, flow in flows]

    for title, unit, value in (
        ("at the ingress: requests", "a second", "rate"),
        ("at the ingress: 99 % within", "ms", "p99_ms"),
    ):
        sides = (line("source", _GREY, of("source", value)), line("target", _BLUE, of("target", value)))
        yield Chart(title, unit, sides)
    for direction, name in (
        ("forward", "the target behind the source"),
        ("reverse", "the source behind the target"),
    ):
        points: Points = [
            (item.at, item.lag_seconds * 1000 if item.lag_seconds is not None else None)
            for item in samples
            if item.lag_direction in ("", direction)
        ]
        yield Chart(f"replication: {name}", "ms", (line("", _GREEN, points),))


def _chart(chart: Chart, x: Any) -> Iterator[str]:
    highest = chart.highest
    bottom = 16 + CHART - 20
    names = "  ".join(
        f'<tspan fill="{line.colour}" font-weight="600">{escape(line.name)}</tspan>' for line in chart.lines
    )
    yield f'<text x="{_LEFT}" y="12">{escape(chart.title)}, {escape(chart.unit)} {names}</text>'
    yield f'<text x="0" y="28">{highest:,.4g}</text><text x="0" y="{bottom}">0</text>'
    yield f'<line x1="{_LEFT}" y1="{bottom}" x2="{WIDTH - _RIGHT}" y2="{bottom}" stroke="var(--line)"/>'
    for line in chart.lines:
        for run in _runs(line.points):
            path = " ".join(
                f"{x(at)},{bottom - value / (highest or 1.0) * (bottom - 20):.1f}" for at, value in run
            )
            yield f'<polyline points="{path}" fill="none" stroke="{line.colour}" stroke-width="1.5"/>'


def _runs(points: Points) -> Iterator[list[tuple[float, float]]]:
    """The stretches for which there are values."""
    run: list[tuple[float, float]] = []
    for at, value in points:
        if value is not None:
            run.append((at, value))
        elif run:
            yield run
            run = []
    if run:
        yield run


def _epoch(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()
