"""`make lab` leaves a lab running, to be worked with by hand; `make lab-down` ends it.

The lab is a process of its own, in a world of its own. Its folder holds `run`, a program that runs a command
at the workspace instance of that world: where an operator would sit.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from pathlib import Path

from lab.clouds import DOMAIN, Clouds
from lab.clouds.workstation import Workstation
from lab.options import DEFAULT_TTL_DIVISOR, REPOSITORY, RHOAM, SHIPPED, Options
from lab.people import deeds_of
from lab.relay import outside
from lab.rhoam import standing as rhoam
from lab.rhoam.api import ApiError
from lab.scene import Clock, Desk, Scene, lab_folder
from lab.setup import find_tools
from lab.watching import watching
from lab.world import LabError, enter, inside_world

_FOLDER = REPOSITORY / "out" / "lab"
_PROCESS, _RUN, _OPERATOR, _LOG, _PAGE = (
    _FOLDER / name for name in ("process", "run", "operator", "log", "page")
)
_READY_SECONDS = 900.0
_END_SECONDS = 60.0
_POLL_SECONDS = 0.2

INSTRUCTIONS = f"""
A lab is running: the services on the source, nothing on the target yet, every stack up.
out/lab/run COMMAND runs a command at the workspace instance; without a command it is a shell there.

  look around        out/lab/run kubectl --context huawei get pods -A
                     out/lab/run kubectl --context aws get pods -A
                     out/lab/run curl -s https://{DOMAIN}/healthz
  what is declared   out/lab/run pulumi stack ls
                     out/lab/run pulumi preview --stack prod-edge
  the plan           out/lab/run cutover plan show
                     out/lab/run cutover preview
  the night          out/lab/run cutover run --to move
                     out/lab/run cutover status
                     out/lab/run open-database        (what the owner of the Huawei account does)
                     out/lab/run cutover approve open-database --as YOU --note "done"
                     out/lab/run cutover run
                     out/lab/run await-callers        (what the owners of a caller do that was found)
  and back           out/lab/run cutover rollback
  the end            make lab-down

Its output goes to out/lab/log.
"""


def up() -> int:
    """Start a lab that stays, and say how to work with it."""
    try:
        options = _options()
    except LabError as error:
        sys.stderr.write(f"lab: {error}\n")
        return 1
    if _running() is not None:
        sys.stderr.write("lab: one is running already; `make lab-down` ends it\n")
        return 1
    _FOLDER.mkdir(parents=True, exist_ok=True)
    for path in (_RUN, _OPERATOR, _PAGE):
        path.unlink(missing_ok=True)
    with _LOG.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "lab", "stay"],
            cwd=REPOSITORY,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    _PROCESS.write_text(str(process.pid))
    deadline = time.monotonic() + _READY_SECONDS
    shown = 0
    while not _OPERATOR.exists():
        printed = _LOG.read_bytes()
        sys.stdout.write(printed[shown:].decode(errors="replace"))
        sys.stdout.flush()
        shown = len(printed)
        if process.poll() is not None or time.monotonic() > deadline:
            sys.stderr.write(f"lab: it did not come up; see {_LOG}\n")
            down()
            return 1
        time.sleep(_POLL_SECONDS)
    _write_run(process.pid)
    sys.stdout.write(rhoam.INSTRUCTIONS if options.plan == RHOAM else INSTRUCTIONS)
    if link := _PAGE.read_text():
        sys.stdout.write(f"The page: {link}\n")
    return 0


def down() -> int:
    """End the lab that `up` left running."""
    process = _running()
    if process is None:
        sys.stderr.write("lab: none is running\n")
        _PROCESS.unlink(missing_ok=True)
        return 0
    os.kill(process, signal.SIGTERM)
    deadline = time.monotonic() + _END_SECONDS
    while _running() is not None:
        if time.monotonic() > deadline:
            os.kill(process, signal.SIGKILL)
        time.sleep(_POLL_SECONDS)
    for path in (_PROCESS, _RUN, _OPERATOR, _PAGE):
        path.unlink(missing_ok=True)
    return 0


def stay() -> int:
    """The lab's own process: brings it up and stays until it is asked to end."""
    try:
        options = _options()
        if not inside_world():
            with outside(options.watch) if options.watch else nullcontext():
                return enter([sys.executable, "-m", "lab", "stay"])
        return _stay(options)
    except LabError as error:
        sys.stderr.write(f"lab: {error}\n")
        return 1


