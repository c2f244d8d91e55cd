"""A dump of Redis."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cutover.actions.base import Action, Evidence, Observation
from cutover.context import Context
from cutover.errors import StepError
from cutover.transfer import manifest, rdb, reach
from cutover.transfer.manifest import Manifest
from cutover.transfer.places import DumpPlace, RedisPlace
from cutover.transfer.programs import program, run, version
from cutover.transfer.redis_server import Held, RedisServer
from cutover.transfer.work import work_folder


@dataclass(frozen=True, kw_only=True)
class DumpRedis(Action):
    """Takes a snapshot of a Redis into a bucket, with the number of its keys."""

    source: RedisPlace
    dump: DumpPlace

    def describe(self) -> str:
        """See Action."""
        return f"take a snapshot of {self.source.name} to {self.dump}, with the number of its keys"

    def preview(self, context: Context) -> tuple[str, ...]:
        """See Action."""
        found = manifest.find(context, self.dump)
        replaced = f", instead of the one of {found.taken}" if found else ""
        return (f"a snapshot of {self.source.name} at {self.dump}{replaced}",)

    def observe(self, context: Context) -> Observation:
        """The manifest is written last, and an attempt begins by deleting it."""
        found = manifest.find(context, self.dump)
        if found is None:
            return Observation("not done", f"{self.dump} has no manifest")
        return Observation("done", f"{self.dump} is whole, taken {found.taken}")

    def apply(self, context: Context) -> Evidence:
        """Raises StepError; also where keys were written or deleted meanwhile."""
        manifest.discard(context, self.dump)
        server = reach.redis_server(context, self.source)
        before = server.held()
        with work_folder(context, self.dump.prefix) as folder:
            path = folder / rdb.FILE
            tool = _snapshot(context, server, path)
            counted = rdb.check(context, path)
            with rdb.staged(context, path) as copy:
                keys, there = copy.used(), copy.held()
            _refuse_changed(server, before, there)
            written = Manifest(
                kind="redis",
                tool=tool,
                server=f"Redis {_version(server)}",
                database=", ".join(str(number) for number in sorted(keys)),
                taken=context.clock.now().isoformat(timespec="seconds"),
                files=(manifest.file_of(path, rdb.FILE),),
                keys={str(number): count for number, count in keys.items()},
            )
            manifest.put(context, self.dump, folder, written)
        context.say(f"{self.source.name} is dumped: {counted.keys} keys, {counted.expired} of them expired")
        return written.evidence()

    def undo(self, context: Context) -> Evidence:
        """Deletes the dump."""
        return {"deleted": len(manifest.discard(context, self.dump))}


def _snapshot(context: Context, server: RedisServer, path: Path) -> str:
    """As a replica takes it: the server makes a snapshot in the background, and sends it."""
    tool = program("redis-cli", package="redis-tools")
    run(
        context,
        [tool, *server.arguments(), "--no-auth-warning", "--rdb", str(path)],
        f"the snapshot of {server.name}",
        environment=server.environment(),
        progress=lambda: f"{path.stat().st_size / 2**20 if path.exists() else 0:,.0f} MiB have come",
    )
    return version(tool)


def _refuse_changed(server: RedisServer, before: Mapping[int, Held], taken: Mapping[int, Held]) -> None:
    """Keys may expire while a snapshot is taken; none may come, and none without an end may go."""
    after = server.held()
    nothing = Held(0, 0)
    changed = [
        number
        for number in sorted({*before, *taken, *after})
        if len({each.get(number, nothing).lasting for each in (before, taken, after)}) > 1
        or after.get(number, nothing).ending > before.get(number, nothing).ending
    ]
    if changed:
        raise StepError(
            f"{server} was written to while its snapshot was taken (database "
            f"{', '.join(map(str, changed))}): stop whatever still writes to it; then `cutover run` takes it "
            "again"
        )


def _version(server: RedisServer) -> str:
    with server.open() as store:
        return str(store.call("INFO", "server")["redis_version"])
