"""A Redis from its dump."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from cutover.actions.base import NO_CHANGE, Action, Evidence, Look, Observation
from cutover.context import Context
from cutover.errors import StepError
from cutover.transfer import manifest, rdb, reach
from cutover.transfer.places import DumpPlace, RedisPlace
from cutover.transfer.redis_server import RedisDatabase, RedisServer
from cutover.transfer.redis_values import digest
from cutover.transfer.work import work_folder

_BATCH = 1000
_DURABLE_SECONDS = 1800.0
_SAY_SECONDS = 5.0
_LATE_MS = 5000
"""How much later a key may expire: it is read on one server before it is on the other."""
_SOON_MS = 60_000
"""A key this close to its end may be gone on one side."""
_SHOWN = 5


@dataclass(frozen=True, kw_only=True)
class RecoverRedis(Action):
    """Brings a snapshot's keys into a Redis, key by key from a Redis of our own that serves the snapshot.

    So it works for a managed Redis, into which no file can be put, and the append-only trap cannot close:
    what is written by commands goes into the target's own append-only file, where it has one.
    """

    dump: DumpPlace
    target: RedisPlace
    replaces: bool = True
    """Whether what the target holds otherwise is deleted, such as the keys of a fresh installation."""

    @property
    def gives(self) -> tuple[str, ...]:
        """See Action."""
        return (_fact(self.target),)

    def describe(self) -> str:
        """See Action."""
        instead = ", instead of what it holds" if self.replaces else ""
        return f"bring the keys of {self.dump} into {self.target.name}{instead}"

    def preview(self, context: Context) -> tuple[str, ...]:
        """See Action."""
        dumped = manifest.known(context, self.dump, "redis")
        there = reach.redis_server(context, self.target).used()
        wanted = {int(number): count for number, count in (dumped.keys or {}).items()}
        if there == wanted:
            return NO_CHANGE
        return (
            f"{self.target.name}: {sum(there.values())} keys are deleted" if self.replaces and there else "",
            f"{self.target.name}: {sum(wanted.values())} keys are written",
        )[not (self.replaces and there) :]

    def observe(self, context: Context) -> Observation:  # noqa: ARG002 - an interface's method
        """It is repeated: every key is written over, and looked at afterwards."""
        return Observation("not done", "written anew")

    def apply(self, context: Context) -> Evidence:
        """Raises StepError where keys do not arrive."""
        target = reach.redis_server(context, self.target)
        with _served(context, self.dump) as source:
            deleted = self._clear(context, source, target)
            written = 0
            for number in source.used():
                with source.open(number) as here, target.open(number) as there:
                    written += _copy(context, here, there)
            missing = _missing(source, target)
            if missing:
                raise StepError(
                    f"{missing} keys of {self.dump} did not arrive in {target}; `cutover run` writes them "
                    "again"
                )
        _await_durable(context, target)
        context.say(f"{written} keys are in {self.target.name}, {deleted} others were deleted")
        return {"written": written, "deleted": deleted}

    def undo(self, context: Context) -> Evidence:
        """Empties the target, if it was filled by this action."""
        if _fact(self.target) not in context.facts.values:
            return {"deleted": "nothing: it was not filled"}
        target = reach.redis_server(context, self.target)
        keys = target.used()
        _flush(target, keys)
        return {"deleted": sum(keys.values())}

    def _clear(self, context: Context, source: RedisServer, target: RedisServer) -> int:
        """Deletes what the target holds and the snapshot does not. Raises StepError where it may not."""
        there = target.used()
        foreign = {number: count for number in there if (count := _foreign(source, target, number))}
        if foreign and not self.replaces:
            raise StepError(
                f"{target} already holds {sum(foreign.values())} keys that are not in {self.dump}: see what "
                "they are, and delete them if nobody needs them; then `cutover run` goes on"
            )
        context.facts.remember(_fact(self.target), True)
        if not foreign:
            return 0
        context.say(f"{target.name}: {sum(foreign.values())} keys that are not in the snapshot are deleted")
        _flush(target, there)
        return sum(foreign.values())


@dataclass(frozen=True, kw_only=True)
class CompareRedis(Look):
    """Compares the number of keys, and sampled keys with type, time to live and value."""

    dump: DumpPlace
    target: RedisPlace
    sample: int = 1000

    def describe(self) -> str:
        """See Action."""
        return (
            f"compare {self.target.name} with {self.dump}: all names of keys, and type, time to live and "
            f"value of {self.sample} of them"
        )

    def apply(self, context: Context) -> Evidence:
        """Raises StepError that names keys, without values."""
        target = reach.redis_server(context, self.target)
        keys, sampled = 0, 0
        wrong: list[str] = []
        with _served(context, self.dump) as source:
            numbers = {*source.used(), *target.used()}
            for number in sorted(numbers):
                with source.open(number) as here, target.open(number) as there:
                    names = sorted(here.names())
                    keys += len(names)
                    wrong += _wrong_names(here, there, names)
                    # not a matter of security: which keys are looked at
                    chosen = random.Random(len(names)).sample(names, min(self.sample, len(names)))  # noqa: S311
                    sampled += len(chosen)
                    wrong += _wrong_values(here, there, chosen)
        if wrong:
            more = f"; and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
            raise StepError(
                f"{target} does not hold what {self.dump} does: {'; '.join(wrong[:_SHOWN])}{more}. Roll this "
                "step back, and recover anew"
            )
        context.say(f"{self.target.name} holds the {keys} keys of the snapshot; {sampled} were compared")
        return {"keys": keys, "sampled": sampled}


def _fact(target: RedisPlace) -> str:
    return f"filled {target.name}"


@contextmanager
def _served(context: Context, dump: DumpPlace) -> Iterator[RedisServer]:
    """A Redis of our own with a dump's keys. Raises StepError."""
    dumped = manifest.known(context, dump, "redis")
    with work_folder(context, f"{dump.prefix}-recover") as folder:
        manifest.fetch(context, dump, dumped, folder)
        files = [folder / file.name for file in dumped.files if file.name.endswith(".rdb")]
        if len(files) != 1:
            raise StepError(f"expected one .rdb file in {dump}, and found {len(files)}")
        with rdb.staged(context, files[0]) as server:
            yield server


