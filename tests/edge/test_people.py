"""The people of a rehearsal do what a waiting step asks once, and approve only what an approval is for."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from subprocess import CompletedProcess, TimeoutExpired
from typing import Any, cast

import pytest

from cutover.clock import SystemClock
from cutover.journal import Journal
from cutover.session import Session
from lab.clouds import Clouds
from lab.people import Deed, People

WAIT_SECONDS = 20.0


class Workstation:
    """Where the cutover is called: writes down what for; a first call may take too long."""

    def __init__(self, *, slow: bool = False) -> None:
        self.calls: list[tuple[str, ...]] = []
        self._slow = slow

    def operator(self, argv: Sequence[str], *, cwd: Path, timeout: float, **_: Any) -> CompletedProcess[str]:
        """What Clouds.operator does."""
        self.calls.append(tuple(argv[1:3]))
        if self._slow:
            self._slow = False
            raise TimeoutExpired(list(argv), timeout)
        return CompletedProcess(list(argv), 0, "", "")


@pytest.fixture
def session(tmp_path: Path) -> Session:
    """A plan that was begun, whose two steps wait for somebody."""
    session = Session.at(tmp_path, "prod", "a-plan")
    session.journal_path.parent.mkdir(parents=True, exist_ok=True)
    journal = Journal(session.journal_path, 1, SystemClock())
    for step in ("open-database", "await-callers", "agree"):
        journal.append("waiting", {"step": step, "instructions": f"do {step}"})
    return session


def watch(session: Session, workstation: Workstation, deeds: dict[str, Deed], approvals: int) -> None:
    """Have people at work until so many approvals were given."""
    people = People(cast("Clouds", workstation), ["cutover"], session, deeds)
    deadline = time.monotonic() + WAIT_SECONDS
    with people.at_work():
        while len(workstation.calls) < approvals:
            assert time.monotonic() < deadline, workstation.calls
            time.sleep(0.05)


def test_each_deed_is_done_once_and_a_step_that_sees_for_itself_is_not_approved(session: Session) -> None:
    done: list[str] = []
    deeds = {
        "open-database": Deed(lambda: done.append("database")),
        "await-callers": Deed(lambda: done.append("callers"), approved=False),
    }
    workstation = Workstation()
    watch(session, workstation, deeds, approvals=2)
    assert done == ["database", "callers"]
    assert workstation.calls == [("approve", "open-database"), ("approve", "agree")]


def test_an_approval_that_took_too_long_is_given_again_and_its_deed_is_not_done_again(
    session: Session,
) -> None:
    done: list[str] = []
    workstation = Workstation(slow=True)
    watch(session, workstation, {"open-database": Deed(lambda: done.append("database"))}, approvals=6)
    assert done == ["database"]
    steps = ["open-database", "await-callers", "agree"]
    assert workstation.calls == [("approve", step) for step in steps * 2]
