"""`make faults`: prints the fault table with what was run and what held, and writes out/faults/report.json.

usage: python -m tests.faults [--seeds N] [--first N] [--seed N] [--only TEXT] [--out FOLDER]

`--seed N` runs one schedule and says what happened in it.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.faults import model
from tests.faults.rows import Parts, table_of
from tests.faults.simulated_rows import SEEDS, negative_controls
from tests.faults.simulation.plans import NAMES, case
from tests.faults.simulation.rules import INVARIANTS
from tests.faults.simulation.run import run
from tests.faults.simulation.schedules import schedule
from tests.faults.table import HEADING, PROCESSES, Part, Row

CONTROLS, MODEL, RANDOM = "negative controls", "model", "random fault schedules"


def main() -> int:
    """Runs the rows; the exit code is 1 where one does not hold."""
    parser = argparse.ArgumentParser(prog="tests.faults", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=SEEDS, help="random schedules")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seed", type=int, help="this schedule alone, with what happened in it")
    parser.add_argument("--only", default="", help="rows whose names hold one of these, with commas between")
    parser.add_argument("--out", type=Path, default=Path("out/faults"))
    options = parser.parse_args()
    if options.seed is not None:
        return show(options.seed)
    only = options.only.split(",")

    def wanted(name: str) -> bool:
        return any(part in name for part in only)

    begun = time.monotonic()
    print(HEADING, flush=True)
    table = {name: parts for name, parts in table_of(options.seeds, options.first).items() if wanted(name)}
    rows = list(run_rows(table))
    controls: list[Row] = []
    if wanted(CONTROLS):
        print(f"{CONTROLS}: a protection is taken away; `held` counts how often that was noticed")
        for removed, part in negative_controls(_say):
            controls.append(printed(Row(f"without the {removed}", [part])))
    modelled: dict[str, object] = {}
    if wanted(MODEL):
        modelled = check_model(controls)
    seconds = time.monotonic() - begun
    print(f"{sum(row.cases for row in (*rows, *controls)):,} cases in {seconds / 60:.1f} minutes")
    report = {
        "rows": [row.report() for row in rows],
        "negative_controls": [
            {"removed": row.fault.removeprefix("without the "), "detected": row.holds, **part.figures()}
            for row in controls
            for part in row.parts
        ],
        "seeds": sum(row.cases for row in rows if row.fault == RANDOM),
        "invariants": INVARIANTS,
        "model": modelled,
        "plans": list(NAMES),
        "seconds": round(seconds, 1),
    }
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "report.json").write_text(json.dumps(report, indent=1) + "\n")
    sound = not modelled or modelled.get("errors") == 0
    return (
        0 if sound and (rows or controls or modelled) and all(row.holds for row in (*rows, *controls)) else 1
    )


def run_rows(table: Mapping[str, Parts]) -> Iterator[Row]:
    """Runs and prints them, in their order.

    What waits for most of its time is run beside what computes, some at a time; neither waits for the other.
    """
    with ThreadPoolExecutor(PROCESSES) as beside:
        later = {
            name: [beside.submit(make, _say) for make in parts.elsewhere] for name, parts in table.items()
        }
        here: dict[str, list[Part]] = {}

        def row(name: str) -> Row:
            return printed(Row(name, [*here[name], *(part.result() for part in later[name])]))

        left = list(table)
        for name, parts in table.items():
            here[name] = [make(_say) for make in parts.here]
            while left and left[0] in here and all(part.done() for part in later[left[0]]):
                yield row(left.pop(0))
        yield from map(row, left)


def printed(row: Row) -> Row:
    """The row, once it is on the terminal."""
    print("\n".join(row.lines()), flush=True)
    return row


def check_model(controls: list[Row]) -> dict[str, object]:
    """Every state of the switch's model, and that each protection is missed there, too."""
    try:
        found = model.check()
    except (OSError, RuntimeError) as error:
        print(f"the model of the switch was not checked: {error}")
        return {"not_run": str(error)}
    print(f"the model of the switch: {found.states:,} states, {found.errors} errors, {found.seconds:.1f} s")
    for without in model.WITHOUT:
        part = Part("the model of the switch, spin")
        begun = time.monotonic()
        part.count("" if model.check((without,)).errors else f"{without}: nothing was noticed")
        part.seconds = time.monotonic() - begun
        removed = without.removeprefix("NO_").replace("_", " ").lower()
        controls.append(printed(Row(f"without the {removed}", [part])))
    return {"states": found.states, "errors": found.errors, "seconds": round(found.seconds, 1)}


def show(seed: int) -> int:
    """One schedule, each runner's end and each fault."""
    for name in NAMES:
        found = schedule(seed, case(name))
        outcome = run(case(name), found)
        print(f"{name}, {found}")
        for text in (*outcome.lives, *outcome.happened):
            print(f"    {text}")
        print(f"    {': '.join(outcome.broken) if outcome.broken else 'every invariant held'}")
    return 0


def _say(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r{text}\033[K", end="\r", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
