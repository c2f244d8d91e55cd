"""What people approve, handed to the runner through slips: the runner alone writes the journal."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from cutover.clock import Clock
from cutover.errors import JournalError
from cutover.ports import Approval

VALID_FOR = timedelta(hours=24)
EARLY_VALID_FOR = timedelta(days=14)
"""Of what was approved before it was its turn, by owners who work side by side."""


@dataclass(frozen=True)
class _Slip:
    """An approval on its way: good for one plan, one step, one round of that step, and one day.

    It is good for what was asked when it was given, and for nothing else.
    """

    step: str
    by: str
    note: str
    at: str
    plan_hash: str
    round: int
    asked: str
    expires: str


def digest(asked: str) -> str:
    """What stands for the text of a question."""
    return hashlib.sha256(asked.encode()).hexdigest()


class Slips(Protocol):
    """Where slips are left, one for each step that somebody approved. Its text names it in messages."""

    def read(self, step: str) -> str | None:
        """What was left for a step; None: nothing. Raises JournalError."""

    def write(self, step: str, text: str) -> None:
        """Leaves it, in place of what was left before. Raises JournalError."""


class SlipFolder:
    """A folder with a file for each step. Implements Slips."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __str__(self) -> str:
        return str(self.folder)

    def read(self, step: str) -> str | None:
        """See Slips."""
        try:
            return self._path(step).read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise JournalError(
                f"the approval in {self._path(step)} cannot be read ({error}); approve again"
            ) from error

    def write(self, step: str, text: str) -> None:
        """See Slips."""
        path = self._path(step)
        temporary = path.with_suffix(".new")
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            temporary.touch(mode=0o600)
            temporary.chmod(0o600)
            temporary.write_text(text, encoding="utf-8")
            temporary.replace(path)
        except OSError as error:
            raise JournalError(f"the approval of {step} could not be written to {path}: {error}") from error

    def _path(self, step: str) -> Path:
        return self.folder / f"{os.path.basename(step)}.json"  # noqa: PTH119 - a step id is no path


class Approvals:
    """What was approved and not yet taken by the runner."""

    def __init__(self, slips: Path | Slips, clock: Clock) -> None:
        """`slips`: where they are left; a path is a folder's."""
        self.slips: Slips = SlipFolder(slips) if isinstance(slips, Path) else slips
        self._clock = clock

    def give(
        self,
        step: str,
        by: str,
        note: str,
        *,
        asked: str,
        plan_hash: str,
        round_: int,
        valid_for: timedelta = VALID_FOR,
    ) -> Approval:
        """Leaves an approval of what was asked for the runner. Raises JournalError where it cannot."""
        now = self._clock.now()
        slip = _Slip(
            step=step,
            by=by,
            note=note,
            at=now.isoformat(timespec="seconds"),
            plan_hash=plan_hash,
            round=round_,
            asked=digest(asked),
            expires=(now + valid_for).isoformat(timespec="seconds"),
        )
        self.slips.write(step, json.dumps(asdict(slip)))
        return Approval(step, by, note, slip.at, slip.asked)

    def given(self, steps: Iterable[str]) -> frozenset[str]:
        """Those of some steps whose approvals lie here, taken already or not. Raises JournalError."""
        return frozenset(step for step in steps if self.slips.read(step) is not None)

    def take(self, step: str, asked: str, plan_hash: str, round_: int) -> Approval | None:
        """The approval of a step, if there is one and it is good.

        Raises:
            JournalError: it cannot be read.
        """
        text = self.slips.read(step)
        if text is None:
            return None
        try:
            slip = _Slip(**json.loads(text))
        except (ValueError, TypeError) as error:
            raise JournalError(
                f"the approval of {step} in {self.slips} cannot be read ({error}); approve again"
            ) from error
        good = (slip.step, slip.asked, slip.plan_hash, slip.round) == (
            step,
            digest(asked),
            plan_hash,
            round_,
        )
        if not good or datetime.fromisoformat(slip.expires) < self._clock.now():
            return None
        return Approval(slip.step, slip.by, slip.note, slip.at, slip.asked)
