"""`python -m lab rehearse`, `estate`, `bench-switch`, `-verify`, `-watch`, `soak`, `up`, `down`."""

from __future__ import annotations

import sys

from lab import bench_switch, bench_verify, bench_watch, estate, rehearse, standing
from lab.soak import run as soak

_COMMANDS = {"estate": estate.main, "rehearse": rehearse.main}
_COMMANDS |= {"bench-switch": bench_switch.main, "bench-verify": bench_verify.main}
_COMMANDS |= {"bench-watch": bench_watch.main, "soak": soak.main}
_COMMANDS |= {"up": standing.up, "stay": standing.stay, "down": standing.down}


def main() -> int:
    """Run the command that is named first."""
    if len(sys.argv) != 2 or sys.argv[1] not in _COMMANDS:
        sys.stderr.write(f"usage: python -m lab {'|'.join(_COMMANDS)}\n")
        return 2
    return _COMMANDS[sys.argv[1]]()


if __name__ == "__main__":
    sys.exit(main())
