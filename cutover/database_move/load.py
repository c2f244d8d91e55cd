"""The first copy: a consistent dump of the source, loaded into the target as it comes."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

from cutover.errors import StepError, StepTimeoutError
from cutover.mysql import Flavour, Server, option_file

_KEPT_BYTES = 65_536
_CHUNK = 1 << 20
# at the beginning of a line, where no row's text can stand
_GTID_START = re.compile(rb"^(?:-- )?SET GLOBAL gtid_slave_pos='([^']*)'", re.MULTILINE)
_SAID_CHARACTERS = 1500
_SAY_SECONDS = 5.0


def copy(
    source: Server,
    target: Server,
    schemas: Sequence[str],
    flavours: tuple[Flavour, Flavour],
    *,
    rows: bool,
    seconds: float,
    say: Callable[[str], None],
) -> str:
    """Copies schemas with their routines and triggers; events are left for the moment of the switch.

    Args:
        rows: whether rows are copied too; without them triggers are left for later too, as a load that
            follows must not set them off.
        seconds: how long all of it may take.

    Returns:
        Where the source stood, as a MariaDB replica is told it; empty for MySQL, whose dump says it itself.

    Raises:
        StepError: one of the programs failed, or it took too long.
    """
    with option_file(source) as here, option_file(target) as there, tempfile.TemporaryFile() as complaints:
        dumping = subprocess.Popen(
            [*_dump(flavours[0], here, rows=rows), "--databases", *schemas],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=complaints,
        )
        loading = subprocess.Popen(
            [_program(flavours[1], "mariadb", "mysql"), f"--defaults-file={there}", "--init-command",
             "SET SESSION sql_mode = ''"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=complaints,
        )  # fmt: skip
        late = threading.Event()

        def end() -> None:
            late.set()
            for process in (dumping, loading):
                process.kill()

        timer = threading.Timer(seconds, end)
        timer.start()
        try:
            ends = _pump(dumping, loading, say)
            codes = (dumping.wait(), loading.wait())
        finally:
            timer.cancel()
            for process in (dumping, loading):
                process.kill()
                process.wait()
        if late.is_set():
            raise StepTimeoutError(f"copying {source} to {target} took longer than {seconds:g} s")
        if any(codes):
            complaints.seek(0)
            said = complaints.read().decode("utf-8", "replace").strip()[-_SAID_CHARACTERS:]
            raise StepError(f"copying {source} to {target} failed (exit codes {codes}): {said}")
    if not rows or flavours[0].family == "mysql":
        return ""
    if not (found := _GTID_START.search(ends)):
        raise StepError(f"the dump of {source} does not say where the source stood: replication cannot begin")
    return found.group(1).decode()


def _pump(
    dumping: subprocess.Popen[bytes], loading: subprocess.Popen[bytes], say: Callable[[str], None]
) -> bytes:
    """Moves the dump on; returns its beginning and its end: one of them says where the source stood."""
    output, taking = _stream(dumping.stdout), _stream(loading.stdin)
    head = tail = b""
    total, said = 0, time.monotonic()
    try:
        while piece := output.read(_CHUNK):
            if len(head) < _KEPT_BYTES:
                head += piece[: _KEPT_BYTES - len(head)]
            tail = (tail + piece)[-_KEPT_BYTES:]
            taking.write(piece)
            total += len(piece)
            if time.monotonic() - said > _SAY_SECONDS:
                said = time.monotonic()
                say(f"{total / 2**20:,.0f} MiB are copied")
    except OSError:
        dumping.kill()  # whoever loads has ended, and says why
    finally:
        output.close()
        try:
            taking.close()
        except OSError:
            dumping.kill()
    return head + b"\n" + tail


def _stream(found: IO[bytes] | None) -> IO[bytes]:
    if found is None:
        raise StepError("a program was started without its pipe")
    return found


def _dump(flavour: Flavour, options: Path, *, rows: bool) -> list[str]:
    argv = [
        _program(flavour, "mariadb-dump", "mysqldump"),
        f"--defaults-file={options}",
        *("--single-transaction", "--quick", "--hex-blob", "--routines", "--default-character-set=utf8mb4"),
        *("--triggers",) * rows,
        *("--no-data", "--skip-triggers") * (not rows),
    ]
    if not rows:
        return [*argv, *("--set-gtid-purged=OFF",) * (flavour.family == "mysql")]
    if flavour.family == "mariadb":
        return [*argv, "--master-data=2", "--gtid"]
    return [*argv, "--set-gtid-purged=ON"]


def _program(flavour: Flavour, mariadb: str, mysql: str) -> str:
    """The client program of the server's family. Raises StepError where it is not installed."""
    names = (mariadb, mysql) if flavour.family == "mariadb" else (mysql,)
    for name in names:
        if found := shutil.which(name):
            return found
    raise StepError(f"{names[0]} is not installed here: install the client programs of {flavour}")
