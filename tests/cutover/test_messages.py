"""What an operator reads: signs of life, and after each fault the one command that goes on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from cutover.activity import QUIET_SECONDS, Activity, Heartbeat
from cutover.context import Context
from cutover.decide import Do, TakeBack, decide
from cutover.errors import CutOffError, StepTimeoutError
from cutover.history import BACK, FORWARD, OPERATOR, Heading, fold
from cutover.journal import read_journal
from cutover.output import Output
from cutover.plan import Plan
from cutover.ports import WorkloadState
from cutover.session import Session
from cutover.status import status_of
from tests.cutover.driver import drive
from tests.cutover.world import World

ROOT = Path(__file__).parents[2]


class Time:
    """A clock that is set."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_quiet_step_gives_a_sign_of_life_every_ten_seconds() -> None:
    time, said = Time(), list[str]()
    activity = Activity(time)
    spoken = [0.0]

    def say(text: str) -> None:
        said.append(f"{time.now:g}: {text}")
        spoken[0] = time.now

    heartbeat = Heartbeat(activity, say, lambda: spoken[0])
    activity.begin("start-services")
    for second in range(26):
        time.now = float(second)
        if second == 12:
            activity.note("waiting for boss on the target: 1 of 2 ready (boss-2: ImagePullBackOff)")
        heartbeat.look()
    activity.end()
    time.now = 100
    heartbeat.look()

    assert said == [
        "10: still running (10 s): start-services",
        "20: still running (20 s): start-services: waiting for boss on the target: 1 of 2 ready "
        "(boss-2: ImagePullBackOff)",
    ]


def test_a_line_of_the_step_itself_puts_the_sign_of_life_off() -> None:
    time, said = Time(), list[str]()
    activity = Activity(time)
    heartbeat = Heartbeat(activity, said.append, lambda: 8.0)
    activity.begin("x")
    time.now = 8.0 + QUIET_SECONDS - 0.1
    heartbeat.look()
    assert said == []
    time.now = 8.0 + QUIET_SECONDS
    heartbeat.look()
    assert said == ["still running (18 s): x"]


def test_the_heartbeat_ends_with_what_it_watches() -> None:
    with Heartbeat(Activity(), lambda _: None, lambda: 0.0) as heartbeat:
        assert heartbeat._thread.is_alive()
    assert not heartbeat._thread.is_alive()


def test_waiting_says_which_pods_are_not_ready(world: World) -> None:
    context: Context = world.context()
    state = WorkloadState(2, 2, 2, 1, observed=True, waiting=("boss-2: CrashLoopBackOff",))
    context.activity.begin("start-services")

    with pytest.raises(StepTimeoutError, match=r"1 of 2 ready.*boss-2: CrashLoopBackOff"):
        context.wait_for("boss", 1, lambda: (state.settled, str(state)))

    assert "boss-2: CrashLoopBackOff" in str(context.activity)


def test_signs_of_life_are_lines_in_a_log(capsys: pytest.CaptureFixture[str]) -> None:
    with Output(as_json=False) as output:
        output.say("still running (10 s): x")

    assert "still running (10 s): x" in capsys.readouterr().out


def test_on_a_terminal_they_replace_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    output = Output(as_json=False)
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        output._console = Console(file=nowhere, force_terminal=True)
        before = output.last_said
        with output:
            output.say("still running (10 s): x")
            assert output.last_said == before, "the count goes on in its place"
            output.say("done")
            assert output.last_said > before


def test_grpc_says_nothing_that_is_no_error() -> None:
    code = (
        "import os, sys; from cutover import cli\n"
        "loaded = 'grpc' in sys.modules\n"
        "cli.main(lambda: print(loaded, os.environ['GRPC_VERBOSITY']))"
    )
    env = {key: value for key, value in os.environ.items() if key != "GRPC_VERBOSITY"}

    def run(**more: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, env=env | more, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    assert run() == "False ERROR", "it is set before grpc is loaded"
    assert run(GRPC_VERBOSITY="DEBUG") == "False DEBUG", "what was asked for stays"


def next_of(plan: Plan, path: Path) -> str:
    found = status_of(plan, fold(read_journal(path).records), running=False)["next"]
    assert isinstance(found, str)
    return found


def test_the_command_that_goes_on_has_the_stage_that_was_headed_for(
    world: World, plan: Plan, tmp_path: Path
) -> None:
    world.approvals = False
    path = tmp_path / "journal"
    assert next_of(plan, path) == "cutover run"

    drive(world, plan, path, Heading(FORWARD, "switch", OPERATOR))
    assert next_of(plan, path) == "cutover run --to switch"

    world.approvals = True
    drive(world, plan, path, Heading(FORWARD, "connect", OPERATOR))
    assert next_of(plan, path) == "cutover run", "the stage was reached"

    world.target.buffered = [5] * 100_000
    drive(world, plan, path, Heading(BACK, "prepare", OPERATOR))
    assert next_of(plan, path) == "cutover rollback --to prepare"


def test_a_plan_that_changed_is_adopted_by_the_command_that_goes_on(
    world: World, plan: Plan, tmp_path: Path
) -> None:
    world.approvals = False
    drive(world, plan, tmp_path / "journal")
    history = fold(read_journal(tmp_path / "journal").records)
    history.plan_hash = "of another plan"

    assert status_of(plan, history, running=False)["next"] == "cutover run --adopt-plan"


def test_the_command_repeats_the_options_that_it_was_called_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert Session.at(Path(), "prod", "boss-corestone").program == "cutover"
    there = tmp_path / "a project"
    assert Session.at(there, "stage", "boss-corestone").program == (
        f"cutover --project '{there}' --environment stage"
    )


@pytest.mark.parametrize("back", [False, True])
def test_what_a_time_limit_cut_off_is_repaired_by_the_next_run(
    world: World, plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, back: bool
) -> None:
    path, up = tmp_path / "journal", type(world.stacks).up
    if back:
        drive(world, plan, path)
    cut = [True]

    def slow(self: object, stack: str, timeout_seconds: float) -> object:
        if cut.pop() if cut else False:
            world.stacks.open_operations = ["an operation that was cut off"]
            raise CutOffError(f"{stack}: `up` took longer than {timeout_seconds:g} s and was ended")
        return up(world.stacks, stack, timeout_seconds)

    monkeypatch.setattr(type(world.stacks), "up", slow)
    heading = Heading(BACK if back else FORWARD, None, OPERATOR)

    result = drive(world, plan, path, heading)

    assert result.outcome == "halted"
    assert "was ended" in result.reason
    decision = decide(plan, fold(read_journal(path).records), heading)
    assert isinstance(decision, Do | TakeBack)
    assert decision.broken_off
    again = drive(world, plan, path, heading)
    assert again.outcome == ("rolled back" if back else "succeeded"), again
    assert world.stacks.repaired
