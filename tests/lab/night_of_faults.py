"""Run in a world by test_night_of_faults: a cutover on which everything goes wrong that may, thing by thing.

Each fault stops the cutover or is overcome; what was printed is kept, and the command that it names goes on.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from cutover.history import Status, fold
from cutover.journal import read_journal
from cutover.session import Session
from lab import faults
from lab.cloudflare.faults import Fault
from lab.clouds import DOMAIN, SERVICES_NAMESPACE, Clouds
from lab.moved import Moved
from lab.objects import differences
from lab.options import REPOSITORY
from lab.people import People, deeds_of
from lab.scene import ENVIRONMENT, Scene
from lab.setup import find_tools
from lab.topology import AWS
from lab.verdict import look

PLAN = "boss-corestone"
RUN_SECONDS = 240.0
SHORT = {"call": 5, "pods_ready": 60, "buffers_empty": 10, "callers_seen": 20}
"""Seconds that this night's settings wait, in place of a real night's minutes."""


class Night:
    """A lab and its operator."""

    def __init__(self, folder: Path) -> None:
        self.clouds = Clouds(folder, find_tools(), ttl_divisor=60, progress=_say)
        self.clouds.start()
        self.moved = Moved.read(REPOSITORY / f"Pulumi.{ENVIRONMENT}.yaml")
        self.before = look(self.clouds, self.moved)
        self.scene = Scene(self.clouds, plan=PLAN, progress=_say)
        self.scene.set_up("lab")
        self._shorten()
        self.session = Session.at(self.scene.project, ENVIRONMENT, PLAN)
        self.people = People(self.clouds, self.scene.cutover_argv(), self.session, deeds_of(self.clouds))

    def cutover(self, *arguments: str) -> dict[str, Any]:
        """What a command of the cutover answers: exit code, and what it prints."""
        with self.people.at_work():
            done = self.clouds.operator(
                [*self.scene.cutover_argv(), *arguments],
                cwd=self.scene.project,
                timeout=RUN_SECONDS,
                extra={"PYTHONPATH": str(REPOSITORY)},
            )
        sys.stderr.write(done.stdout + done.stderr)
        return _answer(done.returncode, done.stdout + done.stderr)

    def go_on(self, halted: Mapping[str, Any], *more: str) -> dict[str, Any]:
        """The command that a halted run named."""
        words = shlex.split(str(halted["next"]))
        return self.cutover(*words[words.index("run") :], *more)

    def ended_at(self, step: str, how: signal.Signals) -> dict[str, Any]:
        """A run that gets a signal while a step is under way."""
        printed = self.clouds.folder / "printed"
        argv = self.clouds.world.command(AWS.host, [*self.scene.cutover_argv(), "run"])
        environment = {**self.clouds.workstation.environment(), "PYTHONPATH": str(REPOSITORY)}
        with printed.open("wb") as out, self.people.at_work():
            process = subprocess.Popen(
                argv, cwd=self.scene.project, env=environment, stdout=out, stderr=subprocess.STDOUT
            )
            _until(lambda: self._under_way(step) or process.poll() is not None)
            os.kill(process.pid, how)
            code = process.wait(RUN_SECONDS)
        text = printed.read_text()
        sys.stderr.write(text)
        return _answer(code, text)

    def _under_way(self, step: str) -> bool:
        path = self.session.journal_path
        return path.exists() and fold(read_journal(path).records).step(step).status is Status.BEGUN

    def _shorten(self) -> None:
        path = self.scene.project / f"Pulumi.{ENVIRONMENT}.yaml"
        document = yaml.safe_load(path.read_text())
        document["config"]["landfall:environment"]["cutover"]["timeouts"] = SHORT
        path.write_text(yaml.safe_dump(document, sort_keys=False))


def _answer(code: int, text: str) -> dict[str, Any]:
    found = re.search(r"^to go on: (.*)$", text, re.MULTILINE)
    return {"code": code, "printed": text, "next": found[1] if found else ""}


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + RUN_SECONDS
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError("nothing happened")
        time.sleep(0.05)


@contextmanager
def _stopped(clouds: Clouds, process: str) -> Iterator[None]:
    clouds.supervisor.signal(process, signal.SIGSTOP)
    try:
        yield
    finally:
        clouds.supervisor.signal(process, signal.SIGCONT)


def the_night(night: Night) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each fault, what the run said of it, and at the end how it ended."""
    clouds = night.clouds
    # nothing was begun yet
    with _stopped(clouds, "truewatch-2-kube-apiserver"):
        yield "a cluster that does not answer", night.cutover("run", "--to", "prepare")
    refused = Fault(kind="error", status=403, code=10000, message="Authentication error")
    with faults.cloudflare_goes_wrong(refused):
        yield "a refused credential", night.cutover("run", "--to", "prepare")
    with faults.cloudflare_goes_wrong(Fault(kind="rate_limit", seconds=1, remaining=2)):
        yield "a rate limit", night.cutover("run", "--to", "prepare")
    with faults.left_out_of_backup(clouds, SERVICES_NAMESPACE, "configmap/boss-config"):
        yield "a skipped object", night.cutover("run", "--to", "move")
    yield "a skipped object, then", night.cutover("run", "--to", "move")
    with faults.forgotten_nat_address(clouds):
        yield "a NAT address that was not let in", night.cutover("run", "--to", "connect")
    clouds.open_database()
    yield "killed", night.ended_at("start-services", signal.SIGKILL)
    with faults.expired_certificate(clouds):
        yield "an expired certificate", night.cutover("run")
    yield "stopped by Ctrl-C", night.ended_at(f"soak-{DOMAIN}", signal.SIGINT)
    with faults.failing_ingress(clouds, share=0.5, path="/healthz"):
        yield "errors while it soaks", night.cutover("run")
    faults.somebody_changes_record(content="203.0.113.99")
    changed = night.cutover("run")
    yield "a record that somebody changed", changed
    faults.somebody_changes_record(content="203.0.113.10")
    with faults.never_committed(clouds):
        _use(night)
        yield "data that is never committed", night.go_on(changed)
    yield "to the end", night.cutover("run", "--to", "phase-1")
    yield "and back", night.cutover("rollback")


def _use(night: Night) -> None:
    """One use of BOSS is acknowledged and waits in Redis."""
    script = (
        "import sys, urllib.request as u; u.urlopen(sys.argv[1], sys.argv[2].encode(), timeout=10).close()"
    )
    body = json.dumps({"id": str(uuid.uuid4()), "amount": "1.00"})
    argv = [sys.executable, "-c", script, f"https://{DOMAIN}/usage", body]
    used = night.clouds.operator(argv, cwd=night.scene.project)
    if used.returncode != 0:
        raise AssertionError(used.stderr)


def main(arguments: Sequence[str]) -> int:
    """Prints what was seen as JSON."""
    night = Night(Path(arguments[0]) / "lab")
    try:
        seen: dict[str, Any] = dict(the_night(night))
        after = look(night.clouds, night.moved)
        seen["differences"] = list(differences(night.before.objects, after.objects))
        seen["audit"] = night.cutover("audit")
    finally:
        night.clouds.stop()
    print(json.dumps(seen))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
