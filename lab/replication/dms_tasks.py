"""The tasks behind the lab's DMS API: a worker's process each.

Tasks really replicate where LANDFALL_DMS_HOST is set: to the host of the lab in which DMS's instance stands,
or to `here` for the network of the API itself. LANDFALL_DMS_LAG is the lag in seconds, 1 by default.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HOST, LAG = "LANDFALL_DMS_HOST", "LANDFALL_DMS_LAG"
HERE = "here"
STOP_SECONDS = 20.0
_lock = threading.Lock()
_tasks: dict[str, Task] = {}
_folder: list[Path] = []


@dataclass
class Task:
    """One task that was started."""

    folder: Path
    process: subprocess.Popen[bytes]

    def status(self) -> dict[str, Any]:
        """What the worker says; a worker that ended without a word has failed."""
        try:
            found: dict[str, Any] = json.loads((self.folder / "status.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            found = {"state": "starting", "tables": [], "progress": 0, "position": "", "reason": ""}
        if self.process.poll() is not None and found["state"] in ("starting", "running"):
            return {**found, "state": "failed", "reason": "FATAL_ERROR the worker ended"}
        return found


def enabled() -> bool:
    """Whether tasks really replicate in this lab."""
    return bool(os.environ.get(HOST))


def start(arn: str, job: Mapping[str, Any], authorities: Mapping[str, str]) -> None:
    """Starts a task's worker.

    Args:
        job: see dms_worker.Job; its lag is added.
        authorities: PEM by end (`source`, `target`), of those ends that use TLS.
    """
    with _lock:
        folder = _place(arn)
        described = {**job, "lag": float(os.environ.get(LAG) or 1.0)}
        for end, pem in authorities.items():
            ca = folder / f"{end}.pem"
            ca.write_text(pem, encoding="ascii")
            described[end] = {**described[end], "ca": str(ca)}
        path = folder / "job.json"
        path.touch(mode=0o600)
        path.write_text(json.dumps(described), encoding="utf-8")
        (folder / "status.json").unlink(missing_ok=True)
        host = os.environ.get(HOST, HERE)
        inside = [] if host == HERE else ["nsenter", f"--net=/run/netns/{host}"]
        worker = [sys.executable, "-m", "lab.replication.dms_worker", str(path), str(folder / "status.json")]
        with (folder / "log").open("ab") as log:
            process = subprocess.Popen([*inside, *worker], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        _tasks[arn] = Task(folder, process)


def stop(arn: str) -> None:
    """Stops a task's worker and waits for its end; does nothing for one that never ran."""
    task = _tasks.get(arn)
    if task is not None and task.process.poll() is None:
        task.process.terminate()
        try:
            task.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            task.process.kill()
            task.process.wait()


def status(arn: str) -> dict[str, Any] | None:
    """What a task says; None for one that was never started."""
    task = _tasks.get(arn)
    return None if task is None else task.status()


def close() -> None:
    """Stops all tasks and removes what they left: the API ends."""
    with _lock:
        for arn in _tasks:
            stop(arn)
        _tasks.clear()
        for folder in _folder:
            shutil.rmtree(folder)
        _folder.clear()


def _place(arn: str) -> Path:
    if not _folder:
        _folder.append(Path(tempfile.mkdtemp(prefix="dms-")))
    folder = _folder[0] / arn.rpartition(":")[2]
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder
