"""`make rehearse PLAN=rhoam`: a whole move of 3scale on this machine, with users before and after it."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from cutover.session import Session
from lab.kills import Killer
from lab.objects import Objects, differences, stated_by
from lab.options import REPOSITORY, Options
from lab.people import People
from lab.rhoam import judge, snapshot
from lab.rhoam.api import ApiError, Web
from lab.rhoam.clouds import THREESCALE, RhoamClouds
from lab.rhoam.people import Parties
from lab.rhoam.places import DESTINATION, SOURCE, Site
from lab.rhoam.scene import ENVIRONMENT, PLAN, RhoamScene
from lab.scene import Clock, lab_folder
from lab.setup import find_tools

BEFORE_NO_RETURN = "finish"
"""The last stage from which there is a way back."""
RATE = 20.0
WARM_UP_SECONDS, COOL_DOWN_SECONDS = 8.0, 8.0
DRAIN_SECONDS = 20.0
_SHOWN = 10


def rehearse(options: Options) -> int:
    """Rehearse as `options` say; 0 if the outcome is the wanted one and nothing was lost."""
    progress = Clock()
    if options.until:
        Session.at(REPOSITORY, ENVIRONMENT, PLAN).plan().stage(options.until)
    with lab_folder(keep=options.keep) as folder:
        clouds = RhoamClouds(folder, find_tools(), ttl_divisor=options.ttl_divisor, progress=progress)
        try:
            clouds.start()
            return Rehearsal(options, RhoamScene(clouds, progress=progress), progress).run()
        finally:
            clouds.stop()


class Users:
    """The customer's users: their traffic at the source, and later at the destination."""

    def __init__(self, clouds: RhoamClouds, options: Options, progress: Callable[[str], None]) -> None:
        self._clouds = clouds
        self._options = options
        self._progress = progress
        self._folder = clouds.folder / "traffic"
        self._running = ""
        self.before: dict[str, dict[str, Any]] = {}
        """What the tenants saw by the API when their users had stopped."""
        self.moved_at = float("inf")
        """When they went over, in seconds since the epoch."""

    def start(self, apps: str) -> None:
        """Begin at a wildcard domain."""
        self._folder.mkdir(exist_ok=True)
        customer = self._folder / "customer.json"
        customer.write_text(json.dumps(self._clouds.customer))
        if apps == DESTINATION.apps:
            self.moved_at = time.time()
        rate = min(self._options.rate, RATE)
        self._progress(f"traffic at *.{apps}: {rate:g} requests a second")
        argv = [
            *(sys.executable, "-m", "lab.rhoam.traffic", "--customer", str(customer), "--apps", apps),
            *("--authority", str(self._clouds.web_ca), "--rate", str(rate)),
            *("--seed", str(self._options.seed), "--stop-file", str(self._stop_file(apps))),
            *("--out", str(self.log(apps))),
        ]
        self._clouds.supervisor.start(f"traffic-{apps}", argv)
        self._running = apps

    def stop(self) -> None:
        """Stop, and return once every request has its outcome; then see what the tenants hold."""
        apps = self._running
        if not apps:
            return
        self._stop_file(apps).touch()
        self._clouds.supervisor.wait(f"traffic-{apps}", timeout=60.0)
        self._stop_file(apps).unlink()
        self._running = ""
        if apps == SOURCE.apps and not self.before:
            self.drained()
            self.before = self.seen(SOURCE)
            self._progress(f"before: {snapshot.counts(self.before)}")

    def drained(self) -> None:
        """Wait until the source's jobs are worked, so that counters stand still."""
        clouds = self._clouds

        def empty() -> bool:
            backend, system = clouds.source_backend.client, clouds.source_system.client
            backend.select(1)
            return not any(
                backend.llen(f"resque:queue:{name}") for name in ("priority", "main", "stats")
            ) and not (system.llen("queue:default"))

        clouds.wait("the source's jobs to be worked", empty, DRAIN_SECONDS)
        time.sleep(1.0)  # the last one was taken, and is being worked

    def seen(self, site: Site) -> dict[str, dict[str, Any]]:
        """What the tenants see by the API. Raises ApiError."""
        tenants = self._clouds.customer["tenants"]
        return snapshot.take(Web(self._clouds.web_ca, site.router), tenants, site.apps)

    def log(self, apps: str) -> Path:
        """The log of the requests at a wildcard domain."""
        return self._folder / f"{apps}.jsonl"

    def requests(self, apps: str) -> list[judge.Request]:
        """The requests there."""
        return judge.read_requests(self.log(apps)) if self.log(apps).exists() else []

    def _stop_file(self, apps: str) -> Path:
        return self._folder / f"stop-{apps}"


