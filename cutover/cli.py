"""The command line of the cutover.

Exit codes:
    0  done: the goal was reached
    1  an error of the program itself
    2  wrong usage of the command line
    3  bad input: settings, plan, journal or a file
    4  halted: a gate, an effect or a check failed; nothing was undone by itself
    5  a stage was undone by itself because of what was seen while it soaked
    6  another runner is at work on this environment
    7  stopped at a safe point, as asked by Ctrl-C
  130  stopped at once, as asked by a second Ctrl-C
"""

from __future__ import annotations

import json
import os
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from cutover.activity import Heartbeat
from cutover.cli_init import init_command
from cutover.cli_keep import audit_command, unlock_command
from cutover.cli_watch import Expected, follow_status, notify_command, watch_command
from cutover.errors import CutoverError, JournalError, LeaseError, PlanError, StepError
from cutover.export import export
from cutover.history import BACK, FORWARD, OPERATOR, Heading
from cutover.masking import VARIABLES, keep_variables_secret, masked
from cutover.notices.notifier import Notifier
from cutover.output import Output, stop_on_ctrl_c
from cutover.owner_status import render_owner
from cutover.plan import Plan, specification
from cutover.report import read_report_input, with_context, write_report
from cutover.runbook import markdown
from cutover.runner import Result, Runner
from cutover.session import DEFAULT_PLAN, Session, preflight, preview
from cutover.status import render_status, status_of
from cutover.terminal import RunView
from cutover.times import expected_times, said_by
from stacks.settings import SettingsError

DEFECT, BAD_INPUT, HALTED, UNDONE, BUSY, STOPPED, AT_ONCE = 1, 3, 4, 5, 6, 7, 130

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Moves running services stage by stage, and takes them back.",
    epilog="Exit codes: 0 done, 1 error of the program, 2 usage, 3 bad input, 4 halted, 5 stage undone by "
    "itself, 6 another runner is at work, 7 stopped by Ctrl-C at a safe point, 130 at once.",
)
plan_app = typer.Typer(no_args_is_help=True, help="The plan: show it, check it, export it.")
app.add_typer(plan_app, name="plan")

Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]


