"""A lab of the second plan that stays: what its people may ask for at the workspace instance."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path

from cutover.session import Session
from lab.options import DEFAULT_TTL_DIVISOR
from lab.people import People
from lab.rhoam.clouds import RhoamClouds
from lab.rhoam.people import Parties
from lab.rhoam.scene import ENVIRONMENT, PLAN, RhoamScene
from lab.scene import Progress
from lab.setup import find_tools

INSTRUCTIONS = """
A lab is running: the customer's 3scale on the source, an empty migration cluster, RHOAM's operator on the
destination, every stack up.
out/lab/run COMMAND runs a command at the workspace instance; without a command it is a shell there.

  look around        out/lab/run kubectl --context rhoam-source get pods -A
                     out/lab/run kubectl --context rhoam-destination get pods -A
  what is declared   out/lab/run pulumi stack ls
                     out/lab/run pulumi preview --stack rhoam-migration
  the plan           out/lab/run cutover plan show
                     out/lab/run cutover status --owner customer
  ahead              out/lab/run cutover run --to customer-ready
                     out/lab/run cutover approve STEP --as YOU --note "done"
                     out/lab/run parties-begin        (everybody does and approves what waits for them)
                     out/lab/run parties-end          (nobody does any more)
  by hand            out/lab/run install-threescale   (what the owner of that step does; then approve it)
                     fill-bucket, configure-idp, create-domain, trigger-rhoam, publish-sso: the same
  the move           out/lab/run cutover run
  and back           out/lab/run cutover rollback
  the end            make lab-down

Its output goes to out/lab/log.
"""


class RhoamStanding:
    """The lab's clouds, its operator's desk, and what people do."""

    def __init__(self, folder: Path, progress: Progress) -> None:
        self.clouds = RhoamClouds(folder, find_tools(), ttl_divisor=DEFAULT_TTL_DIVISOR, progress=progress)
        self.scene = RhoamScene(self.clouds, progress=progress)
        self._at_work = ExitStack()

    def set_up(self) -> Mapping[str, Callable[[], None]]:
        """Bring everything up; gives what people do, by name. Raises LabError."""
        self.scene.set_up("")
        parties = Parties(self.clouds, _nobody_is_there, lambda _apps: None)
        session = Session.at(self.scene.project, ENVIRONMENT, PLAN)
        people = People(self.clouds, self.scene.cutover_argv(), session, parties.deeds(session.plan()))

        def begin() -> None:
            self._at_work.close()
            self._at_work.enter_context(people.at_work())

        return {**parties.by_hand, "parties-begin": begin, "parties-end": self._at_work.close}

    def stop(self) -> None:
        """End everything."""
        self._at_work.close()
        self.clouds.stop()


def _nobody_is_there() -> None:
    """A lab that stays has no users whose traffic could be stopped."""
