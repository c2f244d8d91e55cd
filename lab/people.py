"""The people of a migration, as a rehearsal plays them: each does by hand what the plan asks of them."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from cutover.history import fold
from cutover.journal import read_journal
from cutover.session import Session
from lab.clouds import DOMAIN, Clouds
from lab.scene import Reached
from lab.topology import HUAWEI

_LOOK_SECONDS = 0.5
_APPROVE_SECONDS = 60.0


@dataclass(frozen=True)
class Deed:
    """What somebody does for a step that waits.

    `approved`: whether they then say so. Where they do not, the step sees for itself that it is done, and an
    approval would mean something else.
    """

    act: Callable[[], None]
    approved: bool = True
    by: str = "lab operator"
    """Whose word it is."""


def deeds_of(clouds: Clouds) -> dict[str, Deed]:
    """What people do, by the id of the step that asks for it."""
    return {
        "open-database": Deed(clouds.open_database),
        "await-callers": Deed(lambda: redirect_exporter(clouds), approved=False),
        "agree-again": Deed(lambda: None, by="lab owner"),
        "shut-down-source": Deed(clouds.database.stop),
    }


def redirect_exporter(clouds: Clouds) -> None:
    """What the owners of the invoice exporter do once they are told of it: they call BOSS by its domain."""
    patch = json.dumps({"data": {"BOSS_URL": f"https://{DOMAIN}"}})
    namespace = ("-n", "ops-tools")
    config_map = "configmap/invoice-exporter-config"
    clouds.kubectl(HUAWEI, "patch", config_map, *namespace, "--type=merge", "-p", patch)
    clouds.kubectl(HUAWEI, "rollout", "restart", *namespace, "deployment/invoice-exporter")
    clouds.kubectl(HUAWEI, "rollout", "status", *namespace, "deployment/invoice-exporter", "--timeout=60s")


class People:
    """Watches the journal for steps that wait for a person, does them, and approves them.

    A step without a deed is approved as it is: whoever is asked agrees.
    """

    def __init__(
        self, clouds: Reached, cutover: Sequence[str], session: Session, deeds: Mapping[str, Deed]
    ) -> None:
        """`cutover`: the words by which the cutover is called, without a command."""
        self._clouds = clouds
        self._cutover = list(cutover)
        self._session = session
        self._deeds = deeds
        self._read = -1
        self._done: set[str] = set()
        """Steps whose deed is done, as long as they wait."""
        self._ended = threading.Event()

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Have them at work while the block runs."""
        self._ended.clear()
        thread = threading.Thread(target=self._watch, name="people", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            thread.join(timeout=60.0)

    def _watch(self) -> None:
        while not self._ended.wait(_LOOK_SECONDS):
            for step in self._waiting():
                deed = self._deeds.get(step, Deed(lambda: None))
                if step not in self._done:
                    deed.act()
                    self._done.add(step)
                if deed.approved:
                    self._approve(step, deed.by)

    def _waiting(self) -> list[str]:
        """Steps that wait; none where nothing was written since the last look."""
        path = self._session.journal_path
        size = path.stat().st_size if path.exists() else 0
        if size == self._read:
            return []
        steps = fold(read_journal(path).records).steps
        self._read = size
        waiting = [name for name, step in steps.items() if step.waiting]
        self._done &= set(waiting)
        return waiting

    def _approve(self, step: str, by: str) -> None:
        words = ("approve", step, "--as", by, "--note", "done in the rehearsal")
        try:
            result = self._clouds.operator(
                [*self._cutover, *words], cwd=self._session.project, timeout=_APPROVE_SECONDS
            )
        except subprocess.TimeoutExpired:
            self._read = -1  # a busy machine: asked again
            return
        if result.returncode != 0:
            self._read = -1
