"""The only way out of a simulated process: each call is an event, before which others act, and may fail."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from random import Random
from typing import Any, Protocol

from cutover.errors import StepError
from tests.faults.simulation.kernel import Kernel, KilledError, Life

CALL_SECONDS = 10.0
"""How long a call that gets no answer takes."""


@dataclass(frozen=True)
class Call:
    """A call of the outside world."""

    dependency: str
    """`source cluster`, `stacks`, `target database`, `journal`, …"""
    name: str
    writes: bool
    """Whether it changes something."""


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong at the first call that fits, from a number on."""

    kind: str
    at: int
    """The number of the call, counted over a whole run."""
    seconds: float = 0.0

    def __str__(self) -> str:
        return f"{self.kind}@{self.at}" + (f"({self.seconds:g} s)" if self.seconds else "")


REFUSALS = {
    "5xx": "503 Service Unavailable",
    "throttled": "429 Too Many Requests: rate exceeded",
    "forbidden": "403 Forbidden",
    "partial": "the answer ends in the middle",
}
"""Answers instead of an effect, by the fault's kind."""
TIMEOUTS = ("timed out, not executed", "timed out, executed")
CRASHES = ("killed before", "killed after", "killed, lands later", "power lost before", "power lost after")
ENDS_AT_THE_DISK = ("killed before", "power lost before")
"""Crashes at a write: before it nothing is written, before an fsync it is written and not durable."""
DISK = ("disk full", "disk broken", "fsync fails")
PARTITIONS = ("partition", "partition, refused", "partition, one-way")
"""Silence; a refusal at once; what is sent arrives, and the answer does not."""
WORLD = ("lag", "replication broken", *PARTITIONS, "clock forward", "clock back", "clock frozen")
STALE = "stale"
_BEHIND = ("dns", "web", "dms")
"""What may answer of a moment ago, beside clusters: all else is asked at the one place where it is known."""
_LOOKS = ("downloadrequests", "serverstatusrequests", "pods")
"""What is created in order to look at something, and deleted again."""
STOPPED = "stopped"
KINDS = (*REFUSALS, *TIMEOUTS, *CRASHES, *DISK, *WORLD, STALE)


class World(Protocol):
    """What the outside is made of."""

    def begin_fault(self, fault: Fault, call: Call) -> None:
        """Something of the world itself goes wrong from now on."""

    def before(self, call: Call, life: Life | None) -> None:
        """Others act, and the invariants are looked at; raises nothing."""

    def mend(self) -> None:
        """What went wrong of the world itself is over."""

    def lose_power(self) -> None:
        """The machine of the runner ends, and with it what was not durable."""


