"""`make faults`: prints the fault table with what was run and what held, and writes out/faults/report.json.

usage: python -m tests.faults [--seeds N] [--first N] [--seed N] [--only TEXT] [--out FOLDER]

`--seed N` runs one schedule and says what happened in it.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.faults import elsewhere, journal_damage, kills, model
from tests.faults import simulated_rows as simulated
from tests.faults.simulation.plans import NAMES, case
from tests.faults.simulation.rules import INVARIANTS
from tests.faults.simulation.run import run
from tests.faults.simulation.schedules import schedule
from tests.faults.table import Row


def main() -> int:
    """Runs the rows; the exit code is 1 where one does not hold."""
    parser = argparse.ArgumentParser(prog="tests.faults", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=simulated.SEEDS, help="random schedules")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seed", type=int, help="this schedule alone, with what happened in it")
    parser.add_argument("--only", default="", help="rows whose names hold one of these, with commas between")
    parser.add_argument("--out", type=Path, default=Path("out/faults"))
    options = parser.parse_args()
    if options.seed is not None:
        return show(options.seed)
    begun = time.monotonic()
    rows: list[Row] = []
    print(f"{'fault':34} {'cases':>7} {'held':>7} {'seconds':>8}  how", flush=True)
    for name, make in the_rows(options.seeds, options.first):
        if any(part in name for part in options.only.split(",")):
            rows.append(make(_say))
            print(rows[-1].line(), flush=True)
            for failure in rows[-1].failures:
                print(f"    {failure}", flush=True)
    controls: list[Row] = []
    if any(part in "negative controls" for part in options.only.split(",")):
        print("negative controls: a protection taken away; `held` counts how often that was noticed")
        for row in simulated.negative_controls(_say):
            controls.append(row)
            print(row.line(), flush=True)
    modelled: dict[str, object] = {}
    if any(part in "model" for part in options.only.split(",")):
        modelled = check_model(controls)
    seeds = sum(row.cases for row in rows if row.fault == "random fault schedules")
    report = {
        "rows": [row.report() for row in rows],
        "negative_controls": [
            {
                "removed": row.fault.removeprefix("without the "),
                "detected": row.held == row.cases,
                "cases": row.cases,
                "times_detected": row.held,
            }
            for row in controls
        ],
        "seeds": seeds,
        "invariants": INVARIANTS,
        "model": modelled,
        "plans": list(NAMES),
        "seconds": round(time.monotonic() - begun, 1),
    }
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "report.json").write_text(json.dumps(report, indent=1) + "\n")
    sound = not modelled.get("errors")
    return 0 if sound and all(row.held == row.cases for row in (*rows, *controls)) else 1


def the_rows(seeds: int, first: int) -> list[tuple[str, Callable[[simulated.Say], Row]]]:
    """All rows of the table, in its order."""
    return [
        ("kill -9", kills.matrix),
        ("kill during recovery", simulated.kills_in_recovery),
        ("API faults", simulated.api_faults),
        ("random fault schedules", lambda say: simulated.random_schedules(say, seeds, first)),
        ("two operators at once", simulated.two_operators),
        ("clock", simulated.clock),
        ("replication lag", simulated.lag),
        ("rollback", simulated.rollbacks),
        ("a client that ignores the TTL", simulated.stale_clients),
        ("partition", simulated.partitions),
        ("disk", simulated.disk_faults),
        ("journal damage", journal_damage.row),
        ("data mismatch", elsewhere.data_mismatch),
        ("stale configuration", elsewhere.stale_configuration),
        ("lost writes", elsewhere.lost_writes),
        ("secrets", elsewhere.secrets),
    ]


def check_model(controls: list[Row]) -> dict[str, object]:
    """Every state of the switch's model, and that each protection is missed there, too."""
    try:
        found = model.check()
    except (OSError, RuntimeError) as error:
        print(f"the model of the switch was not checked: {error}")
        return {"not_run": str(error)}
    print(f"the model of the switch: {found.states} states, {found.errors} errors, {found.seconds:.1f} s")
    for without in model.WITHOUT:
        row = Row(f"without {without} in the model", how="spin")
        begun = time.monotonic()
        row.count("" if model.check((without,)).errors else f"{without}: nothing was noticed")
        row.seconds = time.monotonic() - begun
        controls.append(row)
        print(row.line(), flush=True)
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
