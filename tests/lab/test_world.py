"""A world that is asked to end."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from lab.world import INSIDE

pytestmark = pytest.mark.lab
_MAIN = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
print("up", flush=True)
time.sleep(600)
"""


def test_what_runs_in_it_is_told_and_may_end_by_itself() -> None:
    environment = {key: value for key, value in os.environ.items() if key != INSIDE}
    argv = [sys.executable, "-m", "lab.world", "--", sys.executable, "-c", _MAIN]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        process.terminate()
        assert process.wait(timeout=60) == 7
