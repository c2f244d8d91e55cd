"""A snapshot of Redis as a file: whether it is whole, and a Redis of our own that serves it.

The append-only trap: a Redis that finds `appendonly yes` and no append-only file starts empty, whatever
snapshot lies beside it, and writes an empty one over it. The Redis of our own is started without, always.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cutover.context import Context
from cutover.errors import StepError
from cutover.transfer.programs import program, run
from cutover.transfer.redis_server import RedisServer

FILE = "dump.rdb"
SOCKET = "socket"
DATABASES = 64
_MAGIC = b"REDIS"
_LOAD_SECONDS = 1800.0
_COUNTS = re.compile(r"\[info\] (\d+) (keys read|expires|already expired)")


@dataclass(frozen=True)
class Counted:
    """What a snapshot holds."""

    keys: int
    expired: int
    """Of those, so many are past their end already, and no server shows them."""


def check(context: Context, path: Path) -> Counted:
    """Reads a snapshot to its end, with its checksum. Raises StepError where it is cut short."""
    with path.open("rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            raise StepError(f"{path.name} is no snapshot of Redis: it does not begin with REDIS")
    try:
        said = run(
            context,
            [program("redis-check-rdb", package="redis-tools"), str(path)],
            f"reading {path.name} to its end",
        )
    except StepError as error:
        raise StepError(
            f"the snapshot {path.name} is cut short or damaged; take it again: {_reason(str(error))}"
        ) from error
    found = {name: int(number) for number, name in _COUNTS.findall(said)}
    return Counted(found.get("keys read", 0), found.get("already expired", 0))


@contextmanager
def staged(context: Context, path: Path) -> Iterator[RedisServer]:
    """A Redis of our own on this machine, on a socket that only we can open, with the snapshot's keys.

    Raises:
        StepError: it does not start, or holds other than the snapshot does.
    """
    counted = check(context, path)
    options = [
        *("--port", "0", "--unixsocket", SOCKET, "--unixsocketperm", "700", "--dbfilename", path.name),
        *("--databases", str(DATABASES), "--save", "", "--appendonly", "no"),
        # a title would be written over the environment, by which a killed runner's children are found
        *("--set-proc-title", "no"),
    ]
    with (
        tempfile.TemporaryFile() as log,
        subprocess.Popen(
            [program("redis-server", package="redis-server"), *options],
            # everything is in the file's folder: what a killed runner leaves is cleared with it
            cwd=path.parent,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        ) as process,
    ):
        # the name of a socket may have a hundred characters at most, and the folder's may have more
        server = RedisServer("the snapshot", "", 0, socket=f"/proc/{process.pid}/cwd/{SOCKET}")
        try:
            _await_loaded(context, server, process)
            _refuse_other(server, counted)
            yield server
        finally:
            process.kill()
            process.wait()
            Path(path.parent, SOCKET).unlink(missing_ok=True)


def _await_loaded(context: Context, server: RedisServer, process: subprocess.Popen[bytes]) -> None:
    begun = time.monotonic()

    def loaded() -> tuple[bool, str]:
        if process.poll() is not None:
            raise StepError(
                f"a Redis of our own could not load the snapshot (it ended with {process.returncode}): is it "
                "of a later version than the redis-server that is installed here?"
            )
        try:
            with server.open() as store:
                store.call("PING")
        except StepError as error:
            return False, "it loads" if "LOADING" in str(error) or "Loading" in str(error) else "it starts"
        return True, f"loaded in {time.monotonic() - begun:.1f} s"

    context.wait_for("a Redis of our own to load the snapshot", _LOAD_SECONDS, loaded)


def _refuse_other(server: RedisServer, counted: Counted) -> None:
    """Some keys may have expired since it was read; none may be missing that has no end."""
    there = sum(server.used().values())
    with server.open() as store:
        expired = int(store.call("INFO", "stats")["expired_keys"])
    if there + expired < counted.keys - counted.expired:
        raise StepError(
            f"a Redis of our own shows {there} keys of the {counted.keys - counted.expired} in the snapshot"
        )


def _reason(text: str) -> str:
    lines = [line for line in text.splitlines() if "offset" in line or "ERROR" in line]
    return " ".join(lines[-2:])[:300] or text[:300]
