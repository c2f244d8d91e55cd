"""`python -m lab.services NAME [WORD…]`: what the lab's images run."""

from __future__ import annotations

import sys
from importlib import import_module

PROGRAMS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "boss": ("boss", "main", ()),
    "boss settle": ("settlement", "main", ()),
    "corestone": ("corestone", "main", ()),
    "invoice-exporter": ("caller", "run", ("invoice-exporter",)),
    "automata": ("caller", "run", ("automata",)),
    "inner-app": ("inner_app", "main", ()),
    "kodo": ("kodo", "main", ()),
}
"""Module, function and its arguments by what the command line says; only the one that is run is imported."""


def main() -> int:
    """Run what is named; exit code 2 for an unknown name."""
    words = " ".join(sys.argv[1:])
    if words not in PROGRAMS:
        sys.stderr.write(f"lab.services: no program {words!r}; there are {', '.join(sorted(PROGRAMS))}\n")
        return 2
    module, function, arguments = PROGRAMS[words]
    return int(getattr(import_module(f"lab.services.{module}"), function)(*arguments))


if __name__ == "__main__":
    sys.exit(main())
