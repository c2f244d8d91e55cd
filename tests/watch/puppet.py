"""A runner whose steps are told on standard input: it holds the real lease and writes the real journal.

usage: puppet.py LEASE JOURNAL       Each line of input is `{"kind": …, "data": …}`; its end ends it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

from cutover.clock import SystemClock
from cutover.journal import Journal, read_journal
from cutover.lease import LocalLease


def main(lease: Path, path: Path) -> None:
    last = max((record.epoch for record in read_journal(path).records), default=0)
    with LocalLease(lease, SystemClock(), last) as held:
        journal = Journal(path, held.epoch, SystemClock())

        def stop(*_: object) -> None:
            ended = {"outcome": "interrupted", "reason": "stopped", "step": "", "reached": False}
            journal.append("finished", ended)
            os._exit(7)

        signal.signal(signal.SIGINT, stop)
        print("ready", flush=True)
        for line in sys.stdin:
            told = json.loads(line)
            journal.append(told["kind"], told["data"])
            print("written", flush=True)
        journal.close()


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
