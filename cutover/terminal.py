"""Where a cutover stands, live in a terminal; plain lines where there is none."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from cutover.actions.database import SwitchDatabase
from cutover.errors import JournalError
from cutover.history import Status, fold
from cutover.journal import Contents
from cutover.measure.series import SeriesFile
from cutover.narrative import owners_of, tell
from cutover.plan import Plan
from cutover.session import Session
from cutover.times import duration
from cutover.watch.view import head_view

LOOK_SECONDS = 0.5
_MOVING = (Status.BEGUN, Status.UNDO_BEGUN)
FRESH_SECONDS = 10.0
"""What was measured earlier is not shown as what is so now."""
_LINES = 8
_STEPS = 12
_COLOURS = {"done": "green", "begun": "blue", "failed": "red", "undo begun": "yellow", "undo failed": "red"}


def follow(
    session: Session, plan: Plan, times: Mapping[str, float], console: Console, *, as_json: bool
) -> None:
    """Shows what happens until no runner is at work any more. Raises JournalError."""
    if console.is_terminal and not as_json:
        with Live(console=console, auto_refresh=False, screen=False) as live:
            for contents, head in _moments(session, plan):
                live.update(_screen(session, plan, times, contents, head), refresh=True)
        return
    owners, seen = owners_of(plan), 0
    end = ""
    for contents, head in _moments(session, plan):
        end = f"{head['condition']}; next: {head['command']}"
        for record in contents.records[seen:]:
            text = tell(record, owners)
            if as_json:
                print(
                    json.dumps({"at": record.at, "kind": record.kind, "text": text, **record.data}),
                    flush=True,
                )
            elif text:
                print(f"{_clock(record.at)} {text}", flush=True)
        seen = len(contents.records)
    if not as_json:
        print(end, flush=True)


class RunView:
    """The same beneath the lines of a run, in the runner's own terminal."""

    def __init__(self, session: Session, plan: Plan, times: Mapping[str, float]) -> None:
        self._session = session
        self._plan = plan
        self._times = times
        self._contents = Contents((), 0, 0)
        self._switches = {step.id for step in plan.steps if isinstance(step.action, SwitchDatabase)}

    def __call__(self) -> RenderableType | None:
        """What is to be seen now; None: what was seen last, as nothing may take time from a switch."""
        try:
            self._contents = self._session.journal_home.read(self._contents)
        except JournalError:
            return None  # the runner says it, and ends
        history = fold(self._contents.records)
        if any(history.step(name).status in _MOVING for name in self._switches):
            return None
        last = self._contents.records[-1] if self._contents.records else None
        head = head_view(self._plan, history, last, running=True, program=self._session.program)
        return _screen(self._session, self._plan, self._times, self._contents, head, lines=False)


def _moments(session: Session, plan: Plan) -> Iterator[tuple[Contents, dict[str, Any]]]:
    """The journal and where it stands, twice a second; the last one once nobody is at work."""
    contents = Contents((), 0, 0)
    while True:
        running = session.running()
        contents = session.journal_home.read(contents)
        running = running or session.running()
        last = contents.records[-1] if contents.records else None
        yield (
            contents,
            head_view(plan, fold(contents.records), last, running=running, program=session.program),
        )
        if not running:
            return
        session.clock.sleep(LOOK_SECONDS)


def _screen(
    session: Session,
    plan: Plan,
    times: Mapping[str, float],
    contents: Contents,
    head: Mapping[str, Any],
    *,
    lines: bool = True,
) -> RenderableType:
    history = fold(contents.records)
    owners = owners_of(plan)
    parts: list[RenderableType] = [
        Text(f"{plan.title}, {plan.environment}: {head['condition']}", style="bold"),
        Text(f"{head['done']} of {head['total']} steps done. {head['way_back']['text']}", style="dim"),
    ]
    if measured := _measured(session):
        parts.append(Text(measured, style="dim"))
    # above the table, as a low terminal cuts off what is at the end
    for item in head["waiting"]:
        parts.append(Text(f"waiting for {item['owner']}: {item['instructions']}", style="yellow bold"))
        parts.append(Text(f"    {session.program} approve {item['step']} --as NAME --note TEXT"))
    table = Table("", "Stage, step", "Owner", "Took", "Planned", box=None, pad_edge=False)
    ids = [step.id for step in plan.steps]
    at = head["now"] or next(iter(head["next"]), "")
    middle = ids.index(at) if at in ids else len(ids) - 1
    shown = set(ids[max(0, middle - _STEPS // 2) : middle + _STEPS // 2 + 1])
    for stage in plan.stages:
        done = sum(history.step(step.id).status == Status.DONE for step in stage.steps)
        word = "done" if done == len(stage.steps) else f"{done}/{len(stage.steps)}"
        table.add_row(Text(word, style="green" if word == "done" else ""), Text(stage.title, style="bold"))
        for step in stage.steps if not shown.isdisjoint(item.id for item in stage.steps) else ():
            if step.id not in shown:
                continue
            found = history.step(step.id)
            status = "now" if step.id == head["now"] else str(found.status)
            colour = "blue" if status == "now" else _COLOURS.get(status, "dim")
            took = _took(found.began, session) if status == "now" and not found.ended else found.seconds
            planned = duration(times[step.id]) if step.id in times else f"≤ {duration(step.timeout_seconds)}"
            table.add_row(
                Text(status, style=colour), Text(f"  {step.title}"), Text(step.owner),
                Text(duration(took) if took else ""), Text(planned, style="dim"),
            )  # fmt: skip
    parts.append(table)
    told = [(record.at, tell(record, owners)) for record in contents.records[-4 * _LINES :] if lines]
    parts += [Text(f"{_clock(at)} {text}", style="dim") for at, text in told if text][-_LINES:]
    if not head["running"]:
        parts.append(Text(f"next: {head['command']}", style="bold"))
    return Group(*parts)


def _measured(session: Session) -> str:
    """What a page that is open measures; empty where none is."""
    found = SeriesFile(session.series_path).recent(1)
    if not found or session.clock.now().timestamp() - found[0].at > FRESH_SECONDS:
        return ""
    sides = (
        (name, flow) for name, flow in (("source", found[0].source), ("target", found[0].target)) if flow
    )
    words = [f"{name} {flow.rate:.0f} requests/s, {flow.failed} failed" for name, flow in sides]
    if found[0].lag_seconds is not None:
        behind = "source" if found[0].lag_direction == "reverse" else "target"
        words.append(f"the {behind}'s replica {found[0].lag_seconds * 1000:.0f} ms behind")
    return "; ".join(words)


def _took(began: str, session: Session) -> float:
    return (session.clock.now() - datetime.fromisoformat(began)).total_seconds() if began else 0.0


def _clock(moment: str) -> str:
    return f"{datetime.fromisoformat(moment).astimezone():%H:%M:%S}"
