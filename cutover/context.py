"""What a step may use: the settings, the outside world, remembered facts, and time within its limits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cutover.activity import Activity
from cutover.clock import Clock
from cutover.database_move import DatabaseMove
from cutover.errors import InterruptedRunError, StepError, StepTimeoutError
from cutover.ports import (
    Api,
    ApiAnswer,
    ApiRequest,
    Approval,
    Cluster,
    Database,
    Dns,
    KeyStore,
    Side,
    Stacks,
    Web,
)
from stacks.settings import AnyEnvironment, Environment, PlaceholderError, RhoamEnvironment, known

POLL_SECONDS = 0.5
"""The pause between two looks at something that is waited for."""


@dataclass
class Facts:
    """What steps remembered for later ones, read from the journal and written through to it."""

    values: dict[str, Any]
    write: Callable[[str, Any], None]

    def remember(self, name: str, value: Any) -> None:
        """Keeps a fact, durably."""
        self.write(name, value)
        self.values[name] = value

    def recall(self, name: str) -> Any:
        """A fact. Raises StepError where it was never remembered."""
        if name not in self.values:
            raise StepError(
                f"the journal holds no fact {name!r}; the step that remembers it has not been done"
            )
        return self.values[name]


def _forget(_name: str, _value: Any) -> None:
    """Where facts go outside a run, such as in a preflight: nowhere."""


@dataclass
class Context:
    """Given to every action and condition."""

    settings: AnyEnvironment
    project: Path
    clusters: Mapping[str, Cluster]
    """`source`, `target`, and those that the settings name."""
    stacks: Stacks
    dns: Dns
    web: Web
    database: Database
    keys: Callable[[str], KeyStore]
    """The Redis that moves along, on a side; not connected yet."""
    clock: Clock
    say: Callable[[str], None]
    """Progress, one line."""
    database_move: DatabaseMove | None = None
    """The pair of databases, where the settings move one."""
    api: Api | None = None
    """Whoever sends requests to 3scale's API, where the settings name one."""
    facts: Facts = field(default_factory=lambda: Facts({}, _forget))
    approval: Callable[[str, str], Approval | None] = lambda _step, _instructions: None
    """A person's word on a step, once it has been given; asked with what they are to do."""
    remind: Callable[[str, float], None] = lambda _step, _seconds: None
    """Says that a step has waited for its owner for longer than it may, and for how long."""
    stopping: Callable[[], bool] = lambda: False
    """Whether the operator asked to stop."""
    activity: Activity = field(default_factory=Activity)
    """What is being worked on, for the sign of life."""
    step: str = ""
    """The id of the step that is being worked on."""
    _deadlines: list[tuple[float, str]] = field(default_factory=list)
    _outputs: tuple[str, dict[str, Mapping[str, Any]]] = ("", {})
    """The outputs of stacks that the step of that id has asked for."""

    @property
    def environment(self) -> Environment:
        """The settings of services that move. Raises StepError where they are of another kind."""
        if not isinstance(self.settings, Environment):
            raise StepError(
                f"the settings of {self.settings.name} are of kind `{self.settings.kind}`, not of services"
            )
        return self.settings

    @property
    def rhoam(self) -> RhoamEnvironment:
        """The settings of 3scale that moves into RHOAM. Raises StepError where they are of another kind."""
        if not isinstance(self.settings, RhoamEnvironment):
            raise StepError(f"the settings of {self.settings.name} are not of kind `rhoam`")
        return self.settings

    @contextmanager
    def limit(self, seconds: float, what: str) -> Iterator[None]:
        """Inside, waits raise StepTimeoutError once the seconds are over; limits nest."""
        self._deadlines.append((self.clock.monotonic() + seconds, what))
        try:
            yield
        finally:
            self._deadlines.pop()

    def remaining(self) -> float:
        """Seconds until the nearest limit. Raises StepTimeoutError where it has passed."""
        if not self._deadlines:
            return float("inf")
        deadline, what = min(self._deadlines)
        left = deadline - self.clock.monotonic()
        if left <= 0:
            raise StepTimeoutError(f"{what} took longer than it may")
        return left

    def pause(self, seconds: float = POLL_SECONDS) -> None:
        """Waits at a safe point.

        Raises:
            StepTimeoutError: a limit has passed.
            InterruptedRunError: the operator asked to stop.
        """
        until = self.clock.monotonic() + min(seconds, self.remaining())
        while True:
            if self.stopping():
                raise InterruptedRunError(f"stopped at a safe point, while waiting in step {self.step}")
            left = until - self.clock.monotonic()
            if left <= 0:
                break
            self.clock.sleep(min(left, 0.25))
        self.remaining()

    def wait_for(self, what: str, seconds: float, look: Callable[[], tuple[bool, str]]) -> str:
        """Looks until it is so; returns what was seen, and says whenever that changes.

        Raises:
            StepTimeoutError: it was not so in time; the text says what was seen last.
        """
        last = ""
        begun = self.clock.monotonic()
        while True:
            holds, seen = look()
            if holds:
                return seen
            self.activity.note(f"waiting for {what}: {seen}")
            if seen != last:
                self.say(f"waiting for {what}: {seen}")
                last = seen
            if self.clock.monotonic() - begun > seconds:
                raise StepTimeoutError(f"waited {seconds:g} s for {what}; last seen: {seen}")
            try:
                self.pause()
            except StepTimeoutError as error:
                raise StepTimeoutError(f"{error}, while waiting for {what}; last seen: {seen}") from error

    def cluster(self, name: str) -> Cluster:
        """A cluster by the settings' name for it. Raises StepError where there is none."""
        if name not in self.clusters:
            raise StepError(f"the settings name no cluster {name!r}, but {', '.join(self.clusters)}")
        return self.clusters[name]

    def move(self) -> DatabaseMove:
        """The pair of databases. Raises StepError where the settings move none."""
        if self.database_move is None:
            raise StepError("the settings have no section `replication`: no database moves")
        return self.database_move

    def call(self, request: ApiRequest) -> ApiAnswer:
        """Sends a request to an API. Raises StepError where it is not answered."""
        if self.api is None:
            raise StepError("the settings name no API that is called")
        return self.api.call(request)

    def stack(self, part: str) -> str:
        """The name of one of the environment's stacks; `""` for the landing zone."""
        return f"{self.settings.name}-{part}" if part else self.settings.name

    def outputs(self, stack: str) -> Mapping[str, Any]:
        """A stack's outputs, asked for once a step: it takes Pulumi seconds. Raises StepError."""
        if not self.step or self._outputs[0] != self.step:
            self._outputs = (self.step, {})
        found = self._outputs[1]
        if stack not in found:
            found[stack] = self.stacks.outputs(stack)
        return found[stack]

    def addresses(self, output: str) -> tuple[str, ...]:
        """An output of the landing zone that lists addresses. Raises StepError where there are none."""
        stack = self.stack("")
        found = self.stacks.outputs(stack).get(output)
        if not isinstance(found, list) or not found or not all(isinstance(item, str) for item in found):
            raise StepError(
                f"stack {stack} has no output {output!r} that lists addresses (it is {found!r}): "
                f"run `pulumi up --stack {stack}` first"
            )
        return tuple(found)

    def content(self, domain: str, side: Side) -> str:
        """What a domain's record holds while a side serves. Raises StepError."""
        settings = self.environment.domain(domain)
        if side == "source":
            return fact(settings.source, f"domains[{domain}].source")
        if settings.target is not None:
            return fact(settings.target, f"domains[{domain}].target")
        return self.addresses("ingress_addresses")[0]


def fact(value: Any, place: str) -> str:
    """A setting that its owner has filled in. Raises StepError where it is still a placeholder."""
    try:
        return str(known(value, place))
    except PlaceholderError as error:
        raise StepError(str(error)) from error
