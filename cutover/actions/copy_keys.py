"""The keys of the Redis that moves along: copied, followed while both sides serve, or declared disposable."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cutover.actions.base import NO_CHANGE, Companion, Evidence, Look
from cutover.context import Context
from cutover.errors import StepError
from cutover.keys.follow import Follower, KeyCopy
from cutover.ports import KeyStore

_ATTEMPTS = 3
"""Keys come and go while they are copied."""


@dataclass(frozen=True)
class CopyKeys(Look):
    """Copies the source's keys to the target, and sees that each is known there."""

    left_out: tuple[str, ...]
    """Patterns of keys that must not be on two sides: what waits to be committed."""

    def describe(self) -> str:
        """See Action."""
        return f"copy the keys of Redis to the target{_without(self.left_out)}, and see that each is there"

    def preview(self, context: Context) -> tuple[str, ...]:
        """See Action."""
        with _opened(context, "source", "target", self.left_out) as (copy, _, _):
            missing = len(copy.missing())
        return (f"copy {missing} keys",) if missing else NO_CHANGE

    def apply(self, context: Context) -> Evidence:
        """Raises StepError where keys do not arrive."""
        with _opened(context, "source", "target", self.left_out) as (copy, _, _):
            written = 0
            stuck: set[bytes] | None = None
            for _ in range(_ATTEMPTS):
                copied = copy.copy()
                written += copied.written
                missing = set(copy.missing())
                # users go on meanwhile: a key that was made after the copy is missing once, and not twice
                stuck = missing if stuck is None else stuck & missing
                if not stuck:
                    context.say(f"{copied.keys} keys of the source's Redis are known on the target")
                    return {"keys": copied.keys, "written": written}
        raise StepError(f"{len(stuck or ())} keys of the source's Redis do not arrive on the target")


@dataclass(frozen=True, kw_only=True)
class KeysDisposable(Look):
    """Puts on record that the keys may be lost, and who says so."""

    host: str
    by: str

    def describe(self) -> str:
        """See Action."""
        return f"put on record that the keys of {self.host} may be lost, as {self.by} says"

    def apply(self, context: Context) -> Evidence:
        """See Action."""
        context.say(f"{self.by} says that the keys of {self.host} may be lost: users sign in anew")
        return {"disposable": self.host, "by": self.by}


@dataclass(frozen=True)
class FollowKeys(Companion):
    """Carries changed keys over to the side that users are sent to, while some are still on the other one."""

    left_out: tuple[str, ...]

    def describe(self) -> str:
        """See Companion."""
        return f"keys that change in Redis are carried over at once{_without(self.left_out)}"

    def start(self, context: Context, *, back: bool) -> Callable[[], None]:
        """On the way back a target that does not answer keeps nobody from leaving it: that is said."""
        source, target = ("target", "source") if back else ("source", "target")

        def opened() -> tuple[KeyCopy, KeyStore, KeyStore]:
            stores = context.keys(source), context.keys(target)
            return KeyCopy(*stores, self.left_out, context.clock), *stores

        follower = Follower(opened, context.clock)
        try:
            copied = follower.start()
        except StepError as error:
            if not back:
                raise
            context.say(f"sessions that began on the target may be lost: {error}")
            return lambda: None
        context.say(
            f"{copied.keys} keys are on the {target}; changes on the {source} are carried over at once"
        )

        def stop() -> None:
            trouble = follower.trouble
            try:
                follower.stop()
            except StepError as error:
                if not back:
                    raise
                context.say(f"sessions that began on the target may be lost: {error}")
            context.say(f"{follower.carried} changes of keys were carried over to the {target}")
            if trouble:
                context.say(f"for a while none were: {trouble}")

        return stop


class _opened:  # noqa: N801 - used as a function
    """A copy between two sides, whose connections end with the block."""

    def __init__(self, context: Context, source: str, target: str, left_out: tuple[str, ...]) -> None:
        self._stores = context.keys(source), context.keys(target)
        self._copy = KeyCopy(*self._stores, left_out, context.clock)

    def __enter__(self) -> tuple[KeyCopy, KeyStore, KeyStore]:
        return self._copy, *self._stores

    def __exit__(self, *_: object) -> None:
        for store in self._stores:
            store.close()


def _without(left_out: tuple[str, ...]) -> str:
    return f" (not {', '.join(left_out)})" if left_out else ""
