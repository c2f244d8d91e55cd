"""mysqldump and mydumper: making a dump, seeing that it is whole, and loading it."""

from __future__ import annotations

import gzip
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from cutover.context import Context
from cutover.errors import StepError
from cutover.mysql import Server, option_file, quoted
from cutover.transfer.programs import program, run, version

PACKAGE = "mariadb-client (or MySQL's own client)"
METADATA = "metadata"
"""What mydumper writes last."""
_CHUNK = 1 << 20
_END = re.compile(rb"^-- Dump completed", re.MULTILINE)
_FINISHED = re.compile(r"^Finished dump at", re.MULTILINE)
_TAIL = 4096
_DEFINER = re.compile(rb"\s*DEFINER\s*=\s*(`(?:[^`]|``)*`|'[^']*'|\w+)@(`(?:[^`]|``)*`|'[^']*'|[\w.%]+)")
_SANDBOX = b"/*M!999999"
_STATEMENTS = (b"/*!50", b"CREATE DEFINER", b"CREATE ALGORITHM")


def has_mydumper() -> bool:
    """Whether a dump can be made and loaded in parallel here."""
    return all(shutil.which(name) for name in ("mydumper", "myloader"))


def dump(context: Context, server: Server, database: str, folder: Path, threads: int) -> str:
    """Dumps a database into a folder; returns the tool with its version. Raises StepError."""
    if threads > 1 and has_mydumper():
        return _mydumper(context, server, database, folder, threads)
    return _mysqldump(context, server, database, folder / f"{database}.sql.gz")


def load(context: Context, folder: Path, server: Server, database: str, threads: int) -> None:
    """Loads a dump from a folder into an empty database. Raises StepError."""
    if (folder / METADATA).exists():
        _myloader(context, folder, server, database, threads)
        return
    files = sorted(path for path in folder.iterdir() if path.name.endswith((".sql", ".sql.gz")))
    if len(files) != 1:
        raise StepError(f"expected one .sql or .sql.gz file in the dump, and found {len(files)}")
    _client(context, files[0], server, database)


def refuse_cut_short(folder: Path) -> None:
    """Raises StepError for a dump without its end."""
    metadata = folder / METADATA
    if metadata.exists():
        if not _FINISHED.search(metadata.read_text(encoding="utf-8", errors="replace")):
            raise StepError("mydumper's dump is cut short: its metadata does not say when it finished")
        return
    files = sorted(path for path in folder.iterdir() if path.name.endswith((".sql", ".sql.gz")))
    if not files:
        raise StepError(
            "there is neither a .sql file nor mydumper's metadata: this is no whole dump of MySQL"
        )
    for path in files:
        refuse_file_cut_short(path)


def refuse_file_cut_short(path: Path) -> None:
    """Raises StepError for a file of mysqldump without its last line."""
    tail = b""
    try:
        with _opened(path) as file:
            while piece := file.read(_CHUNK):
                tail = (tail + piece)[-_TAIL:]
    except (EOFError, gzip.BadGzipFile, OSError) as error:
        raise StepError(
            f"the dump {path.name} is cut short or damaged: {type(error).__name__}: {error}; dump again"
        ) from error
    if not _END.search(tail):
        raise StepError(
            f"the dump {path.name} is cut short: its last line is not `-- Dump completed`; dump again "
            "(mysqldump --single-transaction --routines --triggers --events, without --skip-comments)"
        )


def without_definers(lines: Iterator[bytes]) -> Iterator[bytes]:
    """A dump that an administrator without SUPER may load, and any client can read.

    Triggers, routines, events and views then belong to whoever loads them: RDS lets nobody be another.
    """
    for line in lines:
        if line.startswith(_SANDBOX):
            continue  # a command of MariaDB's client, at which MySQL's stops
        yield _DEFINER.sub(b"", line, count=1) if line.startswith(_STATEMENTS) else line


