"""The command line: what it prints, how it ends, and what it says when something is wrong."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from cutover.clock import SystemClock
from cutover.context import Context
from cutover.errors import StepError
from cutover.history import FORWARD, OPERATOR, Heading
from cutover.journal import Journal
from cutover.lease import LocalLease
from cutover.plan import Plan
from cutover.session import Session
from stacks.settings import Environment
from tests.cutover.command import Cutover
from tests.cutover.driver import drive
from tests.cutover.world import DOMAIN, SOURCE_ADDRESS, TARGET_ADDRESS, World

ROOT = Path(__file__).parents[2]


def test_help_lists_every_command_and_exit_code(cutover: Cutover) -> None:
    text = cutover("--help").out

    for command in (
        "plan",
        "preflight",
        "preview",
        "verify",
        "run",
        "status",
        "approve",
        "rollback",
        "report",
        "audit",
    ):
        assert re.search(rf"\b{command}\b", text), command
    assert "Exit codes" in text


def test_the_version_is_printed(cutover: Cutover) -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", cutover("--version").out)


def test_run_status_report_audit_rollback(cutover: Cutover) -> None:
    done = cutover("run")
    assert (done.code, "outcome: succeeded" in done.out) == (0, True), done.err
    assert cutover.world.record == TARGET_ADDRESS

    status = cutover("status", "--json").json
    assert (status["outcome"], status["running"], status["waiting"]) == ("succeeded", False, [])
    assert {stage["status"] for stage in status["stages"]} == {"done"}
    assert status["next"] == f"cutover --project {cutover.project} report"

    report = cutover("report", "--output", str(cutover.project / "out"))
    assert report.code == 0
    assert json.loads((cutover.project / "out" / "report.json").read_text())["outcome"] == "succeeded"

    audit = cutover("audit", "--json")
    assert (audit.code, audit.json["epochs"]) == (0, 1)

    back = cutover("rollback", "--json")
    assert (back.code, back.json["outcome"]) == (0, "rolled back")
    assert cutover.world.record == SOURCE_ADDRESS


def test_verify_says_what_differs(cutover: Cutover) -> None:
    same = cutover("verify")
    cutover.world.move.verified = {
        **cutover.world.move.verified,
        "mismatches": 1,
        "differences": ["boss.records (seq=17) different"],
    }
    other = cutover("verify")

    assert (same.code, "1,000 rows" in same.out) == (0, True)
    assert (other.code, "boss.records (seq=17) different" in other.out) == (4, True)
    assert cutover("verify", "--json").json["mismatches"] == 1


def test_json_alone_is_on_standard_output(cutover: Cutover) -> None:
    for arguments in (["plan", "show"], ["plan", "check"], ["preflight"], ["preview"], ["run"], ["status"]):
        call = cutover(*arguments, "--json")
        assert call.code == 0, call.err
        json.loads(call.out)


def test_the_plan_is_exported_for_all_and_for_each_owner(
    cutover: Cutover, plan: Plan, tmp_path: Path
) -> None:
    found = cutover("plan", "export", "--output", str(tmp_path / "plan"), "--json").json
    files = {Path(name).name: Path(name).read_text() for name in found}

    assert len(files) == 2 * (1 + len(plan.owners)) + 1
    assert json.loads(files["boss-corestone.json"])["plan"]["id"] == "boss-corestone"
    for kind in ("md", "html"):
        everybody, owner = files[f"boss-corestone.{kind}"], files[f"boss-corestone.operator.{kind}"]
        for step in plan.steps:
            assert step.title.replace("'", "&#x27;" if kind == "html" else "'") in everybody
            heading = f"<h3>{step.title}" if kind == "html" else f"`{step.id}`: {step.title}"
            assert (heading in owner.replace("&#x27;", "'")) == (step.owner == "Operator")
        assert "critical path" in everybody
        assert "cutover approve open-database" in everybody


def test_the_plan_is_printed_by_a_browser(cutover: Cutover, plan: Plan, tmp_path: Path) -> None:
    found = cutover("plan", "export", "--output", str(tmp_path), "--format", "pdf", "--json").json

    assert len(found) == 1 + len(plan.owners)
    assert all(Path(name).read_bytes().startswith(b"%PDF-") for name in found)


def test_a_pdf_without_a_browser_and_an_unknown_format_are_refused(
    cutover: Cutover, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for format_, says in (("pdf", "export html"), ("doc", "expected md, html, pdf, json")):
        call = cutover("plan", "export", "--output", str(tmp_path / "plan"), "--format", format_)
        assert (call.code, says in call.err) == (3, True)
    assert not (tmp_path / "plan").exists()


def test_preview_shows_every_step_and_changes_nothing(cutover: Cutover, plan: Plan) -> None:
    before = cutover.world.state

    found = cutover("preview", "--json").json

    assert [item["step"] for item in found] == [step.id for step in plan.steps]
    changes = {item["step"]: item["changes"] for item in found}
    assert changes["adopt-records"] == ["no change"]
    assert changes["lower-ttl"] == [
        f"update DnsRecord {name} (ttl)" for name in (DOMAIN, "corestone.truewatch.com")
    ]
    assert changes[f"switch-{DOMAIN}"] == [
        f"after lower-ttl: flip the stack edge: records[{DOMAIN}] to target"
    ]
    assert cutover.world.state == before


def test_a_halt_says_what_happened_what_is_done_and_how_to_go_on(cutover: Cutover) -> None:
    cutover.world.source.buffered = [1] * 100_000

    call = cutover("run")

    assert call.code == 4
    assert "outcome: halted" in call.out
    assert "what happened: step drain-source: " in call.out
    assert "BOSS usage: 1 left" in call.out
    assert re.search(r"done so far: preflight, .*hand-over-schedules\n", call.out)
    assert f"to go on: cutover --project {cutover.project} run\n" in call.out


def test_a_stage_that_undid_itself_has_a_code_of_its_own(cutover: Cutover) -> None:
    cutover.world.broken_target = True

    call = cutover("run")

    assert call.code == 5
    assert "stage switch is undone" in call.out
    assert cutover.world.record == SOURCE_ADDRESS


def test_a_second_runner_is_refused(cutover: Cutover) -> None:
    with LocalLease(cutover.project / ".cutover" / "prod.lease", SystemClock()):
        call = cutover("run")
        assert cutover("status", "--json").json["running"] is True

    assert call.code == 6
    assert f"process {os.getpid()}" in call.err


def test_wrong_settings_are_one_clear_error(cutover: Cutover, settings: dict[str, Any]) -> None:
    settings["domains"][0]["tll"] = 1
    config = {"config": {"landfall:environment": settings}}
    (cutover.project / "Pulumi.prod.yaml").write_text(yaml.safe_dump(config))

    call = cutover("run")

    assert call.code == 3
    assert "tll" in call.err
    assert "Traceback" not in call.err
    assert not (cutover.project / ".cutover").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["run", "--to", "swich"], 3, "no stage 'swich'"),
        (["rollback", "--to", "swich"], 3, "no stage 'swich'"),
        (["--environment", "nowhere", "status"], 3, "Pulumi.nowhere.yaml"),
        (["--plan", "other", "status"], 3, "no plan 'other'; the plans are boss-corestone"),
        (["approve", "open-database", "--as", "Ada", "--note", "done"], 3, "does not wait for anybody"),
        (["approve", "nothing", "--as", "Ada", "--note", "done"], 3, "no step 'nothing'"),
        (["report"], 3, "the plan was not run yet"),
        (["audit"], 3, "there is no journal at"),
        (["report", "--traffic", "/does/not/exist"], 3, "/does/not/exist cannot be read"),
        (["report", "--engine", "mine"], 3, "expected official or lab"),
        (["unknown"], 2, "No such command"),
    ],
)
def test_wrong_usage_is_one_line(cutover: Cutover, arguments: list[str], code: int, text: str) -> None:
    call = cutover(*arguments)

    assert call.code == code
    assert text in call.err
    assert "Traceback" not in call.err


def test_a_damaged_journal_is_refused(cutover: Cutover) -> None:
    cutover("run", "--to", "prepare")
    path = cutover.project / ".cutover" / "prod.boss-corestone.jsonl"
    path.write_bytes(path.read_bytes().replace(b"preflight", b"postflight", 1))

    for command in ("run", "rollback", "status", "audit"):
        call = cutover(command)
        assert (call.code, "damaged in record" in call.err) == (3, True), command


def test_a_changed_plan_has_to_be_adopted(cutover: Cutover, settings: dict[str, Any]) -> None:
    cutover("run", "--to", "prepare")
    settings["cutover"]["soak_seconds"] = 21
    config = {"config": {"landfall:environment": settings}}
    (cutover.project / "Pulumi.prod.yaml").write_text(yaml.safe_dump(config))

    refused = cutover("run")
    assert (refused.code, "--adopt-plan" in refused.err) == (3, True)
    assert cutover("status", "--json").json["plan_changed"] is True
    assert cutover("run", "--adopt-plan").code == 0
    assert cutover("run").code == 0


def test_a_rollback_that_was_halted_leaves_the_way_ahead(cutover: Cutover) -> None:
    cutover("run")
    cutover.world.target.buffered = [1] * 100_000
    assert cutover("rollback").code == 4
    assert cutover("status", "--json").json["next"] == f"cutover --project {cutover.project} rollback"

    cutover.world.target.buffered = []
    assert cutover("run").code == 0


def test_an_environment_that_cannot_be_reached_changes_nothing(
    cutover: Cutover, monkeypatch: pytest.MonkeyPatch
) -> None:
    def context(*_: Any) -> Context:
        raise StepError("the kubeconfig has no usable context 'huawei': no such file")

    monkeypatch.setattr(Session, "context", context)

    call = cutover("run")

    assert call.code == 4
    assert "no usable context 'huawei'" in call.err
    assert "nothing was changed" in call.err


def test_an_approval_reaches_the_runner_once(
    project: Path, world: World, plan: Plan, environment: Environment, tmp_path: Path
) -> None:
    session = Session(project, "prod", "boss-corestone", world.clock)
    approvals = session.approvals
    assert approvals.take("open-database", "do it", plan.hash, 0) is None

    approvals.give("open-database", "Ada", "ticket 7", asked="do it", plan_hash=plan.hash, round_=0)

    found = approvals.take("open-database", "do it", plan.hash, 0)
    assert found is not None
    assert (found.by, found.note) == ("Ada", "ticket 7")
    assert approvals.take("open-database", "do more", plan.hash, 0) is None, "of another question"
    assert approvals.take("open-database", "do it", plan.hash, 1) is None, "of another round"
    assert approvals.take("open-database", "do it", "other", 0) is None, "of another plan"
    world.clock.sleep(25 * 3600)
    assert approvals.take("open-database", "do it", plan.hash, 0) is None, "too old"


def test_approve_leaves_it_for_the_runner(
    project: Path, world: World, plan: Plan, capsys: pytest.CaptureFixture[str]
) -> None:
    world.approvals = False
    folder = project / ".cutover"
    drive(world, plan, folder / "prod.boss-corestone.jsonl", Heading(FORWARD, None, OPERATOR))
    session = Session.at(project, "prod", "boss-corestone")
    journal = Journal(session.journal_path, 9, world.clock)
    journal.append("intent", {"step": "open-database", "direction": "forward"})
    journal.append("waiting", {"step": "open-database", "instructions": "bind the EIP"})
    journal.close()
    cutover = Cutover(project, world, capsys)

    waiting = cutover("status", "--json").json["waiting"]
    assert waiting == [
        {"step": "open-database", "owner": "Owner of the Huawei account", "instructions": "bind the EIP"}
    ]
    assert " approve open-database --as NAME" in cutover("status").out
    call = cutover("approve", "open-database", "--as", "Ada", "--note", "ticket 7")

    assert (call.code, call.out) == (0, "open-database: approved by Ada\n")
    assert session.approvals.take("open-database", "bind the EIP", plan.hash, 0) is not None


RUNNER = """
import os, runpy, time
from cutover import cli
from cutover.session import Session
from tests.cutover.world import World

