"""The people of a migration, as a rehearsal plays them: each does by hand what the plan asks of them."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab.clouds import DOMAIN, Clouds
from lab.topology import HUAWEI

_LOOK_SECONDS = 1.0


@dataclass(frozen=True)
class Deed:
    """What somebody does for a step that waits.

    `approved`: whether they then say so. Where they do not, the step sees for itself that it is done, and an
    approval would mean something else.
    """

    act: Callable[[], None]
    approved: bool = True


def deeds_of(clouds: Clouds) -> dict[str, Deed]:
    """What people do, by the id of the step that asks for it."""
    return {
        "open-database": Deed(clouds.open_database),
        "await-callers": Deed(lambda: redirect_exporter(clouds), approved=False),
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
    """Watches `cutover status` for steps that wait for a person, does them, and approves them.

    A step without a deed is approved as it is: whoever is asked agrees.
    """

    def __init__(
        self, clouds: Clouds, cutover: Sequence[str], project: Path, deeds: Mapping[str, Deed]
    ) -> None:
        self._clouds = clouds
        self._cutover = list(cutover)
        self._project = project
        self._deeds = deeds
        self._done: set[tuple[str, str]] = set()
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
            for step, instructions in self._waiting():
                deed = self._deeds.get(step, Deed(lambda: None))
                if (step, instructions) not in self._done:
                    deed.act()
                    self._done.add((step, instructions))
                if deed.approved:
                    self._run("approve", step, "--as", "lab operator", "--note", "done in the rehearsal")

    def _waiting(self) -> list[tuple[str, str]]:
        output = self._run("status", "--json")
        waiting = json.loads(output)["waiting"] if output else []
        return [(entry["step"], entry["instructions"]) for entry in waiting]

    def _run(self, *arguments: str) -> str:
        result = self._clouds.operator([*self._cutover, *arguments], cwd=self._project, timeout=60.0)
        return result.stdout if result.returncode == 0 else ""
