"""The moments at which a rehearsal's runner is killed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from cutover.clock import SystemClock
from cutover.journal import Journal, read_journal
from lab.kills import Killer

STEPS = 6
RUNNER = """
import sys, time
from pathlib import Path
from cutover.clock import SystemClock
from cutover.journal import Journal
journal = Journal(Path(sys.argv[1]), 1, SystemClock())
while len(journal.records) < 2 * int(sys.argv[2]):
    journal.append("note", {"step": f"step-{len(journal.records) // 2}"})
    time.sleep(0.5)
time.sleep(1.6)
"""


def test_a_runner_is_killed_as_often_as_told_over_the_whole_way(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    Journal(path, 1, SystemClock()).close()
    killer = Killer(path, 3, 7, STEPS)

    code = killer.watch(lambda: subprocess.Popen([sys.executable, "-c", RUNNER, str(path), str(STEPS)]))

    assert code == 0
    assert killer.done
    assert len(killer.kills) == 3
    assert len(read_journal(path).records) == 2 * STEPS
    assert len({kill.step for kill in killer.kills}) > 1
