"""The log of a run: a line that says how it was made, a line for each request, a last line."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked_dataclass

from lab.traffic.schedule import SESSION_USES, WRITES, Kind

SCHEMA = 2
Outcome = Literal["ok", "failed", "unknown"]


class LogError(ValueError):
    """A log that cannot be judged; the text names the file and the line."""


class Request(NamedTuple):
    """One request as a client saw it.

    `id`: of the record, or the user whose session it begins or uses.
    `at`: when it was due, in seconds after the start; `ms`: from then to its end. `outcome` is `unknown`
    for a write that failed after it was sent: it may have been carried out. `contradicted`: a read that
    answered otherwise than the acknowledged write (absent, or another amount).
    """

    at: float
    ms: float
    kind: Kind
    id: str
    amount: str
    client: int
    stale: bool
    address: str | None
    status: int | None
    outcome: Outcome
    contradicted: bool
    error: str | None
    repeats: int

    @property
    def is_write(self) -> bool:
        """Whether it is a write, direct or through the buffer."""
        return self.kind in WRITES

    @property
    def lost_session(self) -> bool:
        """Whether the service did not know a session any more that it had begun."""
        return self.kind in SESSION_USES and self.status == 401


@checked_dataclass(frozen=True, slots=True, config=ConfigDict(extra="forbid"))
class _Header:
    schema: int
    started: float
    settings: dict[str, object]


@dataclass(frozen=True)
class Log:
    """A whole log: `started` in seconds since the epoch, and the requests in the order of their ends."""

    started: float
    settings: dict[str, object]
    requests: list[Request]


_ENCODER = json.JSONEncoder(separators=(",", ":"))
_HEADER = TypeAdapter(_Header)
_REQUEST = TypeAdapter(Request)


def header(started: float, settings: Mapping[str, object]) -> str:
    """The first line."""
    return json.dumps({"schema": SCHEMA, "started": started, "settings": dict(settings)}) + "\n"


def line(request: Request) -> str:
    """The line of a request."""
    return _ENCODER.encode(request._asdict()) + "\n"


def footer(figures: Mapping[str, object]) -> str:
    """The last line: the generator ended by itself, and nothing is missing."""
    return json.dumps({"ended": dict(figures)}) + "\n"


def read(path: Path) -> Log:
    """Reads a log. Raises LogError for one that is cut off or holds a line that is not its own."""
    try:
        with path.open(encoding="utf-8") as lines:
            return parse(lines, str(path))
    except OSError as error:
        raise LogError(f"{path}: {error}") from error


def parse(lines: Iterable[str], where: str) -> Log:
    """A log from its lines. Raises LogError."""
    numbered = enumerate(lines, 1)
    try:
        start = _HEADER.validate_json(next(numbered, (1, ""))[1])
    except ValidationError as error:
        raise LogError(f"{where}, line 1: not the start of a log: {error.errors()[0]['msg']}") from error
    if start.schema != SCHEMA:
        raise LogError(f"{where}, line 1: expected the schema {SCHEMA}, found {start.schema}")
    requests: list[Request] = []
    ended = False
    for number, text in numbered:
        if ended:
            raise LogError(f"{where}, line {number}: there is more after the line that ends the log")
        if text.startswith('{"ended"'):
            ended = True
            continue
        try:
            requests.append(_REQUEST.validate_json(text))
        except ValidationError as error:
            raise LogError(f"{where}, line {number}: {error.errors()[0]['msg']}") from error
    if not ended:
        raise LogError(
            f"{where}: cut off after {len(requests)} requests; the generator was ended from outside"
        )
    return Log(start.started, start.settings, requests)
