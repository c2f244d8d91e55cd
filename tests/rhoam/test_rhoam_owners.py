"""What the three parties see: what waits for them, their runbooks, and the report of the window."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from cutover import pulumi_stacks
from cutover.cli import app
from cutover.errors import PlanError
from cutover.export import export
from cutover.history import BACK, fold
from cutover.journal import read_journal
from cutover.notices.happenings import Teller
from cutover.owner_status import find_owner, owner_status, render_owner
from cutover.plan import Plan, Window, check_plan
from cutover.report import ReportInput, make_report, write_report
from cutover.report_model import Report, read_report
from cutover.session import Session
from cutover.times import said_by
from cutover.window import window_steps
from tests.rhoam.conftest import ROOT, filled_settings
from tests.rhoam.rhoam_world import FakeStacks, RhoamWorld
from tests.rhoam.test_rhoam_whole import drive, go

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def report_of(plan: Plan, world: RhoamWorld, path: Path, **given: Any) -> Report:
    thresholds = world.environment.cutover
    return make_report(plan, read_journal(path).records, ReportInput(engine="lab", **given), thresholds)


def criteria(found: Report) -> dict[str, bool | None]:
    return {item.id: item.holds for item in found.criteria}


# status --owner


@pytest.mark.parametrize(
    ("asked", "owner"),
    [
        ("customer", "Customer"),
        ("CUSTOMER", "Customer"),
        ("rhoam", "RHOAM Engineering"),
        ("sre-p", "Red Hat BU/SRE-P"),
        ("Red Hat BU/SRE-P", "Red Hat BU/SRE-P"),
    ],
)
def test_an_owner_is_found_by_a_part_of_the_name(plan: Plan, asked: str, owner: str) -> None:
    assert find_owner(plan, asked) == owner


@pytest.mark.parametrize("asked", ["nobody", "", "r"])
def test_an_owner_who_is_nobody_is_refused(plan: Plan, asked: str) -> None:
    with pytest.raises(PlanError, match="expected one of Red Hat BU/SRE-P, RHOAM Engineering, Customer"):
        find_owner(plan, asked)


def test_an_owner_sees_what_waits_what_may_be_done_and_what_comes(
    settings: dict[str, Any], tmp_path: Path, make: Callable[[dict[str, Any]], tuple[RhoamWorld, Plan]]
) -> None:
    settings["threescale"]["owners"] = {"lead_seconds": 0, "due_ahead_seconds": 30}
    world, plan = make(settings)
    world.slow["fill-bucket"] = -1
    path = tmp_path / "journal.jsonl"
    drive(world, plan, path)
    records = [
        record for record in read_journal(path).records if record.kind in ("opened", "started", "waiting")
    ]
    history = fold(records)

    found = owner_status(
        plan,
        history,
        "Customer",
        NOW + timedelta(minutes=2),
        running=True,
        given=frozenset({"configure-idp"}),
        program="cutover --plan rhoam",
    )

    (waiting,) = found["waiting"]
    assert waiting["step"] == "fill-bucket"
    assert waiting["late"]
    assert [item["step"] for item in found["may_be_done"]][:3] == [
        "grant-bucket",
        "configure-idp",
        "create-domain",
    ]
    assert found["coming"][0]["step"] == "agree-to-begin"
    assert all(plan.step(item["step"]).owner == "Customer" for item in found["coming"])
    text = render_owner(found)
    assert "and is late: fill-bucket" in text
    assert "once it is done: cutover --plan rhoam approve fill-bucket --as NAME --note TEXT" in text
    assert "approved already, and taken when it is its turn: configure-idp" in text


def test_the_customer_is_given_the_new_routes(world: RhoamWorld, plan: Plan, tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    go(world, plan, path, until="serve")

    found = owner_status(
        plan,
        fold(read_journal(path).records),
        "Customer",
        NOW,
        running=False,
        given=frozenset(),
        program="cutover",
    )

    assert "new route: admin portal: https://acme-admin.apps.rhoam.example.com" in render_owner(found)


# approvals before it is one's turn


@pytest.fixture
def session(tmp_path: Path) -> Session:
    text = yaml.safe_dump({"config": {"landfall:environment": filled_settings()}})
    (tmp_path / "Pulumi.rhoam.yaml").write_text(text)
    return Session.at(tmp_path, None, "rhoam")


def test_the_plan_has_an_environment_of_its_own(session: Session) -> None:
    assert session.environment_name == "rhoam"
    assert session.plan().id == "rhoam"


def test_owners_approve_side_by_side_what_is_done_ahead(session: Session) -> None:
    plan = session.plan()

    given = session.approve(plan, "fill-bucket", "Ada", "bucket customer-secrets")

    assert given.by == "Ada"
    assert session.owner_status(plan, "customer")["may_be_done"][0]["approved"]
    asked = plan.step("fill-bucket").action.describe().removeprefix("a person's step: ")
    assert session.approvals.take("fill-bucket", asked, plan.hash, 0) == given
    assert session.approvals.take("fill-bucket", "something else", plan.hash, 0) is None


@pytest.mark.parametrize("step", ["agree-to-begin", "update-systems", "stop-traffic"])
def test_nothing_of_the_window_is_approved_before_it_is_its_turn(session: Session, step: str) -> None:
    with pytest.raises(PlanError, match=f"step {step} does not wait for anybody"):
        session.approve(session.plan(), step, "Ada", "go on")


def test_the_command_line_runs_the_plan_on_clusters_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, session: Session
) -> None:
    sides = ("source", "migration", "destination")
    kubeconfig = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "none", "cluster": {"server": "http://127.0.0.1:1"}}],
        "users": [{"name": "nobody", "user": {}}],
        "contexts": [
            {"name": f"rhoam-{side}", "context": {"cluster": "none", "user": "nobody"}} for side in sides
        ],
    }
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(kubeconfig))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    monkeypatch.setattr(pulumi_stacks, "PulumiStacks", lambda *_: FakeStacks({}))
    # what loads the providers ahead has nothing to load them for
    monkeypatch.setattr(pulumi_stacks, "warm", lambda: None)

    done = CliRunner().invoke(app, ["--project", str(tmp_path), "--plan", "rhoam", "run", "--json"])

    assert done.stdout, (done.exit_code, done.exception, done.output)
    found = json.loads(done.stdout)
    assert (done.exit_code, found["outcome"], found["step"]) == (4, "halted", "preflight")
    assert "cluster rhoam-source does not answer at http://127.0.0.1:1" in found["reason"]
    assert found["next"].endswith(" --plan rhoam run")


# reminders


def test_a_reminder_is_told_to_whoever_is_late(
    settings: dict[str, Any], tmp_path: Path, make: Callable[[dict[str, Any]], tuple[RhoamWorld, Plan]]
) -> None:
    settings["threescale"]["owners"] = {"lead_seconds": 0, "due_ahead_seconds": 30}
    world, plan = make(settings)
    world.slow["fill-bucket"] = 50
    path = tmp_path / "journal.jsonl"
    drive(world, plan, path, until="customer-ready")
    teller = Teller(plan, "cutover --plan rhoam")

    told = [item for record in read_journal(path).records if (item := teller.read(record))]

    (late,) = [item for item in told if "has waited" in item.title]
    assert late.title.endswith("Customer: fill-bucket has waited for you for 30 s")
    assert "approve fill-bucket" in late.text


# the runbook


def test_each_party_is_given_a_runbook_that_says_what_to_do(plan: Plan, tmp_path: Path) -> None:
    files = export(plan, tmp_path, ["md", "html", "json"], said_by(plan))

    assert {path.name for path in files} == {
        f"rhoam{part}.{kind}"
        for kind in ("md", "html")
        for part in ("", ".red-hat-bu-sre-p", ".rhoam-engineering", ".customer")
    } | {"rhoam.json"}
    text = (tmp_path / "rhoam.customer.md").read_text()
    for needed in (
        "oc get secret NAME -n 3scale -o json",
        "cutover approve agree-to-begin --as NAME --note TEXT",
        "open the master portal at /sidekiq",
        "Account Settings > Users > SSO Integrations",
        "expected 60 min",
        "Evidence: who decides, by which time, and how they are reached",
    ):
        assert needed in text
    assert "grant-kubeadmin" not in text.split("## ", 1)[1]
    whole = (tmp_path / "rhoam.md").read_text()
    assert "Service is stopped from `stop-traffic` to the end of `update-systems`" in whole
    assert "- `copy-secrets-destination`: RHOAM's 3scale serves nobody yet" in whole
    page = (tmp_path / "rhoam.html").read_text()
    assert "The service window" in page


def test_planned_times_are_of_the_settings_then_of_the_plan(
    settings: dict[str, Any], make: Callable[[dict[str, Any]], tuple[RhoamWorld, Plan]]
) -> None:
    settings["threescale"]["planned"] = {"dump-database": 77}
    _, plan = make(settings)

    times = said_by(plan)
    assert times["dump-database"] == 77
    assert times["load-database"] == 3600
    assert set(times) == {step.id for step in plan.steps}


def test_a_planned_time_of_no_step_is_refused(
    settings: dict[str, Any], make: Callable[[dict[str, Any]], tuple[RhoamWorld, Plan]]
) -> None:
    settings["threescale"]["planned"] = {"dump-databse": 77}

    with pytest.raises(PlanError, match=r"threescale\.planned names dump-databse, which is no step"):
        make(settings)


# the report


def test_the_report_shows_the_window_its_owners_and_what_could_have_been_ahead(
    world: RhoamWorld, plan: Plan, tmp_path: Path
) -> None:
    path = tmp_path / "journal.jsonl"
    go(world, plan, path)

    found = report_of(plan, world, path)

    window = found.window
    assert window is not None
    assert window.ended is not None
    assert window.steps == tuple(step.id for step in window_steps(plan))
    assert window.steps[0] == "stop-traffic"
    assert window.agreed_seconds == 8 * 3600
    assert {item.owner for item in window.owners} == {"RHOAM Engineering", "Customer"}
    assert window.planned_seconds == sum(item.planned_seconds for item in window.owners)
    assert {"stop-traffic", "restore-postgres", "await-rhoam"} <= set(window.critical_path)
    assert {item.id for item in window.ahead} == {step.id for step in plan.steps if step.could_be_ahead}
    assert all(step.planned_seconds is not None for step in found.steps)
    assert [item.host for item in found.routes if item.leads_to == "admin portal"] == [
        "acme-admin.apps.rhoam.example.com",
        "globex-admin.apps.rhoam.example.com",
    ]


def test_a_migration_that_went_well_meets_its_criteria(world: RhoamWorld, plan: Plan, tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    go(world, plan, path)

    assert criteria(report_of(plan, world, path)) == {
        "content-moved": True,
        "tenants-answer": True,
        "nothing-lost": None,
        "versions-match": True,
        "customer-verified": True,
        "window-kept": True,
    }


def test_a_migration_that_stopped_half_way_does_not(world: RhoamWorld, plan: Plan, tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    world.silent.add("globex-admin.apps.rhoam.example.com")
    go(world, plan, path)

    found = criteria(report_of(plan, world, path))

    assert found["content-moved"] is found["tenants-answer"] is found["customer-verified"] is False
    assert found["window-kept"] is None


def test_a_window_that_was_too_long_is_said(
    settings: dict[str, Any], tmp_path: Path, make: Callable[[dict[str, Any]], tuple[RhoamWorld, Plan]]
) -> None:
    settings["threescale"]["owners"] = {"lead_seconds": 0, "window_seconds": 1}
    world, plan = make(settings)
    path = tmp_path / "journal.jsonl"
    drive(world, plan, path)

    assert criteria(report_of(plan, world, path))["window-kept"] is False


def test_a_rollback_ends_the_window(world: RhoamWorld, plan: Plan, tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    go(world, plan, path, until="connect")
    drive(world, plan, path, BACK)

    found = report_of(plan, world, path)

    assert found.outcome == "rolled back"
    assert found.window is not None
    assert found.window.ended is not None
    assert criteria(found)["content-moved"] is None


def test_the_page_shows_them(world: RhoamWorld, plan: Plan, tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    go(world, plan, path)
    given = ReportInput(engine="lab")

    write_report(tmp_path / "out", plan, read_journal(path).records, given, world.environment.cutover)

    page = (tmp_path / "out" / "report.html").read_text()
    for needed in (
        "The service window",
        "The critical path through its owners",
        "New routes",
        "could have been",
    ):
        assert needed in page
    assert read_report(tmp_path / "out" / "report.json").window is not None
    assert json.loads((tmp_path / "out" / "report.json").read_text())["schema_version"] == 3


def test_a_window_that_names_no_step_is_no_sound_plan(plan: Plan) -> None:
    broken = replace(plan, window=Window(begins="stop", ends="end", agreed_seconds=1))

    assert check_plan(broken)[:2] == (
        "the window names step 'stop', which the plan does not have",
        "the window names step 'end', which the plan does not have",
    )


def test_the_tracked_settings_make_the_plan_too() -> None:
    session = Session.at(ROOT, None, "rhoam")

    assert check_plan(session.plan()) == ()