def _mysqldump(context: Context, server: Server, database: str, path: Path) -> str:
    tool = program("mariadb-dump", "mysqldump", package=PACKAGE)
    name = version(tool)
    flags = ["--single-transaction", "--quick", "--hex-blob", "--routines", "--triggers", "--events"]
    flags += ["--default-character-set=utf8mb4", "--no-tablespaces"]
    if "MariaDB" not in name:
        flags += ["--set-gtid-purged=OFF", "--column-statistics=0"]
    written = 0

    def take(output: IO[bytes]) -> None:
        nonlocal written
        with gzip.open(path, "wb", compresslevel=1) as file:
            while piece := output.read(_CHUNK):
                file.write(piece)
                written += len(piece)

    with option_file(server) as options:
        run(
            context,
            [tool, f"--defaults-file={options}", *flags, database],
            f"the dump of {server.name}",
            take=take,
            progress=lambda: f"{written / 2**20:,.0f} MiB are written",
        )
    return name


def _mydumper(context: Context, server: Server, database: str, folder: Path, threads: int) -> str:
    tool = program("mydumper", package="mydumper")
    flags = ["--routines", "--triggers", "--events", "--trx-consistency-only", "--compress"]
    with option_file(server, "client", "mydumper") as options:
        run(
            context,
            [tool, f"--defaults-file={options}", f"--database={database}", f"--outputdir={folder}",
             f"--threads={threads}", *flags, *_tls(server)],
            f"the dump of {server.name}",
            progress=lambda: f"{_size(folder) / 2**20:,.0f} MiB are written",
        )  # fmt: skip
    return version(tool)


def _myloader(context: Context, folder: Path, server: Server, database: str, threads: int) -> None:
    tool = program("myloader", package="mydumper")
    for path in folder.iterdir():
        if "-schema" in path.name:
            _rewrite(path)
    with option_file(server, "client", "myloader") as options:
        said = run(
            context,
            [tool, f"--defaults-file={options}", f"--database={database}", f"--directory={folder}",
             f"--threads={threads}", "--overwrite-tables", "--enable-binlog", *_tls(server)],
            f"the load into {server.name}",
        )  # fmt: skip
    if "CRITICAL" in said:
        raise StepError(f"the load into {server.name} failed: {said[-1500:]}")


def _client(context: Context, path: Path, server: Server, database: str) -> None:
    tool = program("mariadb", "mysql", package=PACKAGE)
    size, read = path.stat().st_size, 0

    def feed(taking: IO[bytes]) -> None:
        nonlocal read
        with path.open("rb") as raw, _unpacked(raw, path) as file:
            for line in without_definers(iter(file)):
                taking.write(line)
                read = raw.tell()

    with option_file(server) as options:
        run(
            context,
            [tool, f"--defaults-file={options}", "--default-character-set=utf8mb4", database],
            f"the load into {server.name}",
            feed=feed,
            progress=lambda: f"{read / max(1, size):.0%} of {size / 2**20:,.0f} MiB",
        )


def recreate(server: Server, database: str) -> None:
    """Makes a database empty, in the character set that it has. Raises StepError."""
    with server.connect() as session:
        found = session.row(
            "SELECT DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA "
            "WHERE SCHEMA_NAME = %s",
            (database,),
        )
        session.execute(f"DROP DATABASE IF EXISTS {quoted(database)}")
        charset = f" CHARACTER SET {found[0]} COLLATE {found[1]}" if found else ""
        session.execute(f"CREATE DATABASE {quoted(database)}{charset}")


def _rewrite(path: Path) -> None:
    """Takes the definers out of a small file of mydumper's."""
    with _opened(path) as file:
        lines = list(without_definers(iter(file)))
    with gzip.open(path, "wb") if path.suffix == ".gz" else path.open("wb") as rewritten:
        rewritten.writelines(lines)


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    with path.open("rb") as raw, _unpacked(raw, path) as file:
        yield file


@contextmanager
def _unpacked(raw: IO[bytes], path: Path) -> Iterator[IO[bytes]]:
    if path.suffix != ".gz":
        yield raw
        return
    with gzip.GzipFile(fileobj=raw) as file:
        yield cast("IO[bytes]", file)


def _tls(server: Server) -> list[str]:
    return ["--ssl", f"--ca={server.ca}"] if server.ca else []


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
