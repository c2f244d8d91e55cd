"""What people approve, handed to the runner through files: the runner alone writes the journal."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path

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


class Approvals:
    """A folder with one file for each step that somebody approved."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self.folder = folder
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
        path = self._path(step)
        temporary = path.with_suffix(".new")
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            temporary.write_text(json.dumps(asdict(slip)), encoding="utf-8")
            temporary.chmod(0o600)
            temporary.replace(path)
        except OSError as error:
            raise JournalError(f"the approval of {step} could not be written to {path}: {error}") from error
        return Approval(step, by, note, slip.at, slip.asked)

    def given(self) -> frozenset[str]:
        """The steps whose approvals lie here, taken already or not."""
        return frozenset(path.stem for path in self.folder.glob("*.json"))

    def take(self, step: str, asked: str, plan_hash: str, round_: int) -> Approval | None:
        """The approval of a step, if there is one and it is good.

        Raises:
            JournalError: the file cannot be read.
        """
        path = self._path(step)
        try:
            slip = _Slip(**json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError) as error:
            raise JournalError(f"the approval in {path} cannot be read ({error}); approve again") from error
        good = (slip.step, slip.asked, slip.plan_hash, slip.round) == (
            step,
            digest(asked),
            plan_hash,
            round_,
        )
        if not good or datetime.fromisoformat(slip.expires) < self._clock.now():
            return None
        return Approval(slip.step, slip.by, slip.note, slip.at, slip.asked)

    def _path(self, step: str) -> Path:
        return self.folder / f"{os.path.basename(step)}.json"  # noqa: PTH119 - a step id is no path
