"""`python -m lab.rhoam.threescale NAME`: what the images of 3scale's stand-in run."""

from __future__ import annotations

import logging
import sys
from importlib import import_module

from lab.services.variables import SettingsError

PROGRAMS = {
    "system-app": ("system_app", "main"),
    "system-sidekiq": ("sidekiq", "main"),
    "backend-listener": ("backend", "listener"),
    "backend-worker": ("backend", "worker"),
    "backend-cron": ("backend", "cron"),
    "zync": ("zync", "zync"),
    "zync-que": ("zync", "que"),
    "apicast": ("apicast", "main"),
}
"""Module and function by what the command line says; only the one that is run is imported."""


def main() -> int:
    """Run what is named; exit code 1 with one line for settings or an address that are wrong."""
    name, *words = [*sys.argv[1:], ""]
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        if name == "bundle":
            from lab.rhoam.threescale.sidekiq import bundle  # noqa: PLC0415 - see PROGRAMS

            return bundle(words[:-1])
        if name not in PROGRAMS:
            sys.stderr.write(f"there is no program {name!r}; there are {', '.join(PROGRAMS)}, bundle\n")
            return 2
        module, function = PROGRAMS[name]
        return int(getattr(import_module(f"lab.rhoam.threescale.{module}"), function)())
    except (SettingsError, OSError) as error:
        sys.stderr.write(f"{name}: {error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
