"""Where a server's binlog stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from cutover.mysql.server import DatabaseError, Session


@dataclass(frozen=True)
class BinlogPosition:
    """A place in a server's binlog; places of the same server can be put in order."""

    file: str
    offset: int

    def __str__(self) -> str:
        return f"{self.file}:{self.offset}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """From `file:offset`. Raises ValueError."""
        file, _, offset = text.rpartition(":")
        if not file or not offset.isdigit():
            raise ValueError(f"expected a binlog position such as binlog.000012:3456, not {text!r}")
        return cls(file, int(offset))

    def reached(self, other: BinlogPosition) -> bool:
        """Whether this place is at or behind the other."""
        return (_number(self.file), self.offset) >= (_number(other.file), other.offset)


def _number(file: str) -> int:
    """The number of a binlog's file, which grows past six digits."""
    return int(file.rpartition(".")[2])


def binlog_position(session: Session) -> BinlogPosition:
    """The end of a server's binlog. Raises DatabaseError where it has none or does not show it."""
    statement = "SHOW MASTER STATUS"
    if session.flavour.family == "mysql" and session.flavour.version >= (8, 4):
        statement = "SHOW BINARY LOG STATUS"
    found = session.records(statement)
    if not found:
        raise DatabaseError(f"{session.server} writes no binlog: log_bin is off")
    return BinlogPosition(str(found[0]["File"]), int(found[0]["Position"]))
