"""Plans of any size, and runners that do as they are told, for tests of what looks on."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cutover.actions.base import Evidence, Look
from cutover.context import Context
from cutover.plan import Document, Keep, NoReturn, Plan, Stage, Step, Undo
from cutover.session import Session
from cutover.watch.deeds import Deeds
from cutover.watch.feed import Feed
from cutover.watch.server import Page, serve

ROOT = Path(__file__).parents[2]
OWNERS = ("Operator", "Owner of the database")


@dataclass(frozen=True)
class Say(Look):
    """An action that only says something."""

    text: str

    def describe(self) -> str:
        return self.text

    def apply(self, context: Context) -> Evidence:
        return {}

    def undo(self, context: Context) -> Evidence:
        return {}


def make_plan(stages: int = 3, steps: int = 3, *, title: str = "A small plan", no_return: str = "") -> Plan:
    """Steps are `s1-1` and so on; the second owner has each stage's last one."""

    def step(stage: int, number: int) -> Step:
        name = f"s{stage}-{number}"
        return Step(
            id=name,
            title=f"{title}, step {name}",
            owner=OWNERS[number == steps],
            affects_service=number == 1,
            reason="a test",
            action=Say(f"says {title}"),
            way_back=NoReturn("the old one is gone")
            if name == no_return
            else Undo(timeout_seconds=60)
            if number != 2
            else Keep("it changes nothing"),
            timeout_seconds=300,
        )

    return Plan(
        id="small",
        title=title,
        environment="prod",
        settings_hash="",
        owners=OWNERS,
        document=Document(title="none", lines={}),
        stages=tuple(
            Stage(
                id=f"s{n}", title=f"{title}, stage {n}", steps=tuple(step(n, m) for m in range(1, steps + 1))
            )
            for n in range(1, stages + 1)
        ),
    )


class Puppet:
    """A runner in a process of its own; see puppet.py."""

    def __init__(self, session: Session) -> None:
        session.folder.mkdir(exist_ok=True)
        script = str(Path(__file__).with_name("puppet.py"))
        self.process = subprocess.Popen(
            [sys.executable, script, str(session.lease_path), str(session.journal_path)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env={"PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        self._hear("ready")

    def _hear(self, wanted: str) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline().strip() == wanted

    def write(self, kind: str, **data: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"kind": kind, "data": data}) + "\n")
        self.process.stdin.flush()
        self._hear("written")

    def open(self, plan: Plan) -> None:
        self.write("opened", plan=plan.id, plan_hash=plan.hash, environment=plan.environment)
        self.start()

    def start(self, direction: str = "forward", until: str | None = None) -> None:
        self.write("started", direction=direction, until=until, cause="operator", engine="none")

    def begin(self, step: str, direction: str = "forward") -> None:
        self.write("intent", step=step, direction=direction)

    def end(self, step: str, result: str = "done", error: str = "", direction: str = "forward") -> None:
        self.write(
            "outcome", step=step, direction=direction, result=result, error=error, seconds=1.5, evidence={}
        )

    def do(self, *steps: str) -> None:
        for step in steps:
            self.begin(step)
            self.end(step)

    def wait_for(self, step: str, instructions: str) -> None:
        self.write("waiting", step=step, instructions=instructions)

    def finish(self, outcome: str, reason: str = "", *, reached: bool = True) -> None:
        self.write("finished", outcome=outcome, reason=reason, step="", reached=reached)
        self.close()

    def kill(self) -> None:
        self.process.kill()
        self.close()

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)
        self.close()

    def close(self) -> None:
        if self.process.stdin and not self.process.stdin.closed:
            self.process.stdin.close()
        self.process.wait(20)
        if self.process.stdout:
            self.process.stdout.close()


@contextmanager
def served(
    session: Session, plan: Plan, *, port: int = 0, program: Sequence[str] = ("false",)
) -> Iterator[Page]:
    """The page's server, at work."""
    feed, deeds = Feed(session, plan, {}), Deeds(session, plan, program)
    feed.asked = deeds.asked
    page = Page(feed, deeds, port)
    thread = threading.Thread(target=serve, args=(page,))
    thread.start()
    try:
        yield page
    finally:
        page.shutdown()
        thread.join(20)
