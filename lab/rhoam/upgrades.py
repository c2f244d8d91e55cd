"""Carries out the upgrades of databases that the lab's RDS was asked for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

UPGRADES = "LANDFALL_RDS_UPGRADES"
"""The variable with the folder by which the lab's RDS tells of them: see lab.aws.fakes.rds."""
_POLL_SECONDS = 0.3


class Upgrades:
    """Watches the folder for what is wanted, and answers once it is done."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self._ended = threading.Event()
        self._threads: list[threading.Thread] = []

    def carry_out(self, instance: str, upgrade: Callable[[str], None]) -> None:
        """Have `upgrade` called with the version whenever one of this instance is wanted."""
        thread = threading.Thread(target=self._watch, args=(instance, upgrade), daemon=True)
        thread.start()
        self._threads.append(thread)

    def _watch(self, instance: str, upgrade: Callable[[str], None]) -> None:
        wanted = self.folder / f"{instance}.wanted"
        while not self._ended.wait(_POLL_SECONDS):
            if wanted.exists():
                version = wanted.read_text(encoding="utf-8")
                wanted.unlink()
                upgrade(version)
                (self.folder / f"{instance}.done").touch()

    def stop(self) -> None:
        """Watch no more."""
        self._ended.set()
        for thread in self._threads:
            thread.join(timeout=30.0)
