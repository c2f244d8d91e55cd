"""A runner's life in a process of its own, which may end by SIGKILL."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path


def forked(folder: Path, life: Callable[[], str]) -> str:
    """How it ended: what `life` gave, or `killed`."""
    outcome = folder / "outcome"
    outcome.unlink(missing_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        try:
            outcome.write_text(life())
        except BaseException:  # noqa: BLE001 - it is told to the parent
            outcome.write_text(traceback.format_exc())
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return "killed" if os.WTERMSIG(status) == signal.SIGKILL else f"signal {os.WTERMSIG(status)}"
    return outcome.read_text()
