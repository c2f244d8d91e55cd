"""Both homes of the lease, and a process that holds one: the same tests are run on each.

usage: lease_homes.py HOME       Takes the lease, starts a child, prints its id, and then does as it is told
on standard input: `effect` asks the lease and prints `done` or why not; the end of the input ends it.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cutover.clock import BootClock
from cutover.dynamodb import DynamoLease, Table
from cutover.errors import LeaseError
from cutover.lease import Lease, LocalLease
from cutover.table_lease import TableLease
from tests.cutover.team_table import REGION

ROOT = Path(__file__).parents[2]
SECONDS = 6.0
"""After which a silent holder of the `home` of these tests counts as lost."""


@dataclass(frozen=True)
class Home:
    """Where a lease stands. As text, `local:PATH` or `dynamodb:TABLE:SECONDS`."""

    text: str

    @property
    def lapses(self) -> bool:
        """Whether a holder that is silent loses it."""
        return self.text.startswith("dynamodb:")

    def lease(self, last_epoch: int = 0, say: Callable[[str], None] = lambda _: None) -> Lease:
        """A lease that nobody has taken by this object."""
        kind, place, *seconds = self.text.split(":")
        if kind == "local":
            return LocalLease(Path(place), BootClock(), last_epoch)
        table = DynamoLease(Table(place, REGION, call_seconds=5.0), "prod")
        return TableLease(table, BootClock(), last_epoch, seconds=float(seconds[0]), say=say)


class Other:
    """Another process that holds the lease and has a child."""

    def __init__(self, home: Home, environment: Mapping[str, str] | None = None) -> None:
        """`environment`: None for our own."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.cutover.lease_homes", home.text],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
            env=None if environment is None else dict(environment),
        )  # fmt: skip
        self.child = int(self.line())

    def line(self) -> str:
        """What it says next; empty once it has ended."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def tell(self, what: str) -> None:
        """What it is to do next."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{what}\n")
        self.process.stdin.flush()

    def end(self) -> None:
        """Kills it, and its child, where they live."""
        self.process.kill()
        self.process.communicate()
        subprocess.run(["kill", "-9", str(self.child)], stderr=subprocess.DEVNULL, check=False, timeout=10)


def main(home: Home) -> None:
    with home.lease() as lease:
        child = subprocess.Popen(["sleep", "300"], stdout=subprocess.DEVNULL, start_new_session=True)
        print(child.pid, flush=True)
        for _ in sys.stdin:
            try:
                lease.ensure()
            except LeaseError as error:
                print(error, flush=True)
            else:
                print("done", flush=True)


if __name__ == "__main__":
    main(Home(sys.argv[1]))