class Rehearsal:
    """One rehearsal."""

    def __init__(self, options: Options, scene: RhoamScene, progress: Callable[[str], None]) -> None:
        self._options = options
        self._scene = scene
        self._clouds = scene.clouds
        self._progress = progress
        self._output = options.output / PLAN
        self._session = Session.at(scene.project, ENVIRONMENT, PLAN)
        self.users = Users(self._clouds, options, progress)
        self._before: Objects = {}

    def run(self) -> int:
        """All of it."""
        self._scene.set_up(self._options.engine)
        self.users.start(SOURCE.apps)
        time.sleep(WARM_UP_SECONDS)
        self._before = source_objects(self._clouds)
        plan = self._session.plan()
        kills, seed = self._options.kill, self._options.seed
        steps = len(plan.through(self._last_stage))
        self._killer = Killer(self._session.journal_path, kills, seed, steps)
        parties = Parties(self._clouds, self.users.stop, self.users.start)
        people = People(self._clouds, self._scene.cutover_argv(), self._session, parties.deeds(plan))
        outcome = self._migrate(people)
        self._clouds.supervisor.check()
        return self._judge(outcome)

    @property
    def _last_stage(self) -> str | None:
        last = BEFORE_NO_RETURN if self._options.then == "rollback" else None
        return self._options.until or last

    def _migrate(self, people: People) -> str:
        until = ["--to", self._last_stage] if self._last_stage else []
        with people.at_work():
            code = self._killer.watch(lambda: self._scene.cutover("run", *until))
            if code == 0 and self._options.then == "rollback":
                code = self._scene.cutover("rollback").wait()
        if code == 0 and self._options.then == "rollback":
            self.users.start(SOURCE.apps)
        if code == 0:
            time.sleep(COOL_DOWN_SECONDS)
        return self._options.wanted if code == 0 else "halted"

    def _judge(self, outcome: str) -> int:
        problems: list[str] = []
        back = self._options.then == "rollback"
        self.users.stop()
        if outcome != self._options.wanted:
            problems.append(
                f"the outcome is {outcome!r}, expected {self._options.wanted!r}; see {self._output}"
            )
        elif back:
            problems += self._wrong_on_the_source()
        elif not self._options.until:
            problems += self._wrong_on_the_destination()
        requests = [*self.users.requests(SOURCE.apps), *self.users.requests(DESTINATION.apps)]
        failed = [request for request in requests if not request.acknowledged]
        problems += [f"{request.kind} of {request.tenant}: {request.fields}" for request in failed[:_SHOWN]]
        if len(failed) > _SHOWN:
            problems.append(f"and {len(failed) - _SHOWN} more failed requests")
        section = judge.traffic_section(requests, self.users.moved_at, self._lost)
        problems += self._report(section)
        if not self._killer.done:
            killed = len(self._killer.kills)
            problems.append(f"the runner was killed {killed} times, not {self._options.kill}")
        summary = ("requests", "failed", "writes_acknowledged", "writes_lost")
        self._progress(f"outcome: {outcome}")
        self._progress(", ".join(f"{name.replace('_', ' ')} {section[name]}" for name in summary))
        for problem in problems:
            self._progress(f"NOT AS IT SHOULD BE: {problem}")
        return 1 if problems else 0

    _lost = 0

    def _report(self, section: dict[str, object]) -> Iterator[str]:
        folder = self._clouds.folder
        traffic = folder / "traffic.json"
        traffic.write_text(json.dumps(section))
        faults = self._killer.write(folder / "faults.json")
        self._output.mkdir(parents=True, exist_ok=True)
        given = ("--traffic", str(traffic), "--faults", str(faults), "--engine", self._scene.engine)
        if self._scene.cutover("report", *given, "--output", str(self._output)).wait() != 0:
            yield "no report was written"
        if self._scene.cutover("audit").wait() != 0:
            yield "the journal's chain does not verify"

    def _wrong_on_the_destination(self) -> Iterator[str]:
        """The moved 3scale holds what the source held, and what users have added since."""
        clouds = self._clouds
        calls = self.users.requests(DESTINATION.apps)
        self._drain_destination()
        before = judge.mysql_rows(clouds.source_database.operator)
        after = judge.postgres_rows(clouds.destination_postgres.url)
        rows = sum(map(len, before.values()))
        wrong = list(judge.missing_rows(before, after))
        self._progress(f"databases: {rows} rows in {len(before)} tables, {len(wrong)} differ")
        self._progress(f"databases: rows that came since: {judge.new_rows(before, after)}")
        yield from wrong[:_SHOWN]
        lost = list(judge.lost_writes([*self.users.requests(SOURCE.apps), *calls], after))
        self._lost = len(lost)
        yield from (f"lost: {line}" for line in lost[:_SHOWN])
        counters = list(self._wrong_redis(calls))
        yield from counters[:_SHOWN]
        yield from self._wrong_by_api(DESTINATION, calls)

    def _wrong_redis(self, calls: list[judge.Request]) -> Iterator[str]:
        clouds = self._clouds
        before = judge.keys_of(clouds.source_backend.client)
        after = judge.keys_of(clouds.destination_backend.client)
        applications = {key: value for key, value in before.items() if not key.startswith("stats/")}
        gone = [
            key
            for key, value in applications.items()
            if after.get(key) != value and not _grown(value, after.get(key))
        ]
        counters = list(judge.wrong_counters(before, after, calls))
        self._progress(
            f"Redis: {len(before)} keys before, {len(after)} after; {len(gone)} keys and "
            f"{len(counters)} usage counters are wrong"
        )
        yield from (f"Redis: {key} is gone or another" for key in gone)
        yield from (f"Redis: {line}" for line in counters)

    def _drain_destination(self) -> None:
        client = self._clouds.destination_backend.client
        client.select(1)

        def empty() -> bool:
            return not any(client.llen(f"resque:queue:{name}") for name in ("priority", "main", "stats"))

        self._clouds.wait("the destination's jobs to be worked", empty, DRAIN_SECONDS)
        time.sleep(1.0)

    def _wrong_by_api(self, site: Site, calls: list[judge.Request]) -> Iterator[str]:
        """What the tenants see is what they saw, with what they have added since."""
        try:
            after = self.users.seen(site)
        except ApiError as error:
            yield str(error)
            return
        self._progress(f"after: {snapshot.counts(after)}")
        expected = snapshot.with_requests(
            self.users.before, [call.fields for call in calls if call.acknowledged]
        )
        yield from list(snapshot.differences(expected, snapshot.without_new(after, expected)))[:_SHOWN]

    def _wrong_on_the_source(self) -> Iterator[str]:
        """The source is as it was, object by object, and serves."""
        now = source_objects(self._clouds)
        found = list(differences(self._before, now))
        self._progress(f"of the source's {len(self._before)} objects {len(found)} differ from what they were")
        yield from (f"on the source, {line}" for line in found)
        rows = judge.mysql_rows(self._clouds.source_database.operator)
        lost = list(judge.lost_writes(self.users.requests(SOURCE.apps), rows))
        self._lost = len(lost)
        yield from (f"lost: {line}" for line in lost[:_SHOWN])


def source_objects(clouds: RhoamClouds) -> Objects:
    """What the source's namespace of 3scale holds, as somebody stated it."""

    def kubectl(*arguments: str) -> str:
        return clouds.kubectl(SOURCE, *arguments)

    return stated_by(kubectl, [THREESCALE], also=("routes", "apimanagers", "subscriptions"))


def _grown(before: Any, after: Any) -> bool:
    """Whether a set has what it had, and more."""
    return isinstance(before, list) and isinstance(after, list) and set(before) <= set(after)