def _copy(context: Context, here: RedisDatabase, there: RedisDatabase) -> int:
    names = here.names()
    written, said = 0, time.monotonic()
    for at in range(0, len(names), _BATCH):
        written += there.write(here.read(names[at : at + _BATCH]))
        context.pause(0)
        if time.monotonic() - said > _SAY_SECONDS:
            said = time.monotonic()
            context.say(f"{written:,} of {len(names):,} keys are written to {there.server.name}")
    return written


def _missing(source: RedisServer, target: RedisServer) -> int:
    count = 0
    for number in source.used():
        with source.open(number) as here, target.open(number) as there:
            known = set(there.names())
            # what has expired meanwhile is not missing
            count += len(here.read([name for name in here.names() if name not in known]))
    return count


def _await_durable(context: Context, target: RedisServer) -> None:
    """Waits until the target's append-only file, if any, holds what was written. Raises StepError."""

    def durable() -> tuple[bool, str]:
        with target.open() as store:
            info = store.call("INFO", "persistence")
        if not int(info.get("aof_enabled", 0)):
            return True, "it has no append-only file"
        for name in ("aof_last_write_status", "aof_last_bgrewrite_status"):
            if info.get(name) != "ok":
                raise StepError(
                    f"{target} could not write its append-only file ({name} is {info.get(name)}): it would "
                    "start without these keys. Make space on its disk; then `cutover run` writes them again"
                )
        busy = int(info["aof_rewrite_in_progress"]) or int(info["aof_rewrite_scheduled"])
        return not busy, "its append-only file is rewritten" if busy else "its append-only file is written"

    context.wait_for(f"{target.name} to keep the keys", _DURABLE_SECONDS, durable)


def _foreign(source: RedisServer, target: RedisServer, number: int) -> int:
    with source.open(number) as here, target.open(number) as there:
        return len(set(there.names()) - set(here.names()))


def _flush(target: RedisServer, keys: dict[int, int]) -> None:
    for number in keys:
        with target.open(number) as store:
            store.call("FLUSHDB", "ASYNC")


def _wrong_names(here: RedisDatabase, there: RedisDatabase, names: Sequence[bytes]) -> list[str]:
    known = set(there.names())
    lacking = [
        value.key
        for value in here.read([name for name in names if name not in known])
        if not 0 <= value.ttl_ms < _SOON_MS
    ]
    extra = sorted(known - set(names))
    # a key that has expired on one side alone shows as one more on the other
    extra = [value.key for value in there.read(extra) if not 0 <= value.ttl_ms < _SOON_MS]
    return [
        *(f"database {here.number} lacks the key {_shown(name)}" for name in lacking),
        *(f"database {here.number} has the key {_shown(name)} besides" for name in extra),
    ]


def _wrong_values(here: RedisDatabase, there: RedisDatabase, names: Sequence[bytes]) -> list[str]:
    wrong: list[str] = []
    kinds, others = here.types(names), there.types(names)
    for name in names:
        kind, other = kinds[name], others[name]
        if "none" in (kind, other):
            continue  # judged by the names
        place = f"the key {_shown(name)} of database {here.number}"
        if kind != other:
            wrong.append(f"{place} is a {other} instead of a {kind}")
        elif digest(here, name, kind) != digest(there, name, kind):
            wrong.append(f"{place} has another value")
        elif not _same_end(int(here.call("PTTL", name)), int(there.call("PTTL", name))):
            wrong.append(f"{place} expires at another time")
    return wrong


def _same_end(here: int, there: int) -> bool:
    if here < 0 or there < 0:
        return here == there or -2 in (here, there)
    return abs(here - there) <= _LATE_MS


def _shown(name: bytes) -> str:
    return repr(name.decode("utf-8", "backslashreplace")[:80])
