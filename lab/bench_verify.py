"""`python -m lab bench-verify`: our verification beside reladiff and pt-table-checksum, on the same data.

Writes `<OUT>/bench/verify.json`. Variables: `OUT`, `ROWS` (sizes in millions, such as `1,4,10`).
reladiff is installed into a virtual environment of its own, as it pins older versions of what we use;
pt-table-checksum is Debian's percona-toolkit.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cutover.replication import NativeReplication, ReplicationUser
from cutover.verification import Options, Verification
from lab.kubernetes.certificates import Authority
from lab.replication.mariadb import LOOPBACK, PASSWORD, SCHEMA, MariaDb
from lab.setup import find_program
from lab.world import LabError

MILLIONS = "1,4,10"
DIFFERING = 100
CHANGES_A_SECOND = 300
CHANGING_SECONDS = 3.0
FENCED_TIMES = 5
TOOL_SECONDS = 1800.0
BUFFER_POOL = "2G"
TABLE = f"""
CREATE TABLE {SCHEMA}.records (
    seq BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    client_id CHAR(36) CHARACTER SET ascii NOT NULL,
    amount DECIMAL(12, 2) NOT NULL,
    created_at DATETIME(3) NOT NULL,
    note VARCHAR(100) NULL,
    KEY client_id (client_id)
) ENGINE = InnoDB
"""
FILL = """
INSERT INTO records (seq, client_id, amount, created_at, note)
SELECT seq, INSERT(INSERT(INSERT(INSERT(MD5(seq), 9, 0, '-'), 14, 0, '-'), 19, 0, '-'), 24, 0, '-'),
       MOD(seq * 7919, 10000000) / 100, '2026-01-01' + INTERVAL seq * 37000 MICROSECOND,
       IF(seq % 10 = 0, NULL, CONCAT('note ', seq))
