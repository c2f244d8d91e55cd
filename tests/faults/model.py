"""The model of the switch, checked by spin: every interleaving, and not those of some seeds."""

from __future__ import annotations

import re
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

MODEL = Path(__file__).parents[2] / "model" / "switch.pml"
WITHOUT = {
    "NO_FENCE": "the old database goes on taking writes",
    "NO_DRAIN": "nobody waits until the new database has everything",
    "NO_EPOCH": "a runner whose lease is another's goes on",
    "NO_DEMOTE": "what was promoted is not taken back before the old database serves again",
    "NO_GIVING_BACK": "it is not written down that what was promoted took no write",
}
"""What may be taken away from it: it has to fail then."""
SMALL = ("CRASHES=1", "LAPSES=1", "REQUESTS=1")
_SECONDS = 300.0
_DEPTH = 200_000


@dataclass(frozen=True)
class Checked:
    """What spin has found."""

    errors: int
    states: int
    seconds: float
    trail: str
    """The last steps to the first error, as spin tells them."""


def check(defines: Sequence[str] = ()) -> Checked:
    """Looks at every state of the model. Raises RuntimeError where spin or the compiler fails."""
    options = [f"-D{define}" for define in defines]
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="landfall-model-") as name:
        folder = Path(name)
        _run(["spin", "-a", *options, str(MODEL)], folder)
        _run(["gcc", "-O2", "-DSAFETY", "-DCOLLAPSE", "-o", "pan", "pan.c"], folder)
        said = _run(["./pan", f"-m{_DEPTH}", "-n"], folder)
        found = re.search(r"errors: (\d+)\s+(\d+) states, stored", said)
        if found is None or "max search depth too small" in said:
            raise RuntimeError(f"spin did not come to an end: {said[-2000:]}")
        errors = int(found[1])
        trail = folder / f"{MODEL.name}.trail"
        told = _run(["spin", "-t", "-p", *options, "-k", str(trail), str(MODEL)], folder) if errors else ""
    return Checked(errors, int(found[2]), time.monotonic() - begun, "\n".join(told.splitlines()[-40:]))


def _run(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_SECONDS, check=False)
    if done.returncode and command[0] != "./pan":
        raise RuntimeError(f"{' '.join(command)}: {done.stdout[-1000:]}{done.stderr[-1000:]}")
    return done.stdout
