"""What a page may ask for: an approval, and a rollback in a process of its own, as by hand."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cutover.errors import CutoverError, PlanError
from cutover.plan import Plan
from cutover.session import Session
from cutover.way_back import way_back

STOP_SECONDS = 900.0
"""How long a runner may take to its next safe point: as long as an `up` may, and more."""
_LOOK_SECONDS = 0.5
_LONGEST = 2000


class Deeds:
    """Carries out what pages ask for. Every method raises CutoverError where it may not be."""

    def __init__(
        self, session: Session, plan: Plan, program: Sequence[str] = (sys.executable, "-m", "cutover")
    ) -> None:
        """`program`: by which words the command line is called."""
        self._program = tuple(program)
        self._session = session
        self._plan = plan
        self._lock = threading.Lock()
        self._asked: dict[str, str] | None = None
        self._busy = False

    def asked(self) -> Mapping[str, str] | None:
        """The rollback that was asked for last, and what became of it."""
        with self._lock:
            return dict(self._asked) if self._asked else None

    def approve(self, given: Mapping[str, Any]) -> str:
        """Approves a step that waits; the step's id is to be typed."""
        step, by, note, typed, asked = (_text(given, key) for key in ("step", "by", "note", "typed", "asked"))
        if typed != step:
            raise PlanError(f"type {step} to approve it")
        self._session.approve(self._plan, step, by, note, asked)
        return f"{step}: approved by {by}"

    def roll_back(self, given: Mapping[str, Any]) -> str:
        """Begins a rollback: a runner that is at work is asked to stop at its next safe point first."""
        to, by, typed = (_text(given, key) for key in ("to", "by", "typed"))
        if not by.strip():
            raise PlanError("a rollback needs the name of whoever asks for it")
        until = self._plan.stage(to).id if to else ""
        if typed != phrase(until):
            raise PlanError(f"type {phrase(until)!r} to roll back")
        found = way_back(self._plan, self._session.history())
        if not found["possible"]:
            raise PlanError(str(found["text"]))
        with self._lock:
            if self._busy:
                raise PlanError("a rollback was asked for already")
            self._busy = True
            at = self._session.clock.now().isoformat(timespec="seconds")
            self._asked = {"by": by.strip(), "to": until, "at": at, "state": "begins"}
        threading.Thread(target=self._carry_out, args=(until,), name="rollback", daemon=True).start()
        return f"rolling back to {until or 'the start'}, as {by.strip()} asked"

    def _carry_out(self, until: str) -> None:
        try:
            self._stop_runner()
            self._run(until)
        except (CutoverError, OSError) as error:
            self._say(f"could not be done: {error}")
        finally:
            with self._lock:
                self._busy = False

    def _stop_runner(self) -> None:
        """As by one Ctrl-C."""
        if not self._session.running():
            return
        pid = self._session.looking.holder_here()
        if pid is None:
            raise PlanError("the runner is not one of this machine, or another user's: stop it with Ctrl-C")
        self._say("waiting until the runner has stopped at a safe point")
        os.kill(pid, signal.SIGINT)
        clock = self._session.clock
        until = clock.monotonic() + STOP_SECONDS
        while self._session.running():
            if clock.monotonic() > until:
                raise PlanError(f"the runner has not stopped within {STOP_SECONDS:.0f} s")
            clock.sleep(_LOOK_SECONDS)

    def _run(self, until: str) -> None:
        session = self._session
        words = [
            *("--project", str(session.project), "--environment", session.environment_name),
            *("--plan", session.plan_name, "rollback", *(("--to", until) if until else ())),
        ]
        log = session.folder / f"{session.environment_name}.{session.plan_name}.rollback.log"
        self._say(f"under way; its output: {log}")
        with log.open("ab") as out:
            asked = self.asked() or {}
            out.write(f"{asked.get('at')} asked for by {asked.get('by')}: {shlex.join(words)}\n".encode())
            out.flush()
            # of its own session: it goes on when this page's process ends
            done = subprocess.Popen(
                [*self._program, *words], cwd=Path(__file__).parents[2],
                stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
            code = done.wait()
        self._say("done" if code == 0 else f"ended with exit code {code}; see {log}")

    def _say(self, state: str) -> None:
        with self._lock:
            if self._asked is not None:
                self._asked["state"] = state


def phrase(until: str) -> str:
    """What is to be typed to roll back."""
    return f"roll back to {until or 'the start'}"


def _text(given: Mapping[str, Any], key: str) -> str:
    value = given.get(key, "")
    if not isinstance(value, str) or len(value) > _LONGEST:
        raise PlanError(f"{key}: expected text of at most {_LONGEST} characters")
    return value
