"""The command line on a machine of a name, in a world in memory that stands in a file.

Run as `python -m`, with the arguments of `cutover`. The variables MACHINE, SLOW and WORLD say the machine's
name, how long whoever approves takes, and the file. It prints each effect.
"""

from __future__ import annotations

import os
import pickle
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cutover.lease
import cutover.table_lease
from cutover import cli
from cutover.context import Context
from cutover.ports import Approval
from cutover.session import Session
from tests.cutover.world import World


class Telling(World):
    """Prints what is done to it, and remembers it in its file."""

    def take(self, step: str, asked: str, plan_hash: str, round_: int) -> Approval | None:
        print("approval", step, flush=True)
        time.sleep(float(os.environ["SLOW"]))
        return super().take(step, asked, plan_hash, round_)

    def note(self, what: str) -> None:
        print("effect", what, flush=True)
        super().note(what)
        self.save()

    def save(self) -> None:
        """Whole, or not at all."""
        fresh = Path(os.environ["WORLD"]).with_suffix(f".{os.getpid()}")
        fresh.write_bytes(pickle.dumps(self))
        fresh.replace(os.environ["WORLD"])


def main() -> None:
    name = os.environ["MACHINE"]
    cutover.lease.machine = lambda: name  # type: ignore[attr-defined]
    # what another machine started is not seen
    cutover.table_lease.end_children = lambda *_: ()  # type: ignore[attr-defined]
    world: Telling = pickle.loads(Path(os.environ["WORLD"]).read_bytes())  # noqa: S301 - our own file

    def context(session: Session, say: Callable[[str], None], stopping: Callable[[], bool]) -> Context:
        made = world.context(stopping)
        made.say = say
        return made

    Session.context = context  # type: ignore[method-assign,assignment]
    Session.approvals = property(lambda _: world)  # type: ignore[method-assign,assignment]
    cli._warm = lambda: None
    sys.argv[0] = "cutover"
    cli.main()


if __name__ == "__main__":
    from tests.cutover import machine_of_its_own

    # by its own name, as the file's pickles have it
    machine_of_its_own.main()