FROM seq_{first}_to_{last}
"""
FILLED_AT_ONCE = 500_000


@dataclass(frozen=True)
class Pair:
    """The two servers; the target follows the source, as pt-table-checksum needs it."""

    source: MariaDb
    target: MariaDb

    def forward(self) -> NativeReplication:
        """The replication between them."""
        return NativeReplication(
            self.source.server(),
            self.target.server(),
            ReplicationUser("replica", PASSWORD),
            origin_ca=str(self.source.ca),
            start="",
        )


def main() -> int:
    """Runs it; exit code 1 where a tool of ours found something else than there is."""
    sizes = [int(float(part) * 1_000_000) for part in (os.environ.get("ROWS") or MILLIONS).split(",")]
    output = Path(os.environ.get("OUT") or "out") / "bench" / "verify.json"
    reladiff = _reladiff()
    cases: list[dict[str, Any]] = []
    fence: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="landfall-bench-") as folder, _servers(Path(folder)) as pair:
        filled = 0
        for rows in sizes:
            say(f"filling {rows:,} rows")
            _fill(pair, filled, rows)
            filled = rows
            for differing in (0, DIFFERING):
                _differ(pair, rows, differing)
                cases += [
                    _timed("landfall", rows, differing, lambda: _ours(pair)),
                    _timed("reladiff", rows, differing, lambda: _by_reladiff(reladiff, pair)),
                    _timed("pt-table-checksum", rows, differing, lambda: _by_percona(pair)),
                ]
            _differ(pair, rows, 0)
            fence[str(rows)] = _under_the_fence(pair, rows)
            say(f"{rows:,} rows: {fence[str(rows)]:.1f} ms under the fence")
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps({"cases": cases, "fence_ms": fence}, indent=2) + "\n", encoding="utf-8")
    say(f"written: {output}")
    ours = [case for case in cases if case["tool"] == "landfall"]
    return 0 if all(case["found"] == case["differing"] for case in ours) else 1


@contextmanager
def _servers(folder: Path) -> Iterator[Pair]:
    options = (
        f"--innodb-buffer-pool-size={BUFFER_POOL}",
        "--innodb-flush-log-at-trx-commit=2",
        "--sync-binlog=0",
        "--innodb-log-file-size=512M",
        "--innodb-io-capacity=20000",
        "--max-allowed-packet=64M",
    )
    authority = Authority("bench")
    pair = Pair(
        MariaDb("source", 1, folder / "source", authority, options),
        MariaDb("target", 2, folder / "target", authority, options),
    )
    started = []
    try:
        for database in (pair.source, pair.target):
            database.start()
            started.append(database)
            database.reset(SCHEMA)
            with database.session(None) as session:
                session.execute("SET SESSION sql_log_bin = 0")
                session.execute(TABLE)
        pair.forward().set_up()
        pair.forward().start()
        yield pair
    finally:
        for database in started:
            database.stop()


def _fill(pair: Pair, already: int, rows: int) -> None:
    """Fills both servers by themselves, so that no binlog grows."""
    for first in range(already + 1, rows + 1, FILLED_AT_ONCE):
        last = min(rows, first + FILLED_AT_ONCE - 1)
        threads = [
            threading.Thread(target=_unlogged, args=(database, [FILL.format(first=first, last=last)]))
            for database in (pair.source, pair.target)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for database in (pair.source, pair.target):
        _unlogged(database, [f"ANALYZE TABLE {SCHEMA}.records"])
        _settle(database)


def _settle(database: MariaDb) -> None:
    """Waits until what was changed is on the disk, so that no tool pays for it.

    With MariaDB's own `innodb_io_capacity` of 200 pages a second that takes minutes: `_servers` allows more.
    """
    deadline = time.monotonic() + TOOL_SECONDS
    with database.session() as session:
        session.execute("SET GLOBAL innodb_max_dirty_pages_pct = 0")
        while int(session.rows("SHOW GLOBAL STATUS LIKE 'Innodb_buffer_pool_pages_dirty'")[0][1]) > 0:
            if time.monotonic() > deadline:
                raise LabError(f"{database.name} does not come to rest")
            time.sleep(0.2)
        session.execute("SET GLOBAL innodb_max_dirty_pages_pct = DEFAULT")


def _unlogged(database: MariaDb, statements: list[str]) -> None:
    with database.server().connect(SCHEMA, seconds=TOOL_SECONDS) as session:
        session.execute("SET SESSION sql_log_bin = 0")
        for statement in statements:
            session.execute(statement)


def _differ(pair: Pair, rows: int, count: int) -> None:
    """Makes so many rows of the target differ, spread over the table; 0: all are the same again."""
    step = rows // DIFFERING
    amount = "MOD(seq * 7919, 10000000) / 100"
    chosen = f"seq % {step} = {step // 2} AND seq <= {step * DIFFERING}"
    value = f"{amount} + 0.01" if count else amount
    _unlogged(pair.target, [f"UPDATE {SCHEMA}.records SET amount = {value} WHERE {chosen}"])  # noqa: S608
    _settle(pair.target)


def _timed(tool: str, rows: int, differing: int, run: Any) -> dict[str, Any]:
    begun = time.monotonic()
    found = run()
    seconds = time.monotonic() - begun
    speed = f"{seconds:.2f} s, {rows / seconds:,.0f} rows/s"
    say(f"{tool}: {rows:,} rows, {differing} differing, {found} found, {speed}")
    return {
        "tool": tool,
        "rows": rows,
        "differing": differing,
        "found": found,
        "seconds": round(seconds, 3),
        "rows_per_second": round(rows / seconds),
    }


def _verification(pair: Pair) -> Verification:
    return Verification(pair.source.server(), pair.target.server(), Options((SCHEMA,), connections=2))


def _ours(pair: Pair) -> int:
    """From connecting to the list of differing rows with both values."""
    with _verification(pair) as run:
        run.begin()
        run.compare_tables()
        return run.finish().mismatches


def _by_reladiff(program: Path, pair: Pair) -> int:
    def address(database: MariaDb) -> str:
        return f"mysql://owner:{PASSWORD}@{LOOPBACK}:{database.port}/{SCHEMA}"

    text = _run(
        [
            str(program),
            address(pair.source),
            "records",
            address(pair.target),
            "records",
            *("-k", "seq", "-c", "%", "-j", "4", "--stats"),
        ]
    )
    found = re.search(r"(\d+) rows updated", text)
    if found is None:
        raise LabError(f"reladiff did not say what it found: {text[-500:]}")
    return int(found.group(1))


def _by_percona(pair: Pair) -> int:
    """It says in how many chunks of rows there are differences, and not in which rows."""
    program = find_program("pt-table-checksum")
    if program is None:
        raise LabError("pt-table-checksum is not installed: apt-get install percona-toolkit")
    with pair.source.session(None) as session:
        session.execute("CREATE DATABASE IF NOT EXISTS percona")
        session.execute(
            "CREATE TABLE IF NOT EXISTS percona.dsns (id INT AUTO_INCREMENT PRIMARY KEY, parent_id INT, "
            "dsn VARCHAR(255) NOT NULL)"
        )
        session.execute(
            "REPLACE INTO percona.dsns VALUES (1, NULL, %s)",
            (f"h={LOOPBACK},P={pair.target.port},u=owner,p={PASSWORD}",),
        )
    pair.forward().wait_applied(pair.forward().position(), 60.0)
    at = f"h={LOOPBACK},P={pair.source.port},u=owner,p={PASSWORD}"
    text = _run(
        [
            str(program),
            at,
            *("--databases", SCHEMA, "--tables", "records", "--no-check-binlog-format"),
            f"--recursion-method=dsn={at},D=percona,t=dsns",
        ],
        allowed=(0, 16),
    )
    line = next((line for line in text.splitlines() if line.endswith(f"{SCHEMA}.records")), "")
    if not line:
        raise LabError(f"pt-table-checksum did not say what it found: {text[-500:]}")
    return int(line.split()[2])


def _under_the_fence(pair: Pair, rows: int) -> float:
    """What is left to do under the fence, at the same rate of changes whatever the size: a median."""
    took = []
    for _ in range(FENCED_TIMES):
        with _verification(pair) as run:
            run.begin()
            run.compare_tables()
            run.follow()
            _change(pair.source, rows)
            pair.forward().wait_applied(pair.forward().position(), 60.0)
            begun = time.monotonic()
            result = run.finish()
            took.append((time.monotonic() - begun) * 1000)
        if not result.same:
            raise LabError(f"a false alarm: {result.differences[:3]} {result.schema_differences[:3]}")
    return round(sorted(took)[len(took) // 2], 2)


def _change(database: MariaDb, rows: int) -> None:
    """Changes rows at a steady rate, for some seconds."""
    deadline = time.monotonic() + CHANGING_SECONDS
    number = 1
    with database.session() as session:
        while time.monotonic() < deadline:
            number = number * 48271 % 2147483647
            session.execute("UPDATE records SET note = 'changed' WHERE seq = %s", (number % rows + 1,))
            time.sleep(1 / CHANGES_A_SECOND)


def _reladiff() -> Path:
    """reladiff, installed once beside the lab's virtual environment."""
    given = shutil.which("reladiff")
    if given:
        return Path(given)
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "landfall" / "reladiff"
    program = home / "bin" / "reladiff"
    if not program.exists():
        say("installing reladiff")
        _run([sys.executable, "-m", "venv", str(home)])
        _run([str(home / "bin" / "pip"), "install", "-q", "reladiff[mysql]"])
    return program


def _run(argv: list[str], allowed: tuple[int, ...] = (0,)) -> str:
    result = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=TOOL_SECONDS)
    if result.returncode not in allowed:
        raise LabError(f"{argv[0]} ended with {result.returncode}: {(result.stdout + result.stderr)[-1000:]}")
    return result.stdout + result.stderr


def say(text: str) -> None:
    """A line for whoever waits."""
    sys.stderr.write(f"bench-verify: {text}\n")


if __name__ == "__main__":
    sys.exit(main())
