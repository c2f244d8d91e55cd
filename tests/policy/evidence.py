"""The page of controls with what proves each: `python -m tests.policy.evidence [FILE]` writes it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from policy.control import Control
from policy.controls import CONTROLS, eks
from tests.policy.cases import CASES
from tests.policy.edits import edited, outcome, verdicts
from tests.policy.good import GOOD
from tests.policy.mutations import MUTATIONS
from tests.policy.programs import DAY, FLIPPED, STACKS, exceptions, program

HEAD = """# Security controls

Made by `python -m tests.policy.evidence docs/controls.md` from the policy pack and its tests; a test holds it
up to date. `pulumi preview --policy-pack policy` judges a stack by every row, and each is mandatory.

A property that is absent fails; one that is known only after the `up` counts as not evaluated, never as
passed, and is listed as such. The columns *Bad*, *Absent* and *Unknown* say what became of each such case of
a small good stack; the last one names one change of a real program, and what became of it. Numbers in
brackets count the cases.

"""
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


def page(rows: Sequence[Evidence]) -> str:
    """The whole page."""
    return "\n".join([HEAD + table(rows), *_exceptions(), *_judged_stacks()])


def _exceptions() -> list[str]:
    lines = [
        "## Exceptions",
        "",
        "Named in the settings, each with a reason and its last day; the day after, the control fails again.",
        "",
        "| Environment | Control | Resource | Until | Reason |",
        "|---|---|---|---|---|",
    ]
    return [
        *lines,
        *(
            f"| {name} | {found['control']} | {found['resource']} | {found['until']} | {found['reason']} |"
            for name in ("prod", "rhoam")
            for found in exceptions(name)
        ),
        "",
    ]


def _judged_stacks() -> list[str]:
    """What the real programs declare, by stack, and how much of it the controls judge."""
    lines = [
        "## What is judged",
        "",
        "| Stack | Resources | Controls with something to judge |",
        "|---|---|---|",
    ]
    for stack in (*STACKS, *FLIPPED):
        made = [found for found in program(stack) if not found.type.startswith(("landfall:", "pulumi:"))]
        judged = [control for control in CONTROLS if verdicts(control, program(stack))]
        lines.append(f"| {stack} | {len(made)} | {len(judged)} |")
    note = "The small stacks declare nothing in AWS; the pack runs on them all the same."
    return [*lines, "", note, ""]


def main() -> int:
    """Prints the page, or writes it to the file that is named; 1 where a control does not hold."""
    # Which versions are supported depends on the day.
    with mock.patch.object(eks, "today", lambda: DAY):
        rows = evidence()
        text = page(rows)
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)
    return 0 if all(row.holds for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
