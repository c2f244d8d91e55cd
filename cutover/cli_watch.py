"""The commands that look on while a cutover runs: the page, and the view in the terminal."""

from __future__ import annotations

import json
import os
import signal
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from cutover.errors import PlanError, StepError
from cutover.notices.happenings import Happening
from cutover.notices.send import SendError, name, send
from cutover.session import Session
from cutover.terminal import follow
from cutover.times import expected_times
from stacks.settings import Environment

Expected = Annotated[
    Path | None,
    typer.Option(
        help="The report.json of an earlier run or rehearsal, for planned times; out/PLAN otherwise."
    ),
]


def watch_command(
    context: typer.Context,
    *,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="The port on loopback; 0: one that is free.")
    ] = 0,
    probe: Annotated[
        bool, typer.Option(help="Look at both sides every two seconds: users' requests, health, DNS, lag.")
    ] = True,
    textfile: Annotated[
        Path | None,
        typer.Option(help="Write metrics into this .prom file too, for node_exporter's collector."),
    ] = None,
    expected: Expected = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")] = False,
) -> None:
    """Serve a page on loopback to watch the cutover, live; from it steps are approved and rolled back."""
    from cutover.measure.metrics import Textfile  # noqa: PLC0415
    from cutover.measure.series import SeriesFile  # noqa: PLC0415 - only this command serves anything
    from cutover.watch.deeds import Deeds  # noqa: PLC0415
    from cutover.watch.feed import Feed  # noqa: PLC0415
    from cutover.watch.probes import Probes  # noqa: PLC0415
    from cutover.watch.server import LOOPBACK, Page, serve  # noqa: PLC0415

    session: Session = context.obj
    plan = session.plan()
    times = expected_times(plan, expected, session.project / "out" / plan.id / "report.json")
    feed, deeds = Feed(session, plan, times), Deeds(session, plan)
    feed.asked = deeds.asked
    series = SeriesFile(session.series_path)
    # what moves 3scale stops it: there are no two sides whose answers could be compared
    sides = probe and isinstance(session.environment(), Environment)
    probes = Probes(lambda stopping: session.context(lambda _: None, stopping), series) if sides else None
    if probes:
        feed.probed = probes.found
    try:
        page = Page(feed, deeds, port)
    except OSError as error:
        raise PlanError(f"the page cannot be served on {LOOPBACK}, port {port}: {error}") from error

    def end(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, end)
    if as_json:
        typer.echo(json.dumps({"link": page.link, "port": page.server_port}))
    else:
        typer.echo(f"open {page.link}")
        typer.echo(
            f"From another machine: ssh -L {page.server_port}:{LOOPBACK}:{page.server_port} HOST, then the "
            "same link there. Whoever has the link may approve and roll back. Ctrl-C ends the page alone."
        )
    sys.stdout.flush()
    if probes:
        probes.start()
    try:
        with Textfile(textfile, feed.metrics) if textfile else nullcontext():
            serve(page)
    except KeyboardInterrupt:
        return
    finally:
        if probes:
            probes.close()


def notify_command(
    context: typer.Context,
    text: Annotated[str, typer.Argument(help="What to say.")] = "a trial: nothing has happened",
) -> None:
    """Send a notice over every channel of the settings, to see that it arrives."""
    session: Session = context.obj
    plan = session.plan()
    now = session.clock.now().isoformat(timespec="seconds")
    title = f"{plan.title} ({plan.environment})"
    notices = session.environment().cutover.notices
    if not notices:
        raise PlanError("the settings name nobody to tell: cutover.notices is empty")
    failed = []
    for notice in notices:
        try:
            send(notice, Happening(0, now, "end", title, text), os.environ)
        except SendError as error:
            failed.append(f"{name(notice)}: {error}")
        else:
            typer.echo(f"{name(notice)}: sent")
    if failed:
        raise StepError("; ".join(failed))


def follow_status(session: Session, *, as_json: bool) -> None:
    """The view in the terminal: rich where it is one, plain lines elsewhere, JSON lines where asked for."""
    plan = session.plan()
    times = expected_times(plan, None, session.project / "out" / plan.id / "report.json")
    try:
        follow(session, plan, times, Console(highlight=False, soft_wrap=True), as_json=as_json)
    except KeyboardInterrupt:
        return
