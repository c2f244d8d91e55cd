"""What actions and conditions are: data (frozen dataclasses) that knows how to act on a context."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from cutover.errors import StepError

if TYPE_CHECKING:
    from cutover.context import Context

Evidence = dict[str, Any]
"""What was found or done, as JSON; it goes into the journal and so never holds a secret."""


NO_CHANGE = ("no change",)
"""What a preview says of an action whose effect is there already."""


@dataclass(frozen=True)
class Observation:
    """What the world says about an action: done, not done, or that it cannot be told."""

    state: Literal["done", "not done", "unknown"]
    detail: str
    """What was seen that says so."""


class Condition(ABC):
    """Something that must hold: a gate before an action or a check after it."""

    @abstractmethod
    def describe(self) -> str:
        """One line for the runbook."""

    @abstractmethod
    def hold(self, context: Context) -> Evidence:
        """Waits until it holds, within the condition's own limit and the step's.

        Raises:
            StepError: it does not hold; the text says what was found and what was expected.
        """


class Companion(ABC):
    """Something that is kept going while a step is worked on, and on to the next one that has the same."""

    @abstractmethod
    def describe(self) -> str:
        """One line for the runbook."""

    @abstractmethod
    def start(self, context: Context, *, back: bool) -> Callable[[], None]:
        """Begins it, for the way forward or back; what it returns ends it. Both raise StepError."""


class Action(ABC):
    """What a step does. `apply` and `undo` may be repeated: they are idempotent or look first."""

    @property
    def needs(self) -> tuple[str, ...]:
        """Names of the facts that an earlier step must have remembered."""
        return ()

    @property
    def gives(self) -> tuple[str, ...]:
        """Names of the facts that `apply` remembers."""
        return ()

    @property
    def asks(self) -> bool:
        """Whether it waits for the word of its step's owner: always, or where something is left to decide."""
        return False

    @abstractmethod
    def describe(self) -> str:
        """One line for the runbook: what will be done."""

    @abstractmethod
    def preview(self, context: Context) -> tuple[str, ...]:
        """What `apply` would change as the world stands; changes nothing itself."""

    @abstractmethod
    def observe(self, context: Context) -> Observation:
        """Whether the world shows the action's effect; asked before an action is repeated."""

    @abstractmethod
    def apply(self, context: Context) -> Evidence:
        """Does it. Raises StepError."""

    def undo(self, context: Context) -> Evidence:  # noqa: ARG002 - for those that have one
        """Takes it back. Raises StepError. A plan is checked to call it only where an action has its own."""
        raise StepError(f"there is no undo of: {self.describe()}")

    def repair(self, context: Context) -> None:  # noqa: B027 - most actions leave nothing
        """Clears away what a runner that was killed in the middle may have left, such as a stack's lock."""


class Look(Action):
    """An action that changes nothing outside the journal: it is repeated rather than observed."""

    def preview(self, context: Context) -> tuple[str, ...]:  # noqa: ARG002 - an interface's method
        """See Action."""
        return ("changes nothing",)

    def observe(self, context: Context) -> Observation:  # noqa: ARG002 - an interface's method
        """What held once may hold no longer."""
        return Observation("not done", "looked at anew")
