"""What the table is made of: each fault with its parts, in the order of the table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tests.faults import journal_damage, kills
from tests.faults import simulated_rows as simulated
from tests.faults.elsewhere import Make, clean_runs, lost_writes, measured, tests

SWITCH = "tests/replication/test_switch.py"
MOVE = "tests/replication/test_database_move.py"
REAL = "real databases and gates"


@dataclass(frozen=True)
class Parts:
    """Of a row."""

    here: tuple[Make, ...] = ()
    """Run in processes of our own, one part after the other, each on all cores."""
    elsewhere: tuple[Make, ...] = ()
    """Programs of their own, which wait for most of their time: some at a time, beside what computes."""


def table_of(seeds: int, first: int) -> Mapping[str, Parts]:
    """All rows. `seeds`: how many random schedules; `first`: the first of them."""
    return {
        "kill -9": Parts(
            (kills.matrix,),
            (
                tests(f"the switch, {REAL}", SWITCH, MOVE, only="killed"),
                tests("runners killed at each effect, world in memory", "tests/cutover/test_kill.py"),
            ),
        ),
        "kill during recovery": Parts((simulated.kills_in_recovery,)),
        "API faults": Parts(
            (simulated.api_faults,),
            (
                measured("real Kubernetes APIs behind a proxy", "tests.faults.kubernetes_calls",
                         in_lab=True),
                measured("DynamoDB (moto) behind a proxy", "tests.faults.table_calls", 6),
            ),
        ),
        "random fault schedules": Parts((lambda say: simulated.random_schedules(say, seeds, first),)),
        "two operators at once": Parts(
            (simulated.two_operators,),
            (
                tests("real runners and leases, stopped by SIGSTOP", "tests/cutover/test_two_operators.py",
                      "tests/cutover/test_table_lease.py", "tests/cutover/test_lease.py"),
                tests(f"a switch whose lease is lost, {REAL}", SWITCH, only="lease_is_lost"),
            ),
        ),
        "clock": Parts(
            (simulated.clock,),
            (tests("real leases, libc's time of day is off", "tests/cutover/test_clock_of_a_machine.py"),),
        ),
        "replication lag": Parts(
            (simulated.lag,),
            (tests(f"the switch, {REAL}", SWITCH, MOVE, only="does_not_catch_up or hangs or breaks"),),
        ),
        "data mismatch": Parts(
            (), (tests("two real databases", "tests/replication/test_verification.py"), clean_runs)
        ),
        "rollback": Parts(
            (simulated.rollbacks,),
            (tests("real databases, natively and by the lab's DMS", MOVE,
                   only="back_keep or both_ways or refused_with"),),
        ),
        "a client that ignores the TTL": Parts((simulated.stale_clients,)),
        "stale configuration": Parts(
            (), (tests("real databases", "tests/replication/test_stale_configuration.py"),)
        ),
        "partition": Parts(
            (simulated.partitions,),
            (tests("a switch whose networks are cut, real databases and gate",
                   "tests/replication/test_partition.py", environment={"EVERY_PARTITION": "1"}),),
        ),
        "disk": Parts(
            (simulated.disk_faults,),
            (measured("a real runner, libc fails", "tests.faults.disk_writes", 4),
             tests("the target's disk is full, real databases", "tests/replication/test_full_disk.py",
                   in_lab=True),),
        ),
        "journal damage": Parts((journal_damage.row,)),
        "lost writes": Parts((), (lost_writes,)),
        "secrets": Parts(
            (), (tests("real clients, runs in memory, processes", "tests/secrets", processes=2),)
        ),
    }  # fmt: skip
