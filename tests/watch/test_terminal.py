"""The view in a terminal, and the lines where there is none."""

from __future__ import annotations

import io
import json
import threading

import pytest
from rich.console import Console

from cutover.measure.series import Flow, Sample, SeriesFile
from cutover.output import Output
from cutover.plan import Plan
from cutover.session import Session
from cutover.terminal import RunView, follow
from tests.watch.stage import ROOT, Puppet, make_plan


@pytest.fixture
def plan() -> Plan:
    return make_plan(title="A [bold]plan[/bold]")


def followed(session: Session, plan: Plan, console: Console, *, as_json: bool = False) -> threading.Thread:
    thread = threading.Thread(
        target=follow, args=(session, plan, {"s1-1": 42.0}, console), kwargs={"as_json": as_json}
    )
    thread.start()
    return thread


def run(puppet: Puppet, plan: Plan) -> None:
    puppet.open(plan)
    puppet.do("s1-1", "s1-2")
    puppet.wait_for("s1-3", "open the [red]port[/red]")
    puppet.begin("s1-3")
    puppet.end("s1-3", "failed", "the port is closed")
    puppet.finish("halted", "the port is closed", reached=False)


def test_a_line_for_each_thing_that_happens_until_the_run_has_ended(
    session: Session, plan: Plan, puppet: Puppet, capsys: pytest.CaptureFixture[str]
) -> None:
    thread = followed(session, plan, Console(file=io.StringIO()))
    run(puppet, plan)
    thread.join(20)
    lines = [line.partition(" ")[2] for line in capsys.readouterr().out.splitlines()]

    assert not thread.is_alive()
    assert "s1-1: done in 1.5 s" in lines
    assert "s1-3: waiting for Owner of the database: open the [red]port[/red]" in lines
    assert "s1-3: failed after 1.5 s: the port is closed" in lines
    assert len(lines) == len(set(lines))
    assert lines[-1].startswith("next: ")


def test_json_lines_are_json(
    session: Session, plan: Plan, puppet: Puppet, capsys: pytest.CaptureFixture[str]
) -> None:
    thread = followed(session, plan, Console(file=io.StringIO()), as_json=True)
    run(puppet, plan)
    thread.join(20)
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [item["kind"] for item in found][:3] == ["opened", "started", "intent"]
    assert found[-1]["outcome"] == "halted"


def test_a_terminal_shows_stages_times_and_who_is_waited_for(
    session: Session, plan: Plan, puppet: Puppet
) -> None:
    out = io.StringIO()
    thread = followed(session, plan, Console(file=out, force_terminal=True, width=140, no_color=True))
    run(puppet, plan)
    thread.join(20)
    shown = out.getvalue()

    assert "A [bold]plan[/bold], prod: halted" in shown
    assert "42 s" in shown
    assert "next: cutover" in shown
    assert "the run ended: halted: the port is closed" in shown


def test_a_run_shows_the_same_beneath_its_lines(session: Session, plan: Plan, puppet: Puppet) -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=140, height=60, no_color=True, highlight=False)
    puppet.open(plan)
    puppet.do("s1-1")
    puppet.begin("s1-2")
    with Output(as_json=False, view=RunView(session, plan, {"s1-1": 42.0}), console=console) as output:
        output.say("s1-2: [bold]looked[/bold]")
        output.say("waiting for the port: it is [red]closed[/red]")
        puppet.end("s1-2")
    shown = out.getvalue()

    assert "s1-2: [bold]looked[/bold]" in shown
    assert "A [bold]plan[/bold], prod: under way" in shown
    assert "2 of 9 steps done" in shown
    assert "42 s" in shown


def test_nothing_is_drawn_while_the_database_is_switched(session: Session, puppet: Puppet) -> None:
    plan = Session.at(ROOT, "prod", "boss-corestone").plan()
    view = RunView(session, plan, {})
    puppet.open(plan)
    assert view() is not None
    puppet.begin("switch-database")
    assert view() is None
    puppet.end("switch-database")
    assert view() is not None


def test_where_there_is_no_terminal_a_run_is_lines(session: Session, plan: Plan) -> None:
    out = io.StringIO()
    view = RunView(session, plan, {})
    with Output(as_json=False, view=view, console=Console(file=out)) as output:
        output.say("waiting for the port: it is closed")
    assert out.getvalue().endswith("waiting for the port: it is closed\n")
    assert out.getvalue().count("\n") == 1


def test_what_a_page_measures_is_shown_while_it_is_fresh(
    session: Session, plan: Plan, puppet: Puppet
) -> None:
    puppet.open(plan)
    file = SeriesFile(session.series_path)
    flow = Flow(rate=161.4, failed=2, p50_ms=4.0, p99_ms=9.0)
    now = session.clock.now().timestamp()

    def shown() -> str:
        out = io.StringIO()
        view = RunView(session, plan, {})()
        Console(file=out, width=140).print(view)
        return out.getvalue()

    file.write(Sample(now - 60, flow, None, None, ""))
    assert "requests/s" not in shown()
    file.write(Sample(now, flow, None, 0.004, "reverse"))
    assert "source 161 requests/s, 2 failed; the source's replica 4 ms behind" in shown()
    file.close()
