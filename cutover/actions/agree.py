"""Two people agree to what cannot be taken back."""

from __future__ import annotations

from dataclasses import dataclass

from cutover.actions.base import Evidence
from cutover.actions.person import POLL_SECONDS, Person, said
from cutover.context import Context

AGREED = "agreed"
"""The fact: who has agreed, by step."""


@dataclass(frozen=True, kw_only=True)
class Agree(Person):
    """Waits for a person, and for another one than those who agreed before at the named steps."""

    besides: tuple[str, ...] = ()

    def apply(self, context: Context) -> Evidence:
        """See Action."""
        text = self.text(context)
        agreed = dict(context.facts.values.get(AGREED, {}))
        others = {str(agreed[step]).casefold() for step in self.besides if step in agreed}
        asked = text
        context.say(f"{context.step} waits for its owner: {text}")
        context.say(f"once they agree: cutover approve {context.step} --as NAME --note TEXT")
        refused = 0
        while (approval := self.word(context, asked)).by.casefold() in others:
            refused += 1
            context.say(f"{context.step}: {approval.by} has agreed already: somebody else has to")
            # asked anew, as a word that was given stays good for what was asked
            asked = f"{text} {approval.by} has agreed already: somebody else has to ({refused + 1})."
            context.pause(POLL_SECONDS)
        context.facts.remember(AGREED, agreed | {context.step: approval.by})
        return said(approval)
