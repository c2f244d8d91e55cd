"""pgloader: what it is told, and what it says of its work; it ends with 0 whatever went wrong."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from cutover.context import Context
from cutover.errors import StepError
from cutover.mysql import Server
from cutover.postgres import PostgresServer
from cutover.transfer.programs import program, run, version

SHOWN = 10
_SUMMARY = "summary.csv"
_LOG = "pgloader.log"
_TROUBLE = re.compile(r"^\S+ (ERROR|FATAL|CRITICAL) (.*)$")
_LINE = re.compile(r'^"((?:[^"\\]|\\.)*)";(\d+);(\d+);(\d+);')
_NEEDED = ("fetch meta data", "Create tables", "Reset Sequences")
"""What a run that came to its end has in its summary."""
_OLD_PASSWORDS = "UNSUPPORTED-AUTHENTICATION"
CASTS = (
    "type tinyint when (= precision 1) to boolean drop typemod using tinyint-to-boolean",
    "type tinyint to smallint drop typemod",
    "type smallint to smallint drop typemod",
    # what the application writes has no zone, and zero dates have no place in PostgreSQL
    "type datetime to timestamp drop default using zero-dates-to-null",
    "type timestamp to timestamp drop default using zero-dates-to-null",
    "type date to date drop default using zero-dates-to-null",
    "type year to integer drop typemod",
    # the default NULL of MariaDB's information_schema would become the bytes of that word
    "type binary to bytea drop typemod drop default using byte-vector-to-bytea",
    "type varbinary to bytea drop typemod drop default using byte-vector-to-bytea",
    # a fixed width would be filled up with blanks
    "type char to varchar keep typemod using remove-null-characters",
)
_UTC = "0x2B30303A3030"
"""'+00:00' as a number: pgloader passes no quotes on."""


@dataclass(frozen=True)
class Loaded:
    """One line of the summary."""

    name: str
    read: int
    written: int
    errors: int

    @property
    def rejected(self) -> int:
        """Rows, or statements, that are not there."""
        return max(self.read - self.written, self.errors if self.written < self.read else 0)


@dataclass(frozen=True)
class Outcome:
    """What a run of pgloader did."""

    tables: tuple[Loaded, ...]
    problems: tuple[str, ...]
    """All that went wrong, in words; no values of rows."""

    @property
    def rows(self) -> int:
        """Rows that were written."""
        return sum(table.written for table in self.tables)


def command_file(
    source: Server,
    source_database: str,
    target: PostgresServer,
    target_database: str,
    left_out: Sequence[str],
) -> str:
    """What pgloader is told; passwords go by its environment. Raises StepError."""
    here = f"{quote(source.user, safe='')}@{source.host}:{source.port}/{_plain(source_database)}"
    there = f"{quote(target.user, safe='')}@{target.host}:{target.port}/{_plain(target_database)}"
    excluded = ", ".join(f"'{_plain(name)}'" for name in left_out)
    lines = [
        "LOAD DATABASE",
        f"  FROM mysql://{here}{'?useSSL=true' if source.ca else ''}",
        f"  INTO postgresql://{there}?sslmode={'require' if target.ca else 'prefer'}",
        "  WITH on error resume next, include drop, create tables, create indexes, reset sequences,",
        "       foreign keys, preserve index names, downcase identifiers, workers = 2, concurrency = 1,",
        "       prefetch rows = 5000",
        "  SET PostgreSQL PARAMETERS timezone to 'UTC', maintenance_work_mem to '128MB'",
        f"  SET MySQL PARAMETERS time_zone to '{_UTC}', net_read_timeout to '600',",
        "       net_write_timeout to '600'",
        "  CAST " + ",\n       ".join(CASTS),
        *((f"  EXCLUDING TABLE NAMES MATCHING {excluded}",) if excluded else ()),
        f"  ALTER SCHEMA '{_plain(source_database)}' RENAME TO 'public';",
    ]
    return "\n".join(lines) + "\n"


def convert(
    context: Context,
    source: tuple[Server, str],
    target: tuple[PostgresServer, str],
    left_out: Sequence[str],
    folder: Path,
) -> tuple[Outcome, str]:
    """Runs it in a folder of ours; returns what it did, and its version. Raises StepError."""
    tool = program("pgloader", package="pgloader")
    told = folder / "convert.load"
    told.write_text(command_file(*source, *target, left_out), encoding="utf-8")
    authorities = _authorities(folder, source[0].ca, target[0].ca)
    said = run(
        context,
        [tool, f"--root-dir={folder}/", f"--logfile={folder}/{_LOG}", f"--summary={_SUMMARY}", str(told)],
        f"the conversion into {target[0].name}",
        environment={
            "MYSQL_PWD": source[0].password,
            "PGPASSWORD": target[0].password,
            **authorities,
        },
        progress=lambda: _progress(folder / _LOG),
    )
    log = folder / _LOG
    text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    summary = folder / _SUMMARY
    lines = summary.read_text(encoding="utf-8", errors="replace") if summary.exists() else ""
    return outcome(lines, f"{text}\n{said}", folder), version(tool)


def _authorities(folder: Path, *files: str | None) -> dict[str, str]:
    """One file with the authorities of both servers: OpenSSL reads one."""
    given = [Path(file).read_text(encoding="ascii") for file in files if file]
    if not given:
        return {}
    both = folder / "authorities.pem"
    both.write_text("\n".join(given), encoding="ascii")
    return {"SSL_CERT_FILE": str(both)}


def outcome(summary: str, log: str, folder: Path | None = None) -> Outcome:
    """What pgloader's summary, log and files of rejected rows say."""
    lines = [
        Loaded(found[1].replace('\\"', '"'), *(int(found[number]) for number in (2, 3, 4)))
        for found in map(_LINE.match, summary.splitlines())
        if found
    ]
    tables = tuple(
        Loaded(line.name.partition(".")[2].strip('"'), line.read, line.written, line.errors)
        for line in lines
        if _is_table(line.name)
    )
    problems = [
        f"{table.name}: {table.read - table.written} of {table.read} rows were rejected"
        + _reasons(folder, table.name)
        for table in tables
        if table.rejected
    ]
    steps = {line.name: line for line in lines if not _is_table(line.name)}
    problems += [
        f"{line.name}: {line.errors} of {line.read} failed" for line in steps.values() if line.errors
    ]
    missing = [name for name in _NEEDED if name not in steps]
    if missing:
        problems.append(f"it did not come to its end: its summary has no {', '.join(missing)}")
    problems += _trouble(log)
    return Outcome(tables, tuple(dict.fromkeys(problems)))


