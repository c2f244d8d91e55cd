"""The policy pack's process, started by the engine in this folder."""

import os
import sys
from datetime import UTC, datetime
from pathlib import Path

# The engine names this folder, and so Python looks for modules here and not in the project above it.
PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT))

from policy.exceptions import load_exceptions  # noqa: E402 - found by what was just done
from policy.pack import run  # noqa: E402

run(load_exceptions(PROJECT, os.environ), datetime.now(UTC).date())