def _version(value: bool) -> None:
    if value:
        try:
            _echo(metadata.version("landfall"))
        except metadata.PackageNotFoundError:
            _echo("0.1.0")
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    project: Annotated[Path, typer.Option(help="The project's folder.")] = Path(),
    environment: Annotated[
        str | None, typer.Option(help="The environment; without it the plan's: prod, or rhoam for rhoam.")
    ] = None,
    plan: Annotated[str, typer.Option(help="The plan.")] = DEFAULT_PLAN,
    version: Annotated[  # noqa: ARG001 - handled by its callback
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options of every command."""
    context.obj = Session.at(project, environment, plan)


@plan_app.command("show")
def plan_show(context: typer.Context, as_json: Json = False) -> None:
    """Print the plan as a runbook."""
    plan = context.obj.plan()
    _echo(
        _json({"hash": plan.hash, "plan": specification(plan)}) if as_json else markdown(plan, said_by(plan))
    )


@plan_app.command("check")
def plan_check(context: typer.Context, as_json: Json = False) -> None:
    """Check the plan and the settings it was made from."""
    plan: Plan = context.obj.plan()
    found = {"plan": plan.id, "hash": plan.hash, "stages": len(plan.stages), "steps": len(plan.steps)}
    text = (
        f"plan {plan.id} is sound: {len(plan.stages)} stages, {len(plan.steps)} steps, hash {plan.hash[:12]}"
    )
    _echo(_json(found) if as_json else text)


@plan_app.command("export")
def plan_export(
    context: typer.Context,
    output: Annotated[Path, typer.Option(help="The folder to write into.")] = Path("out/plan"),
    formats: Annotated[
        list[str] | None,
        typer.Option("--format", help="md, html, pdf (by a browser) or json; may be repeated."),
    ] = None,
    expected: Expected = None,
    as_json: Json = False,
) -> None:
    """Write the runbook, for all and for each owner; without --format as md, html and json."""
    session: Session = context.obj
    plan = session.plan()
    times = expected_times(plan, expected, session.project / "out" / plan.id / "report.json")
    files = export(plan, output, formats or ["md", "html", "json"], times)
    _echo(_json([str(path) for path in files]) if as_json else "\n".join(map(str, files)))


@app.command("preflight")
def preflight_command(context: typer.Context, as_json: Json = False) -> None:
    """Check what must be right before anything is begun; changes nothing."""
    session: Session = context.obj
    plan = session.plan()
    output = Output(as_json=as_json)
    with stop_on_ctrl_c(output) as stopping, output:
        found = preflight(session.context(output.say, stopping), plan)
    _echo(_json(found) if as_json else "preflight: everything holds")


@app.command("preview")
def preview_command(context: typer.Context, as_json: Json = False) -> None:
    """Show what each step would change as the world stands; changes nothing."""
    session: Session = context.obj
    plan = session.plan()
    output = Output(as_json=as_json)
    with stop_on_ctrl_c(output) as stopping, output:
        found = preview(session.context(output.say, stopping), plan)
    if as_json:
        _echo(_json([{"step": step, "changes": list(lines)} for step, lines in found]))
    for step, lines in [] if as_json else found:
        _echo(step)
        for line in lines:
            _echo(f"    {line}")
    if any(line.startswith("REFUSED") for _, lines in found for line in lines):
        raise typer.Exit(HALTED)


@app.command("verify")
def verify_command(context: typer.Context, as_json: Json = False) -> None:
    """Compare schema and data of both databases, while they are written to; goes on where it was ended."""
    session: Session = context.obj
    if session.running():
        raise LeaseError(f"a runner is at work in {session.folder}, and it verifies by itself")
    output = Output(as_json=as_json)
    with stop_on_ctrl_c(output) as stopping, output:
        found = dict(session.context(output.say, stopping).move().verify(output.say))
    if as_json:
        _echo(_json(found))
    else:
        _echo(
            f"{found['tables']} tables, {found['rows']:,} rows, {found['rows_per_second']:,} a second: "
            f"{found['mismatches']} differ, {found['waiting']} wait for another look"
        )
        for line in (*found.get("differences", ()), *found.get("remarks", ())):
            _echo(f"  {line}")
    if found["mismatches"]:
        raise typer.Exit(HALTED)


@app.command("run")
def run(
    context: typer.Context,
    to: Annotated[
        str | None, typer.Option(help="Go to the end of this stage or phase; otherwise to the end.")
    ] = None,
    adopt_plan: Annotated[bool, typer.Option(help="Go on although plan or settings have changed.")] = False,
    as_json: Json = False,
) -> None:
    """Go forward from where the journal ends; starts, or goes on after a halt or a crash."""
    _work(context.obj, Heading(FORWARD, to, OPERATOR), adopt=adopt_plan, as_json=as_json)


@app.command("rollback")
def rollback(
    context: typer.Context,
    to: Annotated[
        str | None,
        typer.Option(help="Undo what came after the end of this stage or phase; otherwise everything."),
    ] = None,
    adopt_plan: Annotated[bool, typer.Option(help="Go on although plan or settings have changed.")] = False,
    as_json: Json = False,
) -> None:
    """Undo from the last step to the first, in the order that refuses nobody."""
    _work(context.obj, Heading(BACK, to, OPERATOR), adopt=adopt_plan, as_json=as_json)


def _work(session: Session, heading: Heading, *, adopt: bool, as_json: bool) -> None:
    plan = session.plan()
    if heading.until is not None:
        heading = replace(heading, until=plan.stage(heading.until).id)
    times = expected_times(plan, None, session.project / "out" / plan.id / "report.json")
    output = Output(as_json=as_json, view=RunView(session, plan, times))
    try:
        result = _run_plan(session, plan, heading, adopt=adopt, output=output)
    except KeyboardInterrupt:
        on = status_of(plan, session.history(), running=False, program=session.program)["next"]
        _fail(f"stopped at once; a step may be half done. It is looked at before going on: `{on}`", AT_ONCE)
    _report_result(session, plan, result, as_json=as_json)


def _run_plan(session: Session, plan: Plan, heading: Heading, *, adopt: bool, output: Output) -> Result:
    with (
        stop_on_ctrl_c(output) as stopping,
        session.journal(plan, adopt=adopt, say=output.say) as journal,
        output,
    ):
        # The providers' packages take seconds to load; no flip should wait for them.
        threading.Thread(target=_warm, name="warm", daemon=True).start()
        context = session.context(output.say, stopping)
        notices = context.settings.cutover.notices
        told = Notifier(
            plan, notices, session.journal_path, output.say,
            program=session.program, home=session.journal_home,
        )  # fmt: skip
        with (
            session.anchoring(journal, output.say),
            told,
            Heartbeat(context.activity, output.say, lambda: output.last_said),
        ):
            return Runner(plan, journal, context, session.approvals).run(heading)


def _report_result(session: Session, plan: Plan, result: Result, *, as_json: bool) -> None:
    status = status_of(plan, session.history(), running=False, program=session.program)
    if as_json:
        _echo(_json({**asdict(result), "next": status["next"], "changed": status["done"]}))
    else:
        _echo(f"outcome: {result.outcome}")
        if result.reason:
            _echo(f"what happened: {f'step {result.step}: ' if result.step else ''}{result.reason}")
        if result.outcome in ("halted", "interrupted"):
            _echo(f"done so far: {', '.join(status['done']) or 'nothing'}")
            _echo(f"to go on: {status['next']}")
    if result.outcome == "interrupted":
        raise typer.Exit(STOPPED)
    if result.outcome == "halted":
        raise typer.Exit(UNDONE if result.breached else HALTED)


app.command("watch")(watch_command)
app.command("notify")(notify_command)
app.command("init")(init_command)
app.command("audit")(audit_command)
app.command("unlock")(unlock_command)


@app.command("status")
def status_command(
    context: typer.Context,
    follow: Annotated[
        bool, typer.Option("--follow", help="Stay, and show what happens until the run has ended.")
    ] = False,
    owner: Annotated[
        str | None, typer.Option(help="Only what concerns this owner, by their name or a part of it.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Say where the cutover stands; reads the journal alone and may be asked at any time."""
    session: Session = context.obj
    if owner is not None:
        for_owner = session.owner_status(session.plan(), owner)
        _echo(_json(for_owner) if as_json else render_owner(for_owner))
        return
    if follow:
        follow_status(session, as_json=as_json)
        return
    found = status_of(
        session.plan(),
        session.history(),
        running=session.running(),
        program=session.program,
        holder=session.holder(),
    )
    _echo(_json(found) if as_json else render_status(found))


@app.command("approve")
def approve(
    context: typer.Context,
    step: Annotated[str, typer.Argument(help="The step that waits.")],
    by: Annotated[str, typer.Option("--as", help="Who approves.")],
    note: Annotated[str, typer.Option(help="What was done, or where the evidence is.")],
    as_json: Json = False,
) -> None:
    """Say that a step which waits for a person is done."""
    session: Session = context.obj
    given = session.approve(session.plan(), step, by, note)
    _echo(_json(asdict(given)) if as_json else f"{step}: approved by {given.by}")


@app.command("report")
def report(
    context: typer.Context,
    *,
    traffic: Annotated[
        Path | None, typer.Option(help="A JSON file of the report's section `traffic`.")
    ] = None,
    series: Annotated[Path | None, typer.Option(help="Requests, failures and latency by second.")] = None,
    faults: Annotated[
        Path | None, typer.Option(help="A JSON file with `faults_injected`, by whoever injected them.")
    ] = None,
    engine: Annotated[str, typer.Option(help="Which engine ran the stacks: official or lab.")] = "official",
    expected: Annotated[
        Path | None,
        typer.Option(
            help="The report.json whose times were planned; the last run's that succeeded otherwise."
        ),
    ] = None,
    compare: Annotated[
        list[Path] | None,
        typer.Option(help="Another report.json to compare with, beside those in earlier/; may be repeated."),
    ] = None,
    output: Annotated[Path | None, typer.Option(help="The folder to write into; out/PLAN otherwise.")] = None,
    as_json: Json = False,
) -> None:
    """Write report.json and report.html from the journal; the report of the run before goes to earlier/."""
    session: Session = context.obj
    plan = session.plan()
    given = read_report_input(traffic, series, faults, engine)
    folder = output or session.project / "out" / plan.id
    thresholds = session.environment().cutover
    records = session.contents().records
    given = with_context(
        given, plan, records, series=session.series_path, folder=folder, expected=expected,
        compare=compare or (),
    )  # fmt: skip
    made = write_report(folder, plan, records, given, thresholds)
    if as_json:
        _echo(made.model_dump_json(indent=2))
        return
    _echo(f"outcome: {made.outcome}")
    for criterion in made.criteria:
        word = {True: "holds", False: "DOES NOT HOLD", None: "not judged"}[criterion.holds]
        _echo(f"  {criterion.title}: {word} ({criterion.evidence})")
    _echo(f"{folder / 'report.json'}\n{folder / 'report.html'}")


def _warm() -> None:
    from cutover.pulumi_stacks import warm  # noqa: PLC0415 - loads Pulumi, which only a run needs

    warm()


def _echo(text: str, *, err: bool = False) -> None:
    """What is printed holds nothing that is known to be secret."""
    typer.echo(masked(text), err=err)


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


@contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except LeaseError as error:
        _fail(f"{error}. Where it stands: `cutover status`", BUSY)
    except (SettingsError, PlanError, JournalError) as error:
        _fail(str(error), BAD_INPUT)
    except StepError as error:
        _fail(f"{error}; nothing was changed. To go on: the same command again", HALTED)
    except CutoverError as error:
        _fail(str(error), HALTED)
    except Exception:  # noqa: BLE001 - a defect: its trace is shown, without secrets
        _echo(traceback.format_exc(), err=True)
        sys.exit(DEFECT)


def _fail(text: str, code: int) -> NoReturn:
    _echo(f"cutover: {text}", err=True)
    sys.exit(code)


def main(run_app: Callable[[], None] = app) -> None:
    """The entry point; turns errors into a line and an exit code."""
    # grpc reads it when it is loaded, which only some commands do; its INFO lines are nothing for a terminal
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    keep_variables_secret(VARIABLES)
    with _errors():
        run_app()
