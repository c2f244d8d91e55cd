"""The switch of an environment's database, there and back, with its record and what it leaves for later."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from cutover.clock import Clock
from cutover.database_move import verifying
from cutover.database_move.gates import open_gates
from cutover.database_move.port import Back, Rights, Say, Switched
from cutover.database_move.positions import transactions_between
from cutover.database_move.servers import Servers
from cutover.database_move.triggers import triggers
from cutover.database_move.workers import BufferCommitters
from cutover.errors import StepError
from cutover.fence import Exempt, GrantsFence
from cutover.keys.store import RedisPod
from cutover.mysql import Session, binlog_position, quoted
from cutover.ports import Cluster, Side
from cutover.replication.dialects import dialect_of
from cutover.replication.dms import MARKER_TABLE, DmsReplication
from cutover.replication.native import NativeReplication, position_of
from cutover.switching import (
    DatabaseEnd,
    DmsDrain,
    Limits,
    NativeDrain,
    Switch,
    SwitchRecord,
    Way,
    recover,
)
from cutover.switching.record import UNTOUCHED
from cutover.verification import Verification
from stacks.settings import Environment, RedisListBuffer

_LAG_SECONDS = 30.0
_RECORDS = ("switch.jsonl", "switch-back.jsonl")
_SAID_PARTS = ("park", "pause", "fence", "drain", "compare", "promote", "let_through")


def serving(folder: Path) -> Side | None:
    """Whose database serves, as the records in a folder say; None: a switch is in the middle."""
    forth, back = (SwitchRecord.last(folder / name) for name in _RECORDS)
    if forth is None or forth["stage"] in UNTOUCHED:
        return "source"
    if forth["stage"] != "done":
        return None
    if back is None or back["stage"] in UNTOUCHED:
        return "target"
    return "source" if back["stage"] == "done" else None


class Replications(Protocol):
    """Where the two directions come from."""

    @property
    def checkpoint(self) -> Path:
        """The verification's."""

    def forward(self, start: str | None = None) -> NativeReplication | DmsReplication:
        """From the source to the target."""

    def reverse(self) -> DmsReplication:
        """From the target to the source."""


