"""Two real runners of one environment, as on two machines: one is stopped past its lease, and comes back."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import yaml

from cutover.dynamodb import DynamoLease, Table
from cutover.session import Session
from stacks.settings import Environment
from tests.cutover.machine_of_its_own import Telling
from tests.cutover.team_table import REGION, new_table
from tests.cutover.world import World

ROOT = Path(__file__).parents[2]
SECONDS = 10


class Runner:
    """`cutover run` on a machine of a name."""

    def __init__(self, project: Path, machine: str, slow: float) -> None:
        self.out = project / f"{machine}.txt"
        with self.out.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.cutover.machine_of_its_own", "--project", str(project), "run"],
                cwd=ROOT, stdout=out, stderr=subprocess.STDOUT,
                env={**os.environ, "MACHINE": machine, "SLOW": str(slow), "WORLD": str(project / "world")},
            )  # fmt: skip

    def wait_for(self, text: str, seconds: float = 60.0) -> None:
        until = time.monotonic() + seconds
        while text not in self.text:
            assert self.process.poll() is None or text in self.text, self.text
            assert time.monotonic() < until, self.text
            time.sleep(0.05)

    @property
    def text(self) -> str:
        return self.out.read_text()

    def effects(self) -> list[str]:
        return [line for line in self.text.splitlines() if line.startswith("effect")]


def test_a_runner_that_was_stopped_past_its_lease_starts_nothing_when_it_comes_back(
    project: Path, world: World, aws: str
) -> None:
    table = new_table()
    file = project / "Pulumi.prod.yaml"
    config = yaml.safe_load(file.read_text())
    config["config"]["landfall:environment"]["cutover"]["journal"] = {
        "kind": "dynamodb", "table": table, "region": REGION, "lease_seconds": SECONDS,
    }  # fmt: skip
    file.write_text(yaml.safe_dump(config))
    environment = Session.at(project, "prod", "boss-corestone").environment()
    assert isinstance(environment, Environment)
    (project / "world").write_bytes(pickle.dumps(Telling(environment)))
    first = Runner(project, "one", slow=5.0)
    second = None
    guard = 0
    try:
        first.wait_for("approval")
        guard = _guard_of(first.process.pid)
        for pid in (guard, first.process.pid):  # the whole machine stands still
            os.kill(pid, signal.SIGSTOP)
        second = Runner(project, "two", slow=0.0)
        second.wait_for("silent for")
        assert second.process.wait(120) == 0, second.text

        before = first.effects()
        first.process.send_signal(signal.SIGCONT)
        assert first.process.wait(60) == 6, first.text
        assert "the lease was lost" in first.text or "another's by now" in first.text
        assert first.effects() == before
        assert len(second.effects()) > 10

        records = Session.at(project, "prod", "boss-corestone").contents().records
        epochs = [record.epoch for record in records]
        assert epochs == sorted(epochs), "nothing of the first came after the second had begun"
        assert set(epochs) == {1, 2}
        last = DynamoLease(Table(table, REGION), "prod").read()
        assert last is not None
        assert (last.holder.epoch, last.released) == (2, True)
    finally:
        for pid in filter(None, (guard, first.process.pid, second.process.pid if second else 0)):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        first.process.wait()
        if second is not None:
            second.process.wait()


def _guard_of(pid: int) -> int:
    found = subprocess.run(
        ["pgrep", "-P", str(pid), "-f", "cutover.lease_guard"],
        capture_output=True, text=True, check=True, timeout=10,
    )  # fmt: skip
    return int(found.stdout.split()[0])
