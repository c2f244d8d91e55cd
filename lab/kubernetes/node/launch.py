"""Runs inside a container that is being made: `python -I -S launch.py SPEC ERRORS`, both descriptors.

Already the first process of its process namespace, it joins the pod's network, builds the container's file
system on an overlay of the machine's own, and becomes the container's command. What goes wrong is written to
ERRORS, which closes when the command runs. The standard library alone: it starts in a few milliseconds.
"""

import ctypes
import json
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any, NoReturn

NEWNS, NEWUTS, NEWIPC, NEWNET = 0x20000, 0x4000000, 0x8000000, 0x40000000
RDONLY, NOSUID, NODEV, NOEXEC, REMOUNT, BIND, REC, PRIVATE = 1, 2, 4, 8, 32, 4096, 16384, 1 << 18
DETACH = 2
PR_SET_PDEATHSIG = 1
SYS_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
OLD = Path("/.outside")
DEVICES = ("null", "zero", "full", "random", "urandom", "tty")

libc = ctypes.CDLL(None, use_errno=True)


def check(result: int, what: str) -> None:
    """Raise OSError, saying `what` failed, for a system call's answer below zero."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def mount(source: str, target: str | Path, kind: str = "", flags: int = 0, options: str = "") -> None:
    """mount(2). Raises OSError."""
    result = libc.mount(source.encode(), str(target).encode(), kind.encode(), flags, options.encode())
    check(result, f"mount of {source} on {target}")


def overlay(spec: dict[str, Any]) -> Path:
    """The container's root: overlays of the machine's file systems, changes going to the pod's folder."""
    folder = Path(spec["folder"])
    root = folder / "root"
    root.mkdir(parents=True)
    for number, lower in enumerate(["/", *spec["file_systems"]]):
        layer = folder / f"layer{number}"
        (layer / "upper").mkdir(parents=True)
        (layer / "work").mkdir()
        os.chdir(layer)  # relative paths: no comma or colon of the folder's own name gets into the options
        target = root if lower == "/" else root / lower.lstrip("/")
        mount("overlay", target, "overlay", 0, f"lowerdir={lower},upperdir=upper,workdir=work")
    return root


def enter(root: Path) -> None:
    """Make `root` this process's root; what was outside stays reachable at OLD until `leave`."""
    outside = root / OLD.relative_to("/")
    outside.mkdir()
    os.chdir(root)
    number = SYS_PIVOT_ROOT[os.uname().machine]
    check(libc.syscall(number, b".", str(outside.relative_to(root)).encode()), "pivot_root")
    os.chdir("/")


def leave() -> None:
    """Cut the way back to the machine's file systems."""
    check(libc.umount2(str(OLD).encode(), DETACH), f"umount of {OLD}")
    OLD.rmdir()


def system_folders() -> None:
    """/proc, /sys, /dev, /run and /dev/shm of the container's own."""
    mount("proc", "/proc", "proc", NOSUID | NODEV | NOEXEC)
    mount("sysfs", "/sys", "sysfs", NOSUID | NODEV | NOEXEC | RDONLY)
    mount("tmpfs", "/run", "tmpfs", NOSUID | NODEV, "mode=0755")
    mount("tmpfs", "/dev", "tmpfs", NOSUID, "mode=0755,size=1m")
    for name in DEVICES:
        Path("/dev", name).touch()
        mount(str(OLD / "dev" / name), f"/dev/{name}", flags=BIND)
    for name, target in {"fd": "", "stdin": "/0", "stdout": "/1", "stderr": "/2"}.items():
        Path("/dev", name).symlink_to(f"/proc/self/fd{target}")
    own = (("shm", "tmpfs", "mode=1777"), ("pts", "devpts", "newinstance,ptmxmode=0666"))
    for name, kind, options in own:
        Path("/dev", name).mkdir()
        mount(kind, f"/dev/{name}", kind, NOSUID, options)
    Path("/dev/ptmx").symlink_to("pts/ptmx")


def write(path: Path, content: str) -> None:
    """A plain file of the container's own, in place of whatever the machine has there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_text(content)
    path.chmod(0o755 if content.startswith("#!") else 0o644)


def bind(source: Path, target: Path, read_only: bool) -> None:
    """Show `source`, a file or folder outside, at `target`."""
    if source.is_dir():
        target.mkdir(parents=True, exist_ok=True)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            target.touch()
    mount(str(source), target, flags=BIND | REC)
    if read_only:
        mount("", target, flags=BIND | REMOUNT | RDONLY)


def build(spec: dict[str, Any]) -> None:
    """Everything up to the point where only the command is left to run."""
    if spec["network"] is not None:
        check(libc.setns(spec["network"], NEWNET), "setns")
        os.close(spec["network"])
    check(libc.unshare(NEWNS | NEWUTS | NEWIPC), "unshare")
    mount("", "/", flags=REC | PRIVATE)
    name = spec["hostname"].encode()
    check(libc.sethostname(name, len(name)), "sethostname")
    enter(overlay(spec))
    system_folders()
    for folder in spec["hidden"]:
        if Path(folder).is_dir():
            shutil.rmtree(folder)
    for path, content in spec["files"].items():
        write(Path(path), content)
    for item in spec["mounts"]:
        bind(OLD / item["source"].lstrip("/"), Path(item["target"]), item["read_only"])
    leave()


def execute(spec: dict[str, Any]) -> NoReturn:
    """Become the command."""
    folder = Path(spec["working_folder"])
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)
    # Python ignores these two, and a program would inherit that
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    argv, env = spec["argv"], spec["env"]
    program = shutil.which(argv[0], path=env.get("PATH", ""))
    if program is None:
        raise FileNotFoundError(f'exec: "{argv[0]}": executable file not found in $PATH')
    os.execve(program, argv, env)  # noqa: S606 - a container's command is run without a shell


def main() -> NoReturn:
    """Build the container and become its command; exit code 128 where that fails."""
    specification, errors = int(sys.argv[1]), int(sys.argv[2])
    os.set_inheritable(errors, False)
    try:
        check(libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL), "prctl")
        with os.fdopen(specification, "rb") as file:
            spec = json.load(file)
        build(spec)
        execute(spec)
    except (OSError, KeyError, ValueError, shutil.Error) as error:
        os.write(errors, str(error).encode())
        sys.exit(128)


if __name__ == "__main__":
    main()
