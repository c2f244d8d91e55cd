"""A plan of one's own: the worked example runs, there and back, and `init` writes one that is sound."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from cutover.errors import PlanError
from cutover.history import Status, fold
from cutover.journal import read_journal
from cutover.plan import check_plan
from cutover.plans import build_plan
from stacks.settings import Environment
from tests.cutover.driver import BACKWARDS, drive
from tests.cutover.world import DOMAIN, SOURCE_ADDRESS, TARGET_ADDRESS, World

ROOT = Path(__file__).parents[2]
EXAMPLE = "docs.examples.one_domain:one_domain"
ANSWERS = (
    "--domain", "shop.example.org", "--zone", "example.org", "--namespace", "shop", "--workload", "web",
    "--source-context", "old", "--target-context", "new", "--database", "shop",
    "--database-host", "db.internal", "--region", "eu-central-1",
)  # fmt: skip


@pytest.fixture
def serving(world: World, environment: Environment) -> World:
    """A target that runs already, as the example has it."""
    for item in environment.workloads:
        world.target.replicas[item.key] = 2
    return world


def test_the_worked_example_runs_there_and_back(
    serving: World, environment: Environment, tmp_path: Path
) -> None:
    plan = build_plan(EXAMPLE, environment)
    before, journal = serving.state, tmp_path / "journal.jsonl"

    assert check_plan(plan) == ()
    assert drive(serving, plan, journal).outcome == "succeeded"
    assert serving.records[DOMAIN] == TARGET_ADDRESS
    assert drive(serving, plan, journal, BACKWARDS).outcome == "rolled back"
    assert serving.records[DOMAIN] == SOURCE_ADDRESS
    assert serving.state == before


def test_the_worked_example_goes_back_by_itself(
    serving: World, environment: Environment, tmp_path: Path
) -> None:
    serving.broken_target = True
    plan, journal = build_plan(EXAMPLE, environment), tmp_path / "journal.jsonl"
    result = drive(serving, plan, journal)

    assert (result.outcome, result.breached) == ("halted", True)
    assert serving.records[DOMAIN] == SOURCE_ADDRESS
    assert fold(read_journal(journal).records).step("tell-customers").status == Status.DONE


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("none", "no plan 'none'"),
        ("no.such:plan", "No module named"),
        ("docs.examples.one_domain:two", "has no attribute"),
        ("os.path:basename", "expected"),
        ("builtins:type", "expected a Plan"),
    ],
)
def test_a_plan_that_is_not_there_is_refused(environment: Environment, name: str, says: str) -> None:
    with pytest.raises(PlanError, match=says):
        build_plan(name, environment)


def cutover(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cutover", *words], cwd=folder, capture_output=True, text=True, timeout=60,
        env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False,
    )  # fmt: skip


def test_init_writes_an_environment_and_a_plan_that_is_sound(tmp_path: Path) -> None:
    done = cutover(tmp_path, "init", "shop", *ANSWERS)
    assert done.returncode == 0, done.stderr
    assert len(list(tmp_path.iterdir())) == 5

    checked = cutover(tmp_path, "--environment", "shop", "--plan", "plan_shop:one_domain", "plan", "check")
    assert (checked.returncode, "is sound" in checked.stdout) == (0, True), checked.stderr
    settings = yaml.safe_load((tmp_path / "Pulumi.shop.yaml").read_text())["config"]["landfall:environment"]
    assert set(settings["account"]) == {"placeholder"}

    again = cutover(tmp_path, "init", "shop", *ANSWERS)
    assert (again.returncode, "already; nothing was written" in again.stderr) == (3, True)


@pytest.mark.parametrize(
    ("name", "answers", "says"),
    [
        ("my-shop", ANSWERS, "without a hyphen"),
        ("../shop", ANSWERS, "without a hyphen"),
        ("shop", (*ANSWERS[:-1], "Frankfurt"), "network.zones[0]"),
    ],
)
def test_init_with_an_answer_that_does_not_fit_writes_nothing(
    tmp_path: Path, name: str, answers: tuple[str, ...], says: str
) -> None:
    done = cutover(tmp_path, "init", name, *answers)
    assert (done.returncode, says in done.stderr) == (3, True), done.stderr
    assert not list(tmp_path.iterdir())
