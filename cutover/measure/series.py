"""What was measured over time: a JSON line a sample beside the journal, for the report's charts."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Self

from cutover.database_move import Lag
from cutover.measure.traffic import Traffic
from cutover.ports import Side

SCHEMA = 1
MOST_BYTES = 64_000_000
"""A week of samples; then the file is put aside, in the place of the one before."""
_LINE_BYTES = 400
"""More than a sample takes."""


@dataclass(frozen=True)
class Flow:
    """The users' requests at one side."""

    rate: float
    """Requests a second."""
    failed: int
    """Answered with 5xx, within ten seconds."""
    p50_ms: float | None
    p99_ms: float | None


@dataclass(frozen=True)
class Sample:
    """One moment. What could not be measured is None."""

    at: float
    """Seconds since 1970."""
    source: Flow | None
    target: Flow | None
    lag_seconds: float | None
    lag_direction: str

    @classmethod
    def of(cls, at: float, traffic: Mapping[Side, Traffic], lag: Lag | None) -> Self:
        """From what was measured."""

        def flow(side: Side) -> Flow | None:
            found = traffic.get(side)
            if found is None:
                return None
            return Flow(round(found.rate, 2), found.failed, found.p50_ms, found.p99_ms)

        seconds = lag.seconds if lag else None
        return cls(
            at=round(at, 3),
            source=flow("source"),
            target=flow("target"),
            lag_seconds=None if seconds is None else round(seconds, 4),
            lag_direction=lag.direction if lag and seconds is not None else "",
        )

    @classmethod
    def read(cls, line: str | bytes) -> Self:
        """From a line. Raises ValueError where it is none."""
        try:
            found: dict[str, Any] = json.loads(line)
            if found.pop("v") != SCHEMA:
                raise ValueError("a sample of another version")
            flows = {side: found[side] and Flow(**found[side]) for side in ("source", "target")}
            return cls(**{**found, **flows})
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"not a sample: {error!r}") from error

    def compact(self) -> list[float | None]:
        """For the page: time, both sides' rate, failures and p99, and the lag in milliseconds."""
        flows = [
            value
            for flow in (self.source, self.target)
            for value in ((flow.rate, flow.failed, flow.p99_ms) if flow else (None, None, None))
        ]
        return [self.at, *flows, None if self.lag_seconds is None else round(self.lag_seconds * 1000, 1)]


class SeriesFile:
    """Where samples are kept. Of several pages that measure at once, one writes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None
        self._locked = False

    def write(self, sample: Sample) -> None:
        """Appends it, if nobody else does; a disk that is full costs a sample and nothing else."""
        try:
            if self._file is None:
                self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
                self._file = os.open(self._path, flags, 0o600)
            if not self._locked:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._locked = True
            if os.fstat(self._file).st_size > MOST_BYTES:
                self._path.replace(_older(self._path))
                self.close()
                return
            line = json.dumps({"v": SCHEMA, **asdict(sample)}, separators=(",", ":")) + "\n"
            os.write(self._file, line.encode())
        except OSError:
            return

    def recent(self, count: int) -> list[Sample]:
        """The last samples."""
        try:
            with self._path.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - count * _LINE_BYTES))
                return _samples(file.read().splitlines())[-count:]
        except OSError:
            return []

    def close(self) -> None:
        """Ends writing."""
        if self._file is not None:
            os.close(self._file)
            self._file, self._locked = None, False


def read_series(path: Path, begin: float, end: float) -> list[Sample]:
    """The samples from one moment to another; none where nobody measured."""
    lines: list[bytes] = []
    for file in (_older(path), path):
        try:
            lines += file.read_bytes().splitlines()
        except OSError:
            continue
    return [sample for sample in _samples(lines) if begin <= sample.at <= end]


def _older(path: Path) -> Path:
    return path.with_name(f"{path.name}.1")


def thinned(samples: list[Sample], most: int) -> list[Sample]:
    """At most so many of them, evenly."""
    return list(islice(samples, 0, None, max(1, -(-len(samples) // most))))


def _samples(lines: list[bytes]) -> list[Sample]:
    """Those that are whole: a line may be cut off at either end of what was read."""
    found = []
    for line in lines:
        try:
            found.append(Sample.read(line))
        except ValueError:
            continue
    return found
