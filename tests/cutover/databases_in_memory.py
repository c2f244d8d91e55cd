"""A pair of databases in memory, which remember what was done to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from cutover.database_move import Back, Lag, Replicating, Rights, Say, Switched
from cutover.errors import StepError
from cutover.ports import Connection, Side

if TYPE_CHECKING:
    from tests.cutover.world import World

RIGHTS = [{"rights": ["INSERT"], "on": "`boss`.*", "account": "boss@%", "option": False}]
_PARTS = ("park_ms", "pause_ms", "fence_ms", "drain_ms", "compare_ms", "promote_ms", "let_through_ms")


def _nothing() -> None:
    """Nothing happens: by its name, a world is kept in a file."""


@dataclass
class FakeMove:
    """Implements DatabaseMove."""

    world: World
    forward: str = "absent"
    reverse: str = "absent"
    serves: Side | None = "source"
    writes: int = 1200
    """What the target takes while it serves."""
    findings: list[str] = field(default_factory=list)
    fails: dict[str, StepError] = field(default_factory=dict)
    """What the next call of a method ends with, by its name."""
    during_switch: Callable[[], None] = _nothing
    left_on_source: list[Connection] = field(default_factory=list)
    parts: Mapping[str, float] = field(
        default_factory=lambda: {**dict.fromkeys(_PARTS, 1.5), "lag_ms_at_fence": 3.5}
    )
    verified: Mapping[str, Any] = field(
        default_factory=lambda: {
            "tables": 4,
            "rows": 1000,
            "rows_per_second": 500000,
            "rechecked_under_fence": 3,
            "mismatches": 0,
            "schema_differences": 0,
        }
    )

    def _begin(self, name: str) -> None:
        if error := self.fails.pop(name, None):
            raise error

    def inspect(self) -> Sequence[str]:
        self._begin("inspect")
        return self.findings

    def prepare_users(self) -> Rights:
        self._begin("prepare_users")
        # by the time that it is looked at again the fence may be up
        return RIGHTS if self.serves == "source" else []

    def replicating(self) -> Replicating:
        return Replicating(self.forward, f"it is {self.forward}")  # type: ignore[arg-type]

    def lag(self) -> Lag:
        self._begin("lag")
        direction: Literal["forward", "reverse"] = "reverse" if self.serves == "target" else "forward"
        state = self.reverse if direction == "reverse" else self.forward
        return Lag(direction, state, f"it is {state}", 0.25 if state == "running" else None)  # type: ignore[arg-type]

    def replicate(self, say: Say) -> Mapping[str, Any]:
        self._begin("replicate")
        self.world.note("database copied")
        self.forward = "running"
        return {"kind": "native", "start": "0-30-1", "lag_ms": 2.0}

    def retire(self) -> None:
        self.world.note("forward replication retired")
        self.forward = "absent"

    def prepare_reverse(self) -> Mapping[str, Any]:
        self._begin("prepare_reverse")
        return {"kind": "dms", "state": self.reverse}

    def verify(self, say: Say) -> Mapping[str, Any]:
        self._begin("verify")
        return {**self.verified, "waiting": 2}

    def serving(self) -> Side | None:
        return self.serves

    def switch(self, rights: Rights, say: Say) -> Switched:
        if not rights:
            raise StepError("no rights are known that could be given back")
        if self.forward != "running":
            raise StepError(f"the forward replication is {self.forward}")
        self._begin("switch")
        self.serves = None
        self.during_switch()
        self.world.note("database target")
        self.serves, self.forward = "target", "stopped"
        return Switched(self.parts, "0-30-9", "0-30-9,40-40-1", self.verified, (1000.0, 1000.5))

    def recover(self, rights: Rights) -> str:
        self.serves = self.serves or "source"
        return "given up"

    def follow_again(self) -> None:
        if self.serves == "source" and self.forward == "stopped":
            self.forward = "running"

    def start_reverse(self) -> Mapping[str, Any]:
        self._begin("start_reverse")
        self.reverse = "running"
        return {"kind": "dms", "from": "binlog.000001:4", "lag_ms": 900.0}

    def switch_back(self, rights: Rights, say: Say) -> Back:
        self._begin("switch_back")
        if self.reverse != "running":
            raise StepError(f"the way back is refused: {self.writes} transactions would be lost")
        self.world.note("database source")
        self.serves, self.reverse, self.forward = "source", "stopped", "running"
        return Back(self.parts, self.writes, self.writes, (2000.0, 2001.0))

    def connections(self, side: Side) -> Sequence[Connection]:
        if side == "source":
            return self.left_on_source
        pods = sum(self.world.target.replicas.get(item.key, 0) for item in self.world.environment.workloads)
        names = self.world.environment.database.names
        return [Connection(name, "192.0.2.9", name, True) for name in names for _ in range(pods)]

    def end_reverse(self) -> Mapping[str, Any]:
        self.world.note("reverse replication ended")
        self.reverse = "stopped"
        return {"state": self.reverse}
