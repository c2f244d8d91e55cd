"""What the plan's steps ask of the pair of databases; tests have a pair in memory behind it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from cutover.ports import Connection, Side

Rights = Sequence[Mapping[str, Any]]
"""What the services' accounts may do while their database serves, as the fence keeps it; no passwords."""
Say = Callable[[str], None]


@dataclass(frozen=True)
class Replicating:
    """What the forward replication says of itself."""

    state: Literal["absent", "stopped", "running", "failed"]
    detail: str


@dataclass(frozen=True)
class Lag:
    """How far a replica is behind."""

    direction: Literal["forward", "reverse"]
    state: Literal["absent", "stopped", "running", "failed"]
    detail: str
    seconds: float | None = None
    """None: nothing runs, or it does not say."""


@dataclass(frozen=True)
class Switched:
    """A switch that came to its end."""

    parts_ms: Mapping[str, float]
    position: str
    """The last one of the database that was left."""
    began_at: str
    """Where the database that serves now stood when it began to."""
    verification: Mapping[str, Any] = field(default_factory=dict)
    parked: tuple[float, float] = (0.0, 0.0)
    """From when to when requests were held, in seconds since the epoch."""


@dataclass(frozen=True)
class Back:
    """A switch back."""

    parts_ms: Mapping[str, float]
    writes_on_target: int
    """Transactions that the target had committed as the database that serves."""
    kept: int
    """Those of them that the source holds now."""
    parked: tuple[float, float] = (0.0, 0.0)
    """See Switched."""


class DatabaseMove(Protocol):
    """Both databases and what stands between them. Every method raises StepError."""

    def inspect(self) -> Sequence[str]:
        """What somebody should know of the pair; raises StepError for what stands in the way."""

    def prepare_users(self) -> Rights:
        """Makes the replication's users, and the services' accounts on the target, which cannot write yet."""

    def replicating(self) -> Replicating:
        """How the forward replication is."""

    def lag(self) -> Lag:
        """How far the database that does not serve is behind; changes nothing, for whoever looks on."""

    def replicate(self, say: Say) -> Mapping[str, Any]:
        """Copies schema and data, and follows the source from there on. May be repeated: it begins anew."""

    def retire(self) -> None:
        """Ends the forward replication; what was copied stays until it is copied anew."""

    def prepare_reverse(self) -> Mapping[str, Any]:
        """Makes the way back ready: made, tested, its binlog kept; it does not run yet."""

    def verify(self, say: Say) -> Mapping[str, Any]:
        """Compares schema and data while the source is written to; what is done is kept for the switch."""

    def serving(self) -> Side | None:
        """Whose database takes the services' writes, as the record of the switch says; None: in between."""

    def switch(self, rights: Rights, say: Say) -> Switched:
        """Hands over to the target's database."""

    def recover(self, rights: Rights) -> str:
        """Ends a switch, in either direction, whose runner was killed; says how."""

    def start_reverse(self) -> Mapping[str, Any]:
        """Lets the source follow the target from where the target began to serve; may be repeated."""

    def switch_back(self, rights: Rights, say: Say) -> Back:
        """Hands back to the source's database with every write; refuses where it would lose some."""

    def follow_again(self) -> None:
        """Lets the target follow the source, where a switch back is done that may not have come to that."""

    def connections(self, side: Side) -> Sequence[Connection]:
        """Whom a side's database serves, the replication and ourselves left out."""

    def end_reverse(self) -> Mapping[str, Any]:
        """Ends the way back for good."""
