"""A step that a person does: they are told what, say that it is done, and the step's checks prove it."""

from __future__ import annotations

from dataclasses import dataclass

from cutover.actions.base import Action, Evidence, Observation
from cutover.context import Context

POLL_SECONDS = 1.0


@dataclass(frozen=True, kw_only=True)
class Person(Action):
    """Waits until somebody approved with `cutover approve`."""

    instructions: str
    """What to do. `{nat_addresses}`, `{database_eip}` and `{database_port}` are filled in."""
    take_back: str = ""
    """What they may do after a rollback; empty: nothing."""

    @property
    def asks(self) -> bool:
        """See Action."""
        return True

    def describe(self) -> str:
        """See Action."""
        return f"a person's step: {self.instructions}"

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
        while (approval := context.approval(context.step, text)) is None:
            context.pause(POLL_SECONDS)
        context.say(f"{context.step}: approved by {approval.by}: {approval.note}")
        return {"approved_by": approval.by, "note": approval.note, "approved_at": approval.at}

    def undo(self, context: Context) -> Evidence:
        """Tells them what may be taken back; waits for nobody."""
        context.say(f"{context.step}: {self.take_back}")
        return {"told": self.take_back}

    def text(self, context: Context) -> str:
        """The instructions with the addresses filled in."""
        database = context.environment.database
        values = {
            "{nat_addresses}": ", ".join(context.addresses("nat_addresses")),
            "{database_eip}": str(database.source.eip),
            "{database_port}": str(database.port),
        }
        text = self.instructions
        for name, value in values.items():
            text = text.replace(name, value)
        return text
