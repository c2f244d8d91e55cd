"""Fake programs that write down how they were called, and the setup that runs on them; runs in a world."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent.parent

GO = """#!/bin/sh
[ "$1 $2" = "env GOVERSION" ] && { echo "$FAKE_GO_VERSION"; exit 0; }
echo "go $*" >>"$FAKE_CALLS"
[ -n "$FAKE_GO_FAILS" ] && { echo "cannot find module"; exit 1; }
for _ in $(seq 300); do
    if [ -z "$FAKE_GO_WAITS_FOR" ] || [ -e "$FAKE_GO_WAITS_FOR" ]; then break; fi
    sleep 0.1
done
while [ "$1" != "-o" ]; do shift; done
folder=$2
for argument in "$@"; do
    case "$argument" in
    k8s.io/* | github.com/*) touch "$folder${argument##*/}"; chmod +x "$folder${argument##*/}" ;;
    esac
done
"""

PYTHON = """#!/bin/sh
echo "python $*" >>"$FAKE_CALLS"
case "$*" in
"-m venv "*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
*go-requirements.lock) cp "$FAKE_PATH/go" "$(dirname "$0")/go" ;;
esac
"""

RUN = """
import sys
from pathlib import Path
from lab.setup import __main__ as setup, check, install
sys.executable = sys.argv[1]
install.REQUIREMENTS = Path(sys.argv[2])
setup.check.look = lambda cache_folder: check.Facts(
    python=(3, 11), system="Debian", has_apt=True, is_root=True, sudo="works", namespaces=True,
    missing_programs=frozenset(), venv=True, python_is_debians=True, certificates=True, free_bytes=2**40,
)
sys.argv = ["lab.setup", "--print-python"]
sys.exit(setup.main())
"""


@dataclass(frozen=True)
class FakeMachine:
    """A folder with fake programs, a cache, and a lock file of requirements."""

    folder: Path

    def __post_init__(self) -> None:
        self.path.mkdir()
        for name, script in (("go", GO), ("python", PYTHON)):
            self.program(name, script)
        self.requirements.write_text("nothing==1 --hash=sha256:00\n")

    @property
    def path(self) -> Path:
        return self.folder / "path"

    @property
    def cache(self) -> Path:
        return self.folder / "cache"

    @property
    def requirements(self) -> Path:
        return self.folder / "requirements.lock"

    def program(self, name: str, script: str) -> Path:
        program = self.path / name
        program.write_text(script)
        program.chmod(0o755)
        return program

    def calls(self) -> list[str]:
        log = self.folder / "calls"
        return log.read_text().splitlines() if log.exists() else []

    def builds(self) -> list[str]:
        """The calls that built something."""
        return [call for call in self.calls() if call.startswith("go ")]

    def start(self, **environment: str) -> subprocess.Popen[str]:
        """Start setup on this machine."""
        base = {name: value for name, value in os.environ.items() if not name.startswith("LANDFALL_")}
        return subprocess.Popen(
            [sys.executable, "-c", RUN, str(self.path / "python"), str(self.requirements)],
            cwd=REPOSITORY,
            env={
                **base,
                "PATH": f"{self.path}:/usr/bin:/bin",
                "LANDFALL_CACHE": str(self.cache),
                "FAKE_CALLS": str(self.folder / "calls"),
                "FAKE_PATH": str(self.path),
                "FAKE_GO_VERSION": "go1.99.0",
                **environment,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, **environment: str) -> tuple[int, str, str]:
        """Run setup: its exit code, stdout and stderr."""
        process = self.start(**environment)
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err


def run_in_world(module: str, folder: Path, seconds: float = 300) -> str:
    """Run a module of the tests in a world of its own, with a folder as its argument: its last line.

    `seconds`: far more than it takes; only one that hangs is meant.
    """
    argv = [sys.executable, "-m", "lab.world", "--", sys.executable, "-m", module, str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    result = subprocess.run(
        argv, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False, timeout=seconds
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()[-1]