class Switching:
    """Switches in both directions. Methods raise StepError."""

    def __init__(
        self,
        environment: Environment,
        servers: Servers,
        replications: Replications,
        folder: Path,
        *,
        target: Cluster,
        clock: Clock,
    ) -> None:
        self.ensure: Callable[[], None] = lambda: None
        """Asked before each stage of a switch; raises LeaseError where the lease was lost."""
        self._environment = environment
        self._servers = servers
        self._replications = replications
        self._target = target
        self._clock = clock
        self._folder = folder
        self._forth, self._back = (folder / name for name in _RECORDS)
        self._place = folder / "switch-place.json"

    def serving(self) -> Side | None:
        """See DatabaseMove."""
        return serving(self._folder)

    def forth(self, rights: Rights, say: Say) -> Switched:
        """See DatabaseMove.switch."""
        self._forget_a_round_trip()
        lag = self._replications.forward().measure_lag(_LAG_SECONDS)
        verified: dict[str, Any] = {}
        with (
            verifying.open_verification(
                self._servers.source,
                self._servers.target,
                self._environment.database,
                self._replications.checkpoint,
                say,
            ) as verification,
            self._way("source", rights) as way,
        ):

            def compare(seconds: float) -> None:
                verified.update(self._compare(verification, seconds))
                # from here on the target writes by itself: the way back begins where it stands now
                self._note_place(way.new)

            with Switch(way, self._limits, SwitchRecord(self._forth, self.ensure), compare=compare) as switch:
                switch.arm()
                verification.follow()
                say("armed: everything is open, and nobody has noticed anything")
                began = time.time()
                parts = switch.run()
        took = verifying.figures({name: getattr(parts, name) for name in _SAID_PARTS})
        say(f"the target's database serves, after {parts.total:.0f} ms: {took}")
        place = self._read_place()
        return Switched(
            {**took, "lag_ms_at_fence": round(lag * 1000, 1)},
            parts.position,
            str(place["gtid"]),
            verified,
            (began, began + parts.total / 1000),
        )

    def start_reverse(self) -> Mapping[str, Any]:
        """See DatabaseMove."""
        reverse = self._replications.reverse()
        state = reverse.state()
        if state.state != "running":
            self._replications.forward().stop()
            reverse.start(str(self._read_place()["binlog"]))
        lag = reverse.measure_lag(_LAG_SECONDS)
        return {"kind": reverse.kind, "from": self._read_place()["binlog"], "lag_ms": round(lag * 1000, 1)}

    def back(self, rights: Rights, say: Say) -> Back:
        """See DatabaseMove.switch_back."""
        reverse = self._replications.reverse()
        state = reverse.state()
        if not state.healthy:
            raise StepError(
                f"the way back is refused: the source does not follow the target ({state.state}: "
                f"{state.detail}), and {self._written()} transactions that the target has "
                "committed would be lost. Bring the reverse replication back (`cutover run` starts it, where "
                "that is still to be done), or stay"
            )
        writes = 0
        with self._way("target", rights) as way:

            def look(_seconds: float) -> None:
                # behind both fences: a forward replication begins where the source stands now
                nonlocal writes
                writes = self._writes(way.old.session)
                found = position_of(way.new.session, dialect_of(way.new.session))
                self._note(self._place, {**self._read_place(), "source": found})

            with Switch(way, self._limits, SwitchRecord(self._back, self.ensure), compare=look) as switch:
                switch.arm()
                began = time.time()
                parts = switch.run()
        took = verifying.figures({name: getattr(parts, name) for name in _SAID_PARTS})
        say(f"the source's database serves again, after {parts.total:.0f} ms: {took}")
        self._follow_again()
        # every one of them stands before the marker, which has arrived, and no table was left behind
        return Back(took, writes, writes, (began, began + parts.total / 1000))

    def recover(self, rights: Rights) -> str:
        """See DatabaseMove."""
        last = SwitchRecord.last(self._back)
        going_back = last is not None and last["stage"] not in ("done", "given up")
        path: Path = self._back if going_back else self._forth
        record = SwitchRecord.last(path)
        if record is None or record["stage"] in ("done", "given up"):
            return str(record["stage"]) if record else "nothing"
        with self._way("target" if going_back else "source", rights) as way:
            ended = recover(path, way, self.ensure)
        if going_back and ended == "done":
            self._follow_again()
        return ended

    def follow_again(self) -> None:
        """See DatabaseMove."""
        last = SwitchRecord.last(self._back)
        if self.serving() == "source" and last is not None and last["stage"] == "done":
            self._follow_again()

    def _follow_again(self) -> None:
        """After a way back: the target follows the source again, from where the source began to serve."""
        self._replications.reverse().stop()
        forward = self._replications.forward(str(self._read_place()["source"]))
        if isinstance(forward, NativeReplication):
            forward.set_up()
            forward.start()

    def _compare(self, verification: Verification, seconds: float) -> dict[str, Any]:
        result = verification.finish(seconds)
        settings = self._environment.replication
        later = ("trigger",) if settings is not None and settings.forward == "dms" else ()
        verifying.refuse_differences(result, later)
        return verifying.evidence(result)

    def _written(self) -> int:
        with self._servers.target.connect() as session:
            return self._writes(session)

    def _writes(self, target: Session) -> int:
        """Transactions that the target has committed since it began to serve, our own markers left out."""
        place = self._read_place()
        all_of_them = transactions_between(str(place["gtid"]), position_of(target, dialect_of(target)))
        return all_of_them - (self._markers(target) - int(place["markers"]))

    def _markers(self, session: Session) -> int:
        table = quoted(self._environment.database.name, MARKER_TABLE)
        return int(session.value(f"SELECT COUNT(*) FROM {table}"))  # noqa: S608 - a quoted name

    @property
    def _limits(self) -> Limits:
        found = self._environment.cutover.deadlines
        return Limits(
            park=found.park_ms / 1000,
            fence=found.fence_ms / 1000,
            drain=found.drain_ms / 1000,
            compare=found.compare_ms / 1000,
            total=found.total_ms / 1000,
        )

    @contextmanager
    def _way(self, old: Side, rights: Rights) -> Iterator[Way]:
        new: Side = "target" if old == "source" else "source"
        committers = self._committers()
        with open_gates(self._target, self._environment) as gates:
            way = Way(gates, self._end(old, rights), self._end(new, rights), self._drain(old), committers)
            try:
                committers.prepare()
                yield way
            finally:
                way.close()
                committers.close()

    def _end(self, side: Side, rights: Rights) -> DatabaseEnd:
        database, server = self._environment.database, self._servers.server(side)
        fence = GrantsFence(
            server,
            database.names,
            Exempt((self._servers.replication_user(side).user,)),
            accounts=database.accounts,
            remembered=[dict(right) for right in rights],
        )
        with server.connect() as session:
            position = dialect_of(session).position()
        return DatabaseEnd(side, server, fence, position, self._on_promote(side))

    def _on_promote(self, side: Side) -> list[str]:
        """Triggers, where DMS has applied the rows: it would have set them off for each a second time."""
        settings = self._environment.replication
        if side == "source" or settings is None or settings.forward != "dms":
            return []
        with self._servers.source.connect() as source:
            return triggers(source, self._environment.database.names)

    def _drain(self, old: Side) -> NativeDrain | DmsDrain:
        source, target = self._servers.source, self._servers.target
        if old == "target":
            return DmsDrain(self._replications.reverse(), target, source)
        forward = self._replications.forward()
        if isinstance(forward, DmsReplication):
            return DmsDrain(forward, source, target)
        return NativeDrain(target, stops=True)

    def _committers(self) -> BufferCommitters:
        return BufferCommitters(
            [
                (buffer, RedisPod(self._target, str(buffer.host), buffer.port, self._clock))
                for buffer in self._environment.buffers
                if isinstance(buffer, RedisListBuffer)
            ]
        )

    def _note_place(self, end: DatabaseEnd) -> None:
        session = end.session
        gtid = position_of(session, dialect_of(session))
        self._note(
            self._place,
            {"gtid": gtid, "binlog": str(binlog_position(session)), "markers": self._markers(session)},
        )

    def _read_place(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads(self._place.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise StepError(
                f"where the target began to serve is not known: {self._place} cannot be read: {error}"
            ) from error
        return found

    @staticmethod
    def _note(path: Path, found: Mapping[str, Any]) -> None:
        """Durable when it returns: whoever comes after a crash needs it."""
        new = path.with_suffix(".new")
        try:
            with new.open("w", encoding="utf-8") as file:
                json.dump(found, file)
                file.flush()
                os.fsync(file.fileno())
            new.replace(path)
        except OSError as error:
            raise StepError(f"{path} could not be written: {error}") from error

    def _forget_a_round_trip(self) -> None:
        """A switch that was taken back is put aside: the next one has a record of its own."""
        if self.serving() == "source":
            stamp = time.strftime("%Y%m%dT%H%M%S")
            for path in (self._forth, self._back):
                if path.exists():
                    path.rename(path.with_name(f"{path.stem}-{stamp}{path.suffix}"))
