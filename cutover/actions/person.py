"""A step that a person does: they are told what, say that it is done, and the step's checks prove it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cutover.actions.base import Action, Evidence, Observation
from cutover.context import Context
from cutover.ports import Approval
from cutover.times import duration

POLL_SECONDS = 1.0


@dataclass(frozen=True, kw_only=True)
class Person(Action):
    """Waits until somebody approved with `cutover approve`."""

    instructions: str
    """What to do. `{nat_addresses}`, `{database_eip}` and `{database_port}` are filled in."""
    evidence: str = ""
    """What the note has to say or to point to."""
    take_back: str = ""
    """What they may do after a rollback; empty: nothing."""
    due_seconds: float | None = None
    """How long it may wait for its owner until they are reminded, again and again; None: for ever."""
    early: bool = False
    """Whether it may be approved before it is its turn, as owners work side by side."""

    @property
    def asks(self) -> bool:
        """See Action."""
        return True

    def describe(self) -> str:
        """See Action."""
        return f"a person's step: {self._asked}"

    def preview(self, context: Context) -> tuple[str, ...]:
        """See Action."""
        return (self.text(context),)

    def observe(self, context: Context) -> Observation:  # noqa: ARG002 - an interface's method
        """The checks of the step prove it; whether somebody approved stands in the journal."""
        return Observation("not done", "asked again; an approval that was given stays good")

    def apply(self, context: Context) -> Evidence:
        """See Action."""
        text = self.text(context)
        context.say(f"{context.step} waits for its owner: {text}")
        context.say(f"once it is done: cutover approve {context.step} --as NAME --note TEXT")
        approval = self.word(context, text)
        context.say(f"{context.step}: approved by {approval.by}: {approval.note}")
        return said(approval)

    def undo(self, context: Context) -> Evidence:
        """Tells them what may be taken back; waits for nobody."""
        context.say(f"{context.step}: {self.take_back}")
        return {"told": self.take_back}

    def word(self, context: Context, asked: str) -> Approval:
        """Somebody's word on what is asked, waited for; they are reminded when it is late."""
        begun, reminded = context.clock.monotonic(), 0
        while (approval := context.approval(context.step, asked)) is None:
            waited = context.clock.monotonic() - begun
            if self.due_seconds is not None and waited >= self.due_seconds * (reminded + 1):
                reminded += 1
                context.say(f"{context.step} has waited for its owner for {duration(waited)}")
                context.remind(context.step, waited)
            context.pause(POLL_SECONDS)
        return approval

    def text(self, context: Context) -> str:
        """What is asked, with the addresses filled in."""
        text = self._asked
        for name, value in _FILLED_IN.items():
            if name in text:
                text = text.replace(name, value(context))
        return text

    @property
    def asked_early(self) -> str | None:
        """What is asked, as far as it is known before it is its turn; None: it cannot be approved yet."""
        return self._asked if self.early and not any(name in self._asked for name in _FILLED_IN) else None

    @property
    def _asked(self) -> str:
        return f"{self.instructions} Evidence: {self.evidence}" if self.evidence else self.instructions


def said(approval: Approval) -> Evidence:
    """What the journal keeps of somebody's word."""
    return {"approved_by": approval.by, "note": approval.note, "approved_at": approval.at}


_FILLED_IN: Mapping[str, Callable[[Context], str]] = {
    "{nat_addresses}": lambda context: ", ".join(context.addresses("nat_addresses")),
    "{database_eip}": lambda context: str(context.environment.database.source.eip),
    "{database_port}": lambda context: str(context.environment.database.port),
}
