"""The table of controls with what proves each: `python -m tests.policy.evidence [FILE]` writes it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from policy.control import Control
from policy.controls import CONTROLS
from tests.policy.cases import CASES
from tests.policy.edits import edited, outcome
from tests.policy.good import GOOD
from tests.policy.mutations import MUTATIONS
from tests.policy.programs import program

_EXPECTED = {"bad": "failed", "absent": "failed", "unknown": "not evaluated"}


@dataclass(frozen=True)
class Evidence:
    """What became of each case of one control."""

    control: Control
    good: str
    cases: dict[str, list[str]]
    mutation: str
    mutated: str

    @property
    def holds(self) -> bool:
        """Whether everything came out as it should."""
        kinds = all(set(self.cases[kind]) == {expected} for kind, expected in _EXPECTED.items())
        return self.good == "passed" and kinds and self.mutated == "failed"

    @property
    def line(self) -> str:
        """A row of the table."""
        found = [_told(self.cases[kind]) for kind in _EXPECTED]
        cells = (
            self.control.id,
            self.control.demands,
            self.control.properties,
            self.good,
            *found,
            f"{self.mutated}: {self.mutation}",
        )
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _told(outcomes: Sequence[str]) -> str:
    return ", ".join(f"{outcome} ({outcomes.count(outcome)})" for outcome in dict.fromkeys(outcomes))


def evidence() -> list[Evidence]:
    """Of every control, in the order of the table."""
    return [_of(control) for control in CONTROLS]


def _of(control: Control) -> Evidence:
    case = CASES[control.id]
    stack, edit = MUTATIONS[control.id]
    return Evidence(
        control,
        outcome(control, GOOD),
        {
            kind: [outcome(control, edited(GOOD, [found])) for found in getattr(case, kind)]
            for kind in _EXPECTED
        },
        f"in {stack}, {edit}",
        outcome(control, edited(program(stack), [edit])),
    )


def table(rows: Sequence[Evidence]) -> str:
    """The table as Markdown."""
    head = (
        "| Control | Demands | Judged by | Good | Bad | Absent | Unknown | One change of the real program |"
    )
    return "\n".join([head, "|---|---|---|---|---|---|---|---|", *(row.line for row in rows), ""])


def main() -> int:
    """Prints the table, or writes it to the file that is named; 1 where a control does not hold."""
    rows = evidence()
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(table(rows), encoding="utf-8")
    else:
        sys.stdout.write(table(rows))
    return 0 if all(row.holds for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