@dataclass
class Outside:
    """Counts the calls, and lets faults happen."""

    kernel: Kernel
    chance: Random
    faults: list[Fault] = field(default_factory=list)
    """Still to come, by number."""
    calls: int = 0
    happened: list[tuple[Fault, Call, int]] = field(default_factory=list)
    world: World | None = None
    when_stopped: Callable[[], None] = lambda: None
    """Called when a process is stopped."""
    waited: float = 0.0
    """Seconds that were spent on calls that got no answer."""
    apart: dict[str, tuple[str, float]] = field(default_factory=dict)
    """Dependencies that cannot be reached: the kind of partition, and the time at which it is over."""
    _answers: dict[tuple[str, str, Hashable], tuple[Any, Any]] = field(default_factory=dict)
    """The last answer of each reading call and the one before that differed."""

    def calm(self) -> None:
        """No fault happens any more."""
        self.faults.clear()
        self.apart.clear()
        if self.world is not None:
            self.world.mend()

    def call(
        self,
        call: Call,
        do: Callable[[], Any],
        *,
        error: Callable[[str], Exception] = StepError,
        lost: Callable[[str], Exception] | None = None,
        arguments: Hashable = "",
    ) -> Any:
        """Does it, unless something goes wrong.

        `error`: what a refusal is raised as. `lost`: the same of a call whose outcome is not known.
        """
        life = self.kernel.life
        self._alive(life)
        self.calls += 1
        if self.world is not None:
            self.world.before(call, life)
        fault = self._due(call, arguments)
        apart, until = self.apart.get(call.dependency, ("", 0.0))
        if until > self.kernel.now and (fault is None or fault.kind not in CRASHES):
            if apart == "partition, refused":
                raise error(f"{call.dependency}: {call.name}: connection refused")
            if apart == "partition, one-way":
                do()
            self._pass(CALL_SECONDS)
            raise (lost or error)(f"{call.dependency}: {call.name} timed out: it cannot be reached")
        if fault is not None:
            do = self._failing(fault, call, do, (error, lost or error), arguments)
        found = do()
        self._alive(life)
        if not call.writes:
            self._remember(call, arguments, found)
        return found

    def disk(self, operation: str) -> str | None:
        """What goes wrong at a write to the disk."""
        life = self.kernel.life
        self._alive(life)
        call = Call("disk", operation, writes=True)
        self.calls += 1
        fault = self._due(call)
        if fault is None:
            return None
        match fault.kind:
            case "disk full" | "disk broken":
                return fault.kind.removeprefix("disk ")
            case "fsync fails":
                return "broken"
            case _:
                self._die(fault)
        return None

    def _due(self, call: Call, arguments: Hashable = "") -> Fault | None:
        for index, fault in enumerate(self.faults):
            if fault.at > self.calls:
                return None
            if _fits(fault, call) and (fault.kind != STALE or self._stale(call, arguments) is not None):
                del self.faults[index]
                self.happened.append((fault, call, self.calls))
                if fault.kind in WORLD and self.world is not None:
                    self.world.begin_fault(fault, call)
                    return self._due(call, arguments)
                return fault
        return None

    def _failing(
        self,
        fault: Fault,
        call: Call,
        do: Callable[[], Any],
        errors: tuple[Callable[[str], Exception], Callable[[str], Exception]],
        arguments: Hashable,
    ) -> Callable[[], Any]:
        """What happens in place of `do`. `errors`: raised where it is refused, and where it is lost."""
        where = f"{call.dependency}: {call.name}"
        refused, lost = errors

        def failing() -> Any:
            if fault.kind in REFUSALS:
                raise refused(f"{where}: {REFUSALS[fault.kind]}")
            if fault.kind in TIMEOUTS:
                if fault.kind == "timed out, executed":
                    do()
                self._pass(CALL_SECONDS)
                raise lost(f"{where} timed out after {CALL_SECONDS:g} s")
            if fault.kind == STOPPED:
                if self.kernel.life is not None:
                    self.when_stopped()
                    self.kernel.stop(self.kernel.life, fault.seconds)
                return do()  # it was allowed before, and lands now
            if fault.kind == STALE:
                do()
                return self._stale(call, arguments)
            if fault.kind == "killed, lands later":
                self.kernel.at(self.kernel.now + fault.seconds, do)
            elif fault.kind.endswith("after"):
                do()
            self._die(fault)
            return None

        return failing

    def _die(self, fault: Fault) -> None:
        life = self.kernel.life
        if life is None:
            return
        if fault.kind.startswith("power") and self.world is not None:
            self.world.lose_power()
        self.kernel.kill(life)
        raise KilledError

    def _pass(self, seconds: float) -> None:
        self.kernel.sleep(seconds)
        self.waited += seconds

    def _remember(self, call: Call, arguments: Hashable, found: Any) -> None:
        key = (call.dependency, call.name, arguments)
        before = self._answers.get(key)
        if before is None:
            self._answers[key] = (found, None)
        elif before[0] != found:
            self._answers[key] = (found, before[0])

    def _stale(self, call: Call, arguments: Hashable) -> Any:
        """What the same call was answered before it changed; None where it never did."""
        return self._answers.get((call.dependency, call.name, arguments), (None, None))[1]

    @staticmethod
    def _alive(life: Life | None) -> None:
        if life is not None and not life.alive:
            raise KilledError


def _fits(fault: Fault, call: Call) -> bool:
    if call.dependency == "disk":
        if fault.kind in DISK:
            return (fault.kind == "fsync fails") == (call.name == "fsync")
        return fault.kind in ENDS_AT_THE_DISK
    if fault.kind in DISK:
        return False
    if fault.kind == STALE:
        return not call.writes and (call.dependency in _BEHIND or "cluster" in call.dependency)
    if fault.kind in ("timed out, executed", "killed, lands later"):
        # a file of the runner's own machine is written before it dies, or not at all
        return call.writes and not (fault.kind == "killed, lands later" and call.name == "write_flips")
    return True


class Wire:
    """A port of the world, each of whose methods is a call from outside."""

    def __init__(self, outside: Outside, dependency: str, part: Any, writes: frozenset[str]) -> None:
        self._outside, self._dependency, self._part, self._writes = outside, dependency, part, writes

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._part, name)
        if not callable(found):
            return found

        def through(*args: Any, **named: Any) -> Any:
            looks = name in ("create", "delete") and any(kind in args[:2] for kind in _LOOKS)
            call = Call(self._dependency, name, name in self._writes and not looks)
            given = "" if call.writes else _key(args, named)
            return self._outside.call(call, lambda: found(*args, **named), arguments=given)

        return through


def _key(args: tuple[Any, ...], named: dict[str, Any]) -> Hashable:
    """By what a call is the same as an earlier one."""
    key = (args, tuple(named.items()))
    try:
        hash(key)
    except TypeError:
        return repr(key)
    return key
