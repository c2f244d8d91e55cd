"""A plan as a runbook to hold: one page of HTML that needs nothing else, to be printed and ticked off."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from html import escape

from cutover.actions.base import Condition
from cutover.critical_path import critical_path, links
from cutover.plan import Keep, NoReturn, Plan, Step, Undo
from cutover.runbook import approval, expected
from cutover.times import duration
from cutover.window import could_be_ahead, window_steps

ROW, LABEL, WIDTH, GAP = 24, 330, 980, 6
_STYLE = """
:root { color-scheme: light dark; --text: #1b1f24; --back: #fff; --quiet: #57606a; --line: #d0d7de;
  --blue: #0b5bd3; --red: #b3141d; --amber: #7d4e00; }
@media (prefers-color-scheme: dark) { :root { --text: #e6edf3; --back: #0d1117; --quiet: #9da7b3;
  --line: #30363d;
  --blue: #79b8ff; --red: #ff8f88; --amber: #e9b949; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--text); background: var(--back); max-width: 1000px;
  margin: 2rem auto; padding: 0 1rem; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; margin-bottom: 0; } h2 { font-size: 1.15rem; margin-top: 2rem; }
h3 { font-size: 1rem; margin: 0; } code { font-size: .85em; color: var(--quiet); }
.step { border: 1px solid var(--line); border-left: 5px solid var(--line); border-radius: .4rem;
  padding: .6rem .9rem; margin: .6rem 0; break-inside: avoid; } .critical { border-left-color: var(--blue); }
dl { display: grid; grid-template-columns: 8rem 1fr; gap: .1rem .8rem; margin: .4rem 0 0; }
dt { color: var(--quiet); } dd { margin: 0; } .touch { color: var(--amber); font-weight: 600; }
.none { color: var(--red); font-weight: 600; }
.tick { float: right; color: var(--quiet); font-size: .85rem; }
svg { width: 100%; height: auto; } svg text { font: 12px system-ui, sans-serif; fill: var(--text); }
.bar { fill: var(--quiet); } .on { fill: var(--blue); }
.link { fill: none; stroke: var(--quiet); stroke-width: 1; }
@media (max-width: 640px) { dl { grid-template-columns: 1fr; } .tick { float: none; } }
@page { margin: 15mm; } @media print { :root { color-scheme: light; --text: #000; --back: #fff;
  --quiet: #57606a; --line: #d0d7de; --blue: #0b5bd3; --red: #b3141d; --amber: #7d4e00; }
  body { margin: 0; max-width: none; font-size: 11px; }
  h2 { break-after: avoid; } }
"""


def runbook_html(plan: Plan, times: Mapping[str, float], owner: str | None = None) -> str:
    """The page. `owner`: only what this owner does."""
    return "\n".join(_page(plan, times, owner)) + "\n"


def _page(plan: Plan, times: Mapping[str, float], owner: str | None) -> Iterator[str]:
    title = escape(plan.title + (f": {owner}" if owner else ""))
    yield '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{title}</title><style>{_STYLE}</style></head><body><main><h1>{title}</h1>"
    yield (
        f"<p>Plan <code>{escape(plan.id)}</code> for environment <code>{escape(plan.environment)}</code>, "
        f"hash <code>{plan.hash[:12]}</code>. It carries out “{escape(plan.document.title)}”.</p>"
    )
    path = critical_path(plan, times)
    yield "<h2>What needs what</h2>"
    whole = f", {duration(path.seconds)} as far as times are known" if times else ""
    yield (
        f"<p>In blue the critical path: {len(path.steps)} of {len(plan.steps)} steps{whole}. A step stands "
        "to the right of whatever it needs; every stage needs the one before it.</p>"
    )
    yield from _picture(plan, frozenset(path.steps), path.rank)
    yield from _window(plan, times, owner)
    for number, stage in enumerate(plan.stages, 1):
        steps = [step for step in stage.steps if owner in (None, step.owner)]
        if steps:
            yield f"<h2>{number}. {escape(stage.title)} <code>{escape(stage.id)}</code></h2>"
        for step in steps:
            yield from _step(step, plan, times, critical=step.id in path.steps)
    if owner is None:
        yield from _back(plan)
    yield "</main></body></html>"


def _step(step: Step, plan: Plan, times: Mapping[str, float], *, critical: bool) -> Iterator[str]:
    yield f'<section class="step{" critical" if critical else ""}">'
    yield '<span class="tick">☐ at ______ by ______</span>'
    yield f"<h3>{escape(step.title)} <code>{escape(step.id)}</code></h3><dl>"
    touch = (
        '<span class="touch">affects service</span>' if step.affects_service else "does not affect service"
    )
    yield f"<dt>Owner</dt><dd>{escape(step.owner)}; {touch}</dd>"
    rows = [("Time", expected(step, times))]
    rows += [("Document", plan.document.lines.get(line, line)) for line in step.fulfils]
    rows += [("Why", step.reason)] if step.reason else []
    rows += _conditions("Before", step.gates)
    rows.append(("Does", step.action.describe()))
    rows += [("Approval", approval(step).replace("`", ""))] if approval(step) else []
    rows += _conditions("After", step.checks)
    for name, text in rows:
        yield f"<dt>{name}</dt><dd>{escape(text)}</dd>"
    match step.way_back:
        case Undo(gates=gates, checks=checks, timeout_seconds=seconds):
            yield f"<dt>Way back</dt><dd>undone, at most {duration(seconds)}</dd>"
            for name, text in (*_conditions("Before undoing", gates), *_conditions("After undoing", checks)):
                yield f"<dt>{name}</dt><dd>{escape(text)}</dd>"
        case Keep(reason):
            yield f"<dt>Way back</dt><dd>nothing to undo: {escape(reason)}</dd>"
        case NoReturn(reason):
            yield f'<dt>Way back</dt><dd><span class="none">none</span>: {escape(reason)}</dd>'
    yield "</dl></section>"


def _conditions(name: str, conditions: Iterable[Condition]) -> list[tuple[str, str]]:
    return [(name, condition.describe()) for condition in conditions]


def _window(plan: Plan, times: Mapping[str, float], owner: str | None) -> Iterator[str]:
    if plan.window is None:
        return
    steps = window_steps(plan)
    begins, ends = (f"<code>{escape(name)}</code>" for name in (plan.window.begins, plan.window.ends))
    yield (
        f"<h2>The service window</h2><p>Service is stopped from {begins} to the end of {ends}, for at most "
        f"{duration(plan.window.agreed_seconds)} as agreed; its steps are planned to take "
        f"{duration(sum(times.get(step.id, 0.0) for step in steps))}.</p>"
    )
    if free := could_be_ahead(plan, owner):
        yield "<p>To make it shorter, these could be done ahead:</p><ul>"
        for step in free:
            yield f"<li><code>{escape(step.id)}</code>: {escape(step.could_be_ahead)}</li>"
        yield "</ul>"


def _back(plan: Plan) -> Iterator[str]:
    yield "<h2>The way back</h2>"
    yield "<p><code>cutover rollback</code> undoes from the last step to the first:</p><ol>"
    for step in reversed(plan.steps):
        match step.way_back:
            case Undo():
                yield f"<li>undo <code>{escape(step.id)}</code> ({escape(step.title)})</li>"
            case NoReturn(reason):
                none = '<span class="none">no way back</span>'
                yield f"<li>{none} behind {escape(step.id)}: {escape(reason)}</li>"
    yield "</ol>"


def _picture(plan: Plan, critical: frozenset[str], rank: Mapping[str, int]) -> Iterator[str]:
    """A row a step; what it needs stands to its left."""
    rows = {step.id: number for number, step in enumerate(plan.steps)}
    width = (WIDTH - LABEL) / (1 + max(rank.values(), default=0))
    yield f'<svg viewBox="0 0 {WIDTH} {ROW * len(rows) + 8}" role="img" aria-label="What needs what">'
    for link in links(plan):
        x = LABEL + (rank[link.before] + 1) * width - GAP
        y, end = (rows[name] * ROW + ROW / 2 for name in (link.before, link.after))
        to = LABEL + rank[link.after] * width
        yield (
            f'<path class="link" d="M{x:.1f} {y} H{x + GAP / 2:.1f} V{end} H{to:.1f}">'
            f"<title>{escape(f'{link.after} needs {link.before}: {link.why}')}</title></path>"
        )
    for step in plan.steps:
        top = rows[step.id] * ROW
        kind = "bar on" if step.id in critical else "bar"
        yield f'<text x="0" y="{top + 16}">{escape(step.id[:46])}</text>'
        x, long = LABEL + rank[step.id] * width, max(width - GAP, 2)
        yield (
            f'<rect class="{kind}" x="{x:.1f}" y="{top + 6}" width="{long:.1f}" '
            f'height="{ROW - 12}" rx="3"><title>{escape(f"{step.id}: {step.title}")}</title></rect>'
        )
    yield "</svg>"
