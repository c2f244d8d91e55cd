"""A move of 3scale on which everything goes wrong that may: `python -m tests.lab.night_of_rhoam FOLDER`.

Each fault stops the move; what was printed is kept, it is mended, and the command that was named goes on.
It runs in a world of its own (`python -m lab.world`), and prints what was seen as JSON.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from cutover.session import Session
from lab.objects import differences
from lab.options import REPOSITORY, Options
from lab.people import Deed, People
from lab.rhoam import faults, judge
from lab.rhoam.clouds import RHOAM_3SCALE, THREESCALE, RhoamClouds
from lab.rhoam.openshift import OPERATOR
from lab.rhoam.people import CHANNEL, Parties
from lab.rhoam.places import DESTINATION, MIGRATION, SOURCE
from lab.rhoam.rehearsal import Users, source_objects
from lab.rhoam.scene import ENVIRONMENT, PLAN, RhoamScene
from lab.setup import find_tools

RUN_SECONDS = 600.0
SHORT = {"call": 10, "pods_ready": 60, "pods_gone": 25}
"""Seconds that this night's settings wait, in place of a real night's minutes."""


class Night:
    """A lab, its operator and the three parties."""

    def __init__(self, folder: Path) -> None:
        self.clouds = RhoamClouds(folder, find_tools(), ttl_divisor=60, progress=_say)
        self.clouds.start()
        self.scene = RhoamScene(self.clouds, progress=_say)
        self.users = Users(self.clouds, Options.read({}), _say)
        self.scene.set_up("lab")
        self.users.start(SOURCE.apps)
        self._shorten()
        self.before = source_objects(self.clouds)
        self.session = Session.at(self.scene.project, ENVIRONMENT, PLAN)
        self.parties = Parties(self.clouds, self.users.stop, self.users.start)
        self.deeds: dict[str, Deed] = self.parties.deeds(self.session.plan())

    def cutover(self, *arguments: str) -> dict[str, Any]:
        """What a command of the cutover answers: exit code, and what it prints."""
        people = People(self.clouds, self.scene.cutover_argv(), self.session, self.deeds)
        with people.at_work():
            done = self.clouds.operator(
                [*self.scene.cutover_argv(), *arguments],
                cwd=self.scene.project,
                timeout=RUN_SECONDS,
                extra={"PYTHONPATH": str(REPOSITORY)},
            )
        sys.stderr.write(done.stdout + done.stderr)
        printed = done.stdout + done.stderr
        found = re.search(r"^to go on: (.*)$", printed, re.MULTILINE)
        return {"code": done.returncode, "printed": printed, "next": found[1] if found else ""}

    def evidence(self, step: str) -> Mapping[str, Any]:
        """What the journal keeps of a step that was done."""
        found = [
            record.data["evidence"]
            for record in self.session.contents().records
            if record.kind == "outcome" and record.data.get("step") == step and record.data.get("evidence")
        ]
        return found[-1] if found else {}

    def _shorten(self) -> None:
        path = self.scene.project / f"Pulumi.{ENVIRONMENT}.yaml"
        document = yaml.safe_load(path.read_text())
        settings = document["config"]["landfall:environment"]
        settings["cutover"]["timeouts"] = SHORT
        settings["threescale"]["queue_seconds"] = 4
        path.write_text(yaml.safe_dump(document, sort_keys=False))


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def the_night(night: Night) -> Iterator[tuple[str, Any]]:
    """Each fault, what the run said of it, and at the end how it ended."""
    clouds, parties = night.clouds, night.parties
    parties.channel = "threescale-2.14-mas"
    yield "a wrong version on the migration cluster", night.cutover("run", "--to", "red-hat-ready")
    clouds.remove_threescale(MIGRATION)
    parties.channel = CHANNEL
    parties.install_threescale()
    parties.forgotten = {"zync"}
    yield "a bucket that lacks a Secret", night.cutover("run", "--to", "customer-ready")
    parties.forgotten = set()
    parties.fill_bucket()
    faults.a_row_that_postgres_refuses(clouds)
    with faults.job_that_waits(clouds):
        yield "a queue that is not empty", night.cutover("run", "--to", "dump")
        yield "the loss that was accepted", night.evidence("clear-queue")
    bucket = json.loads(night.scene.pulumi("stack", "output", "--json", "--stack", "rhoam-migration"))
    with faults.cut_short(clouds, bucket["dump_bucket"], "dumps/source-system"):
        yield "a dump that is cut short", night.cutover("run", "--to", "convert")
    yield "a row that PostgreSQL refuses", night.cutover("run", "--to", "convert")
    faults.mend_the_row(clouds)
    yield "a row that PostgreSQL refuses, then", night.cutover("run", "--to", "convert")
    journal = night.session.journal_path
    with faults.operator_started(clouds, journal, "pause-migration-operator"):
        yield "an operator that reverts a change", night.cutover("run", "--to", "connect")
    faults.scale_operator(clouds, MIGRATION, 0)
    yield "an operator that reverts a change, then", night.cutover("run", "--to", "restore")
    with faults.host_taken(clouds, f"partner-admin.{DESTINATION.apps}"):
        yield "a tenant that does not answer", night.cutover("run", "--to", "serve")
    with faults.secret_frozen(clouds, RHOAM_3SCALE, "system-seed"):
        yield "a Secret that cannot be written", night.cutover("run", "--to", "serve")
    yield "to the last stage with a way back", night.cutover("run", "--to", "finish")
    yield "and back", night.cutover("rollback")


def main(arguments: Sequence[str]) -> int:
    """Prints what was seen as JSON."""
    night = Night(Path(arguments[0]) / "lab")
    try:
        seen: dict[str, Any] = dict(the_night(night))
        night.users.start(SOURCE.apps)
        night.clouds.wait("requests at the source", lambda: len(night.users.requests(SOURCE.apps)) > 0)
        night.users.stop()
        requests = night.users.requests(SOURCE.apps)
        seen["failed"] = [dict(found.fields) for found in requests if not found.acknowledged]
        seen["lost"] = list(
            judge.lost_writes(requests, judge.mysql_rows(night.clouds.source_database.operator))
        )
        seen["differences"] = list(differences(night.before, source_objects(night.clouds)))
        seen["operator"] = night.clouds.get(SOURCE, f"deployment/{OPERATOR}", THREESCALE)["spec"]["replicas"]
        seen["audit"] = night.cutover("audit")
    finally:
        night.clouds.stop()
    print(json.dumps(seen))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
