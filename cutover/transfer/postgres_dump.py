"""pg_dump and pg_restore: making a dump, seeing that it is whole, and loading it."""

from __future__ import annotations

from pathlib import Path

from cutover.context import Context
from cutover.errors import StepError
from cutover.postgres import PostgresServer
from cutover.transfer.programs import program, run, version

PACKAGE = "postgresql-client"
SUFFIX = ".dump"


def dump(context: Context, server: PostgresServer, database: str, folder: Path) -> str:
    """Dumps a database into a file of pg_dump's custom format; returns the tool. Raises StepError."""
    tool = program("pg_dump", package=PACKAGE)
    path = folder / f"{database}{SUFFIX}"
    run(
        context,
        # owners and rights are those of whoever restores it: RDS has other roles
        [tool, "--format=custom", "--no-owner", "--no-privileges", "--schema=public", f"--file={path}"],
        f"the dump of {server.name}",
        environment=server.environment(database),
        progress=lambda: f"{path.stat().st_size / 2**20 if path.exists() else 0:,.0f} MiB are written",
    )
    return version(tool)


def dump_file(folder: Path) -> Path:
    """The dump in a folder. Raises StepError."""
    files = sorted(folder.glob(f"*{SUFFIX}"))
    if len(files) != 1:
        raise StepError(f"expected one {SUFFIX} file in the dump, and found {len(files)}")
    return files[0]


def refuse_cut_short(context: Context, folder: Path) -> None:
    """Raises StepError for a dump that cannot be read to its end."""
    path = dump_file(folder)
    try:
        run(
            context,
            [program("pg_restore", package=PACKAGE), "--file=/dev/null", str(path)],
            f"reading {path.name} to its end",
        )
    except StepError as error:
        raise StepError(f"the dump {path.name} is cut short or damaged: {error}; dump again") from error


def load(context: Context, folder: Path, server: PostgresServer, database: str) -> None:
    """Loads a dump from a folder, all of it or nothing. Raises StepError."""
    run(
        context,
        [program("pg_restore", package=PACKAGE), "--no-owner", "--no-privileges", "--exit-on-error",
         "--clean", "--if-exists", "--single-transaction", f"--dbname={database}", str(dump_file(folder))],
        f"the load into {server.name}",
        environment=server.environment(database),
    )  # fmt: skip
