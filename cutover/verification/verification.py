"""The verification of a migration: two databases hold the same, although one of them is being written to.

1. `begin` reads both schemas and starts to follow both binlogs.
2. `compare_tables` compares all rows, range by range. A row that differs is no verdict yet: it may have
   changed while it was looked at. It waits in `pending`, with all rows that change from `begin` on.
3. `settle` looks at the waiting rows again; those that are the same by now need not be looked at under the
   fence. A thread does so again and again between `follow` and `finish`.
4. `finish`, under the fence and with the target having applied everything: what still waits is compared for
   the last time. That is what changed within the last moments, whatever the size of the data.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from cutover.errors import StepError
from cutover.mysql import BinlogPosition, Flavour, Server, Session, binlog_position
from cutover.verification.catalog import Catalog, fresh_statistics, read_catalog, read_counters
from cutover.verification.changes import Changes, followable
from cutover.verification.checkpoint import Checkpoint, TableProgress, load, save
from cutover.verification.compare import Method, compare_heap, compare_whole
from cutover.verification.expressions import MISSED_AT_MOST, MISSED_AT_MOST_TWICE
from cutover.verification.keys import Key
from cutover.verification.lanes import STATEMENT_SECONDS, Lanes
from cutover.verification.pair import TablePair, table_pairs
from cutover.verification.pending import PendingKeys
from cutover.verification.progress import Progress
from cutover.verification.result import Options, Result
from cutover.verification.rows import READ_AT_ONCE, RowDifference, differences, differing, heap_difference
from cutover.verification.schema import SchemaDifference, compare_catalogs, compare_counters
from cutover.verification.table_run import RangeRun

SAVE_SECONDS = 5.0
SETTLE_SECONDS = 0.1
"""The pause between two looks at the rows that wait."""
CAUGHT_UP_SECONDS = 30.0


class Verification:
    """One verification of two servers; `say` is told its progress."""

    def __init__(
        self,
        source: Server,
        target: Server,
        options: Options,
        *,
        checkpoint: Path | None = None,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._source = source
        self._target = target
        self._options = options
        self._path = checkpoint
        self._say = say
        self._open = ExitStack()
        self._lanes = self._open.enter_context(Lanes(source, target, options.connections))
        self._pending = PendingKeys()
        self._pairs: dict[str, TablePair] = {}
        self._progress: dict[str, TableProgress] = {}
        self._schema: tuple[SchemaDifference, ...] = ()
        self._remarks: list[str] = []
        self._sessions: dict[str, Session] = {}
        self._changes: list[tuple[Server, Changes]] = []
        self._definition = ""
        self._method = Method("", options.twice)
        self._seconds = 0.0
        self._saved = 0.0
        self._stop = threading.Event()
        self._settling: threading.Thread | None = None
        self._settling_failed: Exception | None = None
        self._rechecked = 0
        self._final = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends all connections and threads; what was done stays in the checkpoint."""
        self._stop_settling()
        self._open.close()

    def begin(self) -> None:
        """Reads the schemas, follows the binlogs, and takes up an interrupted verification.

        Raises:
            StepError: a server does not answer, or the checkpoint is of something else.
        """
        positions = self._follow_from()
        self._definition = _digest(self._read_schemas())
        saved = load(self._path) if self._path else None
        if saved is not None:
            positions = self._take_up(saved)
        else:
            self._method = Method(secrets.token_hex(8), self._options.twice)
            self._progress = {place: TableProgress() for place in self._pairs}
        for server, position in zip((self._source, self._target), positions, strict=True):
            if position is not None:
                changes = Changes(
                    server, self._pairs, self._pending, position, on_target=server is self._target
                )
                changes.start()
                self._open.callback(changes.stop)
                self._changes.append((server, changes))

    def compare_tables(self) -> None:
        """Compares all rows that have not been compared yet. Raises StepError; what was done is kept."""
        total = sum(pair.source.rows for pair in self._pairs.values())
        progress = Progress(total, sum(table.rows for table in self._progress.values()), self._say)
        begun, before = time.monotonic(), self._seconds
        with (
            ThreadPoolExecutor(self._lanes.count, thread_name_prefix="source") as workers,
            self._source.connect(seconds=STATEMENT_SECONDS, raw=True) as boundaries,
        ):
            for place, pair in self._pairs.items():
                state = self._progress[place]
                if not state.done:
                    self._compare_table(pair, state, workers, boundaries, progress)
                    state.done = True
                self._seconds = before + time.monotonic() - begun
                self._check()
        self._save()

    def catch_up(self, seconds: float = CAUGHT_UP_SECONDS) -> None:
        """Collects what has changed on either server until now. Raises StepError where that takes longer."""
        self._check()
        sessions = self._sessions or self._open_sessions()
        for server, changes in self._changes:
            changes.wait_until(binlog_position(sessions[server.name]), seconds)

    def settle(self) -> int:
        """Looks again at the rows that wait; returns how many still do. Raises StepError."""
        self._check()
        self._look_again(whole=False)
        return self._pending.count()

    def follow(self) -> None:
        """From now on, and until `finish` or `close`, rows that wait are looked at again and again.

        What `finish` will need is opened ahead. Raises DatabaseError.
        """
        self._open_sessions()
        if self._settling is None:
            self._settling = threading.Thread(target=self._keep_settling, name="settle", daemon=True)
            self._settling.start()

    def finish(self, seconds: float = CAUGHT_UP_SECONDS) -> Result:
        """Compares what still waits, under the fence, once the target has applied everything.

        Args:
            seconds: how long changes may take to be collected, and then any one statement.

        Raises:
            StepError: changes could not be collected to their end within the seconds.
        """
        self._stop_settling()
        if unfinished := [place for place, state in self._progress.items() if not state.done]:
            raise StepError(f"not all rows were compared before: {', '.join(unfinished)}")
        self._lanes.allow(seconds)
        for session in self._open_sessions().values():
            session.allow(seconds)
        self.catch_up(seconds)
        self._rechecked = self._pending.count()
        self._look_again(whole=True)
        self._schema += self._compare_counters()
        self._final = True
        return self.result()

    def result(self) -> Result:
        """What is known now; before `finish` rows that wait count as differing only if they differ now."""
        found, count = self._differences()
        return Result(
            tables=len(self._pairs),
            rows=sum(state.rows for state in self._progress.values()),
            seconds=self._seconds,
            pending=0 if self._final else self._pending.count(),
            rechecked_under_fence=self._rechecked,
            mismatches=count,
            differences=tuple(found),
            schema_differences=self._schema,
            remarks=tuple(self._remarks),
            chance=MISSED_AT_MOST_TWICE if self._options.twice else MISSED_AT_MOST,
            final=self._final,
        )

    def _follow_from(self) -> tuple[BinlogPosition | None, BinlogPosition | None]:
        """Where both binlogs stand before anything is read."""
        with ThreadPoolExecutor(2) as both:
            here, there = both.map(followable, (self._source, self._target))
        for server, (place, reason) in ((self._source, here), (self._target, there)):
            if place is None:
                self._remarks.append(
                    f"{reason}. Rows that change on the {server.name} alone, after they were compared, are "
                    "not noticed"
                )
        return here[0], there[0]

    def _read_schemas(self) -> tuple[Catalog, Catalog]:
        with ThreadPoolExecutor(2) as both:
            here, there = both.map(self._read_schema, (self._source, self._target))
        flavours, catalogs = (here[0], there[0]), (here[1], there[1])
        left_out = self._options.left_out
        self._schema = tuple(
            difference
            for difference in compare_catalogs(*catalogs, flavours, accounts=self._options.accounts)
            if not any(f"{difference.name}.".startswith(f"{place}.") for place in left_out)
        )
        pairs = table_pairs(*catalogs, flavours, left_out)
        self._pairs = {pair.place: pair for pair in pairs}
        self._remarks += [remark for pair in pairs if (remark := pair.remark())]
        for server, catalog in zip((self._source, self._target), catalogs, strict=True):
            self._remarks += [f"{server.name}: {text}" for text in catalog.unread]
        return catalogs

    def _compare_counters(self) -> tuple[SchemaDifference, ...]:
        """Counters stand still only under the fence."""
        here, there = (
            read_counters(self._sessions[server.name], self._options.schemas)
            for server in (self._source, self._target)
        )
        return compare_counters(here, there)

    def _open_sessions(self) -> dict[str, Session]:
        """A session on each server, for what is asked under the fence."""
        for server in (self._source, self._target):
            if server.name not in self._sessions:
                session = server.connect()
                self._open.callback(session.close)
                fresh_statistics(session)
                self._sessions[server.name] = session
        return self._sessions

    def _read_schema(self, server: Server) -> tuple[Flavour, Catalog]:
        with server.connect() as session:
            return session.flavour, read_catalog(session, self._options.schemas)

    def _take_up(self, saved: Checkpoint) -> tuple[BinlogPosition | None, BinlogPosition | None]:
        wanted = (str(self._source), str(self._target))
        if saved.servers != wanted or saved.definition != self._definition:
            raise StepError(
                f"the checkpoint {self._path} is of {' and '.join(saved.servers)}, or of tables that have "
                "changed since: move it away to start anew"
            )
        self._method = Method(saved.salt, self._options.twice)
        self._progress = saved.tables
        self._seconds = saved.seconds
        for place, keys in saved.pending.items():
            self._pending.add(place, keys)
        for place in saved.pending_whole:
            self._pending.add_whole(place)
        done = sum(state.rows for state in saved.tables.values())
        self._say(f"going on with a verification that has compared {done:,} rows")
        here, there = (BinlogPosition.parse(text) if text else None for text in saved.positions)
        return here, there

    def _compare_table(
        self,
        pair: TablePair,
        state: TableProgress,
        workers: ThreadPoolExecutor,
        boundaries: Session,
        progress: Progress,
    ) -> None:
        if pair.key is None:
            with self._lanes.take() as lane:
                state.rows, rows = compare_heap(lane, pair, self._method)
            if rows:
                self._pending.add_whole(pair.place)
        elif not pair.by_ranges:
            with self._lanes.take() as lane:
                found = compare_whole(lane, pair, pair.key, self._method)
            state.rows = found.rows
            self._pending.add(pair.place, found.suspects)
        else:

            def advanced(rows: int) -> None:
                progress.add(pair.place, rows)
                if time.monotonic() - self._saved > SAVE_SECONDS:
                    self._check()
                    self._save()

            RangeRun(
                pair,
                pair.key,
                state,
                self._method,
                self._lanes,
                suspect=lambda keys: self._pending.add(pair.place, keys),
                advanced=advanced,
            ).run(boundaries, workers)
            return
        progress.add(pair.place, state.rows)

    def _look_again(self, *, whole: bool) -> None:
        """Compares the rows that wait, over all lanes, and takes out those that are the same."""
        with ThreadPoolExecutor(self._lanes.count) as workers:
            jobs = [
                workers.submit(self._look_at_keys, place, dict(some))
                for place, keys in self._pending.snapshot().items()
                for some in _slices(list(keys.items()), READ_AT_ONCE)
            ]
            if whole:
                jobs += [
                    workers.submit(self._look_at_table, place, number)
                    for place, number in self._pending.whole().items()
                ]
            for job in jobs:
                job.result()

    def _look_at_keys(self, place: str, keys: dict[Key, int]) -> None:
        pair = self._pairs[place]
        if pair.key is None:
            raise ValueError(f"{place} has no key, yet keys of it wait")
        with self._lanes.take() as lane:
            different = differing(lane, pair, pair.key, keys)
        self._pending.settle(place, keys, keys.keys() - different)
        if further := different - keys.keys():
            self._pending.add(place, further)  # a key that only a collation takes for the same

    def _look_at_table(self, place: str, number: int) -> None:
        pair = self._pairs[place]
        with self._lanes.take() as lane:
            if pair.key is None:
                same = not compare_heap(lane, pair, self._method)[1]
            else:
                found = compare_whole(lane, pair, pair.key, self._method)
                same = True
                self._pending.add(place, found.suspects)
        if same:
            self._pending.settle_whole(place, number)

    def _differences(self) -> tuple[list[RowDifference], int]:
        """Rows that differ as both servers are now: those to be shown, and how many there are."""
        found: list[RowDifference] = []
        count = 0
        with self._lanes.take() as lane:
            for place, keys in self._pending.snapshot().items():
                pair = self._pairs[place]
                if pair.key is not None:
                    for difference in differences(lane, pair, pair.key, keys.keys(), self._options.masking):
                        count += 1
                        if len(found) < self._options.listed_rows:
                            found.append(difference)
            for place in self._pending.whole():
                pair = self._pairs[place]
                if pair.key is None:
                    rows = compare_heap(lane, pair, self._method)[1]
                    count += sum(abs(row.on_source - row.on_target) for row in rows)
                    room = self._options.listed_rows - len(found)
                    found += [heap_difference(pair, row, self._options.masking) for row in rows[:room]]
        return found, count

    def _keep_settling(self) -> None:
        try:
            while not self._stop.wait(SETTLE_SECONDS):
                self._look_again(whole=False)
        except Exception as error:  # noqa: BLE001 - told to whoever asks next, by _check()
            self._settling_failed = error

    def _stop_settling(self) -> None:
        self._stop.set()
        if self._settling is not None:
            self._settling.join()
            self._settling = None
        self._stop.clear()

    def _check(self) -> None:
        for _, changes in self._changes:
            changes.check()
        if self._settling_failed is not None:
            raise StepError(
                f"rows that wait could not be compared again: {self._settling_failed}"
            ) from self._settling_failed

    def _save(self) -> None:
        self._saved = time.monotonic()
        if self._path is None:
            return
        # First the places, then the keys: what changed in between is told by the binlog once more.
        places = {id(server): str(changes.position) for server, changes in self._changes}
        save(
            self._path,
            Checkpoint(
                servers=(str(self._source), str(self._target)),
                definition=self._definition,
                salt=self._method.salt,
                tables=self._progress,
                positions=(places.get(id(self._source)), places.get(id(self._target))),
                pending={place: list(keys) for place, keys in self._pending.snapshot().items()},
                pending_whole=list(self._pending.whole()),
                seconds=self._seconds,
            ),
        )


def _digest(catalogs: tuple[Catalog, Catalog]) -> str:
    """Changes with anything that decides how tables are compared."""
    tables = [
        (place, table.columns, table.key)
        for catalog in catalogs
        for place, table in sorted(catalog.tables.items())
    ]
    return hashlib.sha256(repr(tables).encode()).hexdigest()


def _slices(items: list[tuple[Key, int]], size: int) -> list[list[tuple[Key, int]]]:
    return [items[start : start + size] for start in range(0, len(items), size)]