def _options() -> Options:
    """Raises LabError."""
    options = Options.read(os.environ)
    if options.plan not in (SHIPPED, RHOAM):
        raise LabError(f"PLAN={options.plan}: a lab that stays is for {SHIPPED} or {RHOAM}")
    return options


def _stay(options: Options) -> int:
    ending = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ending.set())
    progress = Clock()
    with lab_folder(keep=False) as folder:
        if options.plan == RHOAM:
            lab = rhoam.RhoamStanding(folder, progress)
            try:
                lab.clouds.start()
                deeds = lab.set_up()
                _serve(lab.clouds.workstation, lab.scene, deeds, ending)
            finally:
                lab.stop()
            return 0
        clouds = Clouds(folder, find_tools(), ttl_divisor=DEFAULT_TTL_DIVISOR, progress=progress)
        clouds.start()
        try:
            scene = Scene(clouds, plan=SHIPPED, progress=progress)
            scene.set_up("")
            deeds = {step: deed.act for step, deed in deeds_of(clouds).items()}
            port = options.watch
            page = watching(clouds, scene.cutover_argv(), scene.project, port) if port else nullcontext("")
            with page as link:
                _serve(clouds.workstation, scene, deeds, ending, link)
        finally:
            clouds.stop()
    return 0


def _serve(
    workstation: Workstation,
    scene: Desk,
    deeds: Mapping[str, Callable[[], None]],
    ending: threading.Event,
    link: str = "",
) -> None:
    """Do what people are asked for until the end. `link`: of the page, if it is served."""
    _PAGE.touch(mode=0o600)  # whoever has the link may roll back
    _PAGE.write_text(link)
    asked = scene.project.parent / "asked"
    asked.mkdir()
    _write_programs(workstation, scene, asked, deeds)
    while not ending.wait(_POLL_SECONDS):
        for path in asked.glob("[!.]*"):
            said = "done"
            try:
                deeds[path.name]()
            except (LabError, ApiError, OSError, subprocess.SubprocessError) as error:
                said = f"it did not work: {error}"
            sys.stdout.write(f"{path.name}: {said}\n")
            path.with_name(f".{path.name}").write_text(f"{said}\n")
            path.unlink()


def _write_programs(workstation: Workstation, scene: Desk, asked: Path, deeds: Iterable[str]) -> None:
    """Write what `run` finds on its PATH. `asked`: the folder in which a deed is asked for."""
    programs = workstation.bin
    cutover = shlex.join(scene.cutover_argv())
    _write(programs / "cutover", f'PYTHONPATH={shlex.quote(str(REPOSITORY))} exec {cutover} "$@"')
    for deed in deeds:
        path, said = (shlex.quote(str(asked / name)) for name in (deed, f".{deed}"))
        _write(programs / deed, f"touch {path}; while [ -e {path} ]; do sleep 0.1; done; cat {said}")
    exports = "\n".join(
        f"export {name}={shlex.quote(value)}" for name, value in workstation.environment().items()
    )
    inside = shlex.join(workstation.inside([]))
    _write(
        _OPERATOR, f'{exports}\ncd {shlex.quote(str(scene.project))}\nexec {inside} "${{@:-bash}}"', "bash"
    )


def _write(path: Path, script: str, shell: str = "sh") -> None:
    fresh = path.with_name(f".{path.name}")  # whoever sees it sees all of it
    fresh.touch(mode=0o700)
    fresh.write_text(f"#!/usr/bin/env {shell}\n{script}\n")
    fresh.replace(path)


def _write_run(outside: int) -> None:
    """The program `run`: enters the world whose first process descends from `outside`."""
    first = _first_process(outside)
    if first is None:
        raise LabError("the lab's first process is gone")
    _write(_RUN, f'exec nsenter --target {first} --net --mount --pid {shlex.quote(str(_OPERATOR))} "$@"')


def _first_process(process: int) -> int | None:
    """The process among the descendants of `process` that is number 1 in a namespace of its own."""
    own = Path(f"/proc/{process}")
    numbers = next(line for line in (own / "status").read_text().splitlines() if line.startswith("NSpid:"))
    if numbers.split()[-1] == "1":
        return process
    children = (own / "task" / str(process) / "children").read_text().split()
    return next(filter(None, (_first_process(int(child)) for child in children)), None)


def _running() -> int | None:
    try:
        process = int(_PROCESS.read_text())
        os.kill(process, 0)
    except (OSError, ValueError):
        return None
    return process
