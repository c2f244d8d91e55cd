"""`python3 -m lab.setup`: installs and builds whatever a lab lacks on this machine, and nothing twice.

`--print-python` prints the virtual environment's interpreter on stdout when all is there. Progress and errors
go to stderr.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from lab.setup import cache, check, install
from lab.setup.errors import SetupError
from lab.setup.go_tools import ALL, overridden
from lab.setup.progress import say


def main() -> int:
    """The command line; exit code 1 with one message that lists all that is missing, or says what failed."""
    parser = argparse.ArgumentParser(prog="python3 -m lab.setup", description=__doc__)
    parser.add_argument("--print-python", action="store_true", help="print the interpreter to use")
    options = parser.parse_args()
    try:
        python = set_up(cache.folder())
    except SetupError as error:
        sys.stderr.write(f"setup: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("setup: stopped; the same command goes on where it was\n")
        return 130
    if options.print_python:
        sys.stdout.write(f"{python}\n")
    else:
        activate = python.parent / "activate"
        sys.stdout.write(f"all is there. To work by hand: . {activate}; alias cutover='python -m cutover'\n")
    return 0


def set_up(cache_folder: Path) -> Path:
    """Bring whatever is missing; gives the interpreter. Raises SetupError; says nothing if all is there."""
    tools = () if overridden() else ALL
    builds = any(not cache.is_complete(each.built(cache_folder)) for each in tools)
    verdict = check.decide(check.look(cache_folder), builds=builds)
    if verdict.problems:
        raise SetupError("\n  - ".join(["a lab cannot run here yet. What is missing:", *verdict.problems]))
    environment = install.environment(cache_folder, install.REQUIREMENTS)
    if not verdict.packages and not builds and cache.is_complete(environment):
        return install.python_of(environment)
    say(f"what it builds is kept in {cache_folder}")
    with cache.locked(cache_folder, lambda: say("another setup is at work: waiting until it is done")):
        logs = cache_folder / "logs"
        packages = check.decide(check.look(cache_folder), builds=builds).packages
        if packages:
            install.install_packages(packages, logs)
        install.build_environment(
            environment, install.REQUIREMENTS, "installing Python packages", "1 to 3 min", logs
        )
        install.provide_pulumi(cache_folder)
        for each in tools:
            install.provide_go_tools(each, cache_folder, logs)
    return install.python_of(environment)


if __name__ == "__main__":
    sys.exit(main())