def refuse(found: Outcome, source: str) -> None:
    """Raises StepError where a row was rejected, or anything else went wrong."""
    if not found.problems:
        return
    more = f"; and {len(found.problems) - SHOWN} more" if len(found.problems) > SHOWN else ""
    raise StepError(
        f"pgloader did not convert everything of {source}: {'; '.join(found.problems[:SHOWN])}{more}. Mend "
        "those rows in the database that is converted (a date that does not exist, a time beyond a day, a "
        "zero date where none may be empty), or leave the table out by name; then `cutover run` converts anew"
    )


def _is_table(name: str) -> bool:
    return name.startswith("public.")


def _reasons(folder: Path | None, table: str) -> str:
    """Why rows were rejected, from the log that stands beside them: the error's first line, never a value."""
    if folder is None:
        return ""
    found: dict[str, None] = {}
    for path in sorted(folder.glob(f"*/{table}.log")):
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("Database error"):
                found[without_values(line.removeprefix("Database error "))] = None
    return f" ({'; '.join(list(found)[:3])})" if found else ""


def _trouble(log: str) -> list[str]:
    found = []
    for line in log.splitlines():
        if matched := _TROUBLE.match(line):
            text = without_values(matched[2])
            if _OLD_PASSWORDS in text:
                text = (
                    "it cannot sign in to the MySQL, which keeps that account's password by "
                    "caching_sha2_password: ALTER USER … IDENTIFIED WITH mysql_native_password"
                )
            found.append(f"{matched[1]}: {text[:300]}")
    return found


def without_values(text: str) -> str:
    """An error's text without the value that it is about, which may be a secret."""
    return re.sub(r'(: )"(?:[^"\\]|\\.)*"$', r"\1…", text.strip())


def _progress(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
    return without_values(lines[-1])[:120] if lines else "it begins"


def _plain(name: str) -> str:
    """A name that pgloader's own language can hold. Raises StepError."""
    if not re.fullmatch(r"[A-Za-z0-9_$-]+", name):
        raise StepError(f"pgloader cannot be told the name {name!r}: rename it, or leave it out")
    return name