class Slow(World):
    def take(self, step, asked, plan_hash, round_):
        print("busy", flush=True)
        time.sleep(float(os.environ["BUSY_SECONDS"]))

def context(session, say, stopping):
    world = Slow(session.environment())
    made = world.context(stopping)
    made.say = say
    made.clock = session.clock
    world.clock.sleep = session.clock.sleep
    world.ttl = 0
    return made

Session.context = context
Session.approvals = property(lambda session: Slow(session.environment()))
cli._warm = lambda: None
runpy.run_module("cutover", run_name="__main__")
"""


@pytest.mark.parametrize(("busy_seconds", "code"), [(0, 7), (300, 130)])
def test_ctrl_c_stops_at_a_safe_point_and_a_second_one_at_once(
    project: Path, world: World, busy_seconds: int, code: int
) -> None:
    runner = subprocess.Popen(
        [sys.executable, "-c", RUNNER, "--project", str(project), "run"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "BUSY_SECONDS": str(busy_seconds)},
    )
    assert runner.stdout is not None
    for line, interrupted in (("busy", True), ("stopping at the next safe point", code == 130)):
        assert any(line in found for found in iter(runner.stdout.readline, "")), line
        if interrupted:
            runner.send_signal(signal.SIGINT)
    out, err = runner.communicate(timeout=60)

    assert runner.returncode == code, err
    if code == 7:
        assert "outcome: interrupted" in out
        assert f"to go on: cutover --project {project} run\n" in out
    else:
        assert f"It is looked at before going on: `cutover --project {project} run`" in err
    assert "Traceback" not in err
