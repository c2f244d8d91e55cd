"""A Redis dumped, and recovered in one that appends to a file: real servers."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cutover import children
from cutover.errors import StepError
from cutover.transfer import CompareRedis, DumpRedis, RecoverRedis, manifest, rdb, redis_dump, redis_recover
from cutover.transfer.redis_server import RedisDatabase
from cutover.transfer.work import FOLDER
from lab.stores.redis import RedisDb
from tests.cutover.forked import forked
from tests.transfer.transfer_world import BACKEND, DUMP, RECOVERED, TransferWorld

pytestmark = pytest.mark.lab

TAKE = DumpRedis(source=BACKEND, dump=DUMP)
RECOVER = RecoverRedis(dump=DUMP, target=RECOVERED)
COMPARE = CompareRedis(dump=DUMP, target=RECOVERED, sample=50)
_COMMANDS = (
    (0, ("SET", b"\x00bytes\xff", b"\xfe")),
    (0, ("SET", "stats/{service:1}/hits", 17)),
    (0, ("SET", "session", "x", "PX", 3_600_000)),
    (0, ("HSET", "h", *(f"f{n}" for n in range(200)))),
    (0, ("SADD", "s", *range(100))),
    (0, ("ZADD", "z", 1.5, "a", -2, "b")),
    (1, ("RPUSH", "resque:queue:main", "{}", "{}")),
    (1, ("XADD", "stream", "1-1", "f", "v")),
)


def fill(server: RedisDb) -> None:
    for number, command in _COMMANDS:
        with server.server().open(number) as store:
            store.call(*command)


@pytest.mark.parametrize("forgotten", [False, True], ids=["beside its file", "without a file"])
def test_the_append_only_trap_is_real(redis_pair: tuple[RedisDb, RedisDb], *, forgotten: bool) -> None:
    """A snapshot that is put under a Redis with `appendonly yes` is not read: it comes up empty."""
    source, target = redis_pair
    fill(source)
    with source.server().open() as store:
        store.call("SAVE")
    target.stop()
    if forgotten:
        shutil.rmtree(target.folder / "appendonlydir")
    shutil.copyfile(source.folder / rdb.FILE, target.folder / rdb.FILE)
    target.start()
    assert target.server().used() == {}
    assert source.server().used() == {0: 6, 1: 2}


@pytest.mark.parametrize("end", [RedisDb.stop, RedisDb.kill])
def test_all_keys_come_back_also_after_a_restart_of_the_target(
    world: TransferWorld, redis_pair: tuple[RedisDb, RedisDb], end: Callable[[RedisDb], None]
) -> None:
    world.bucket("dumps")
    source, target = redis_pair
    fill(source)
    with target.server().open() as store:
        store.call("SET", "of a fresh installation", 1)
    assert TAKE.observe(world.context).state == "not done"
    assert TAKE.apply(world.context)["keys"] == 8
    assert RECOVER.apply(world.context) == {"written": 8, "deleted": 1}
    assert COMPARE.apply(world.context) == {"keys": 8, "sampled": 8}
    # no append-only trap: what is recovered is still there when the target starts again
    end(target)
    target.start()
    assert COMPARE.apply(world.context) == {"keys": 8, "sampled": 8}
    assert RECOVER.apply(world.context) == {"written": 8, "deleted": 0}
    RECOVER.undo(world.context)
    assert target.server().used() == {}
    TAKE.undo(world.context)
    assert manifest.find(world.context, DUMP) is None


def test_a_killed_runner_leaves_nothing_outside_a_folder_that_is_cleared(
    world: TransferWorld, redis_pair: tuple[RedisDb, RedisDb], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.bucket("dumps")
    fill(redis_pair[0])
    TAKE.apply(world.context)
    temporary, holder = tmp_path / "temporary", f"holder {tmp_path}"
    temporary.mkdir()

    def runner() -> str:
        os.environ["TMPDIR"], tempfile.tempdir = str(temporary), None
        children.mark(holder)
        monkeypatch.setattr(redis_recover, "_copy", lambda *_: os.kill(os.getpid(), signal.SIGKILL))
        RECOVER.apply(world.context)
        return "not killed"

    assert forked(tmp_path, runner) == "killed"
    assert list(temporary.iterdir()) == []
    work = world.context.project / FOLDER
    (left,) = work.iterdir()
    assert {file.name for file in left.iterdir()} == {rdb.FILE, rdb.SOCKET}
    assert left.stat().st_mode & 0o077 == 0
    assert len(children.end_children(holder, world.context.clock)) == 1  # the Redis of our own
    assert RECOVER.apply(world.context)["written"] == 8
    assert list(work.iterdir()) == []


def test_a_target_that_cannot_keep_the_keys_is_told(
    world: TransferWorld, redis_pair: tuple[RedisDb, RedisDb], monkeypatch: pytest.MonkeyPatch
) -> None:
    world.bucket("dumps")
    fill(redis_pair[0])
    TAKE.apply(world.context)
    asked = RedisDatabase.call

    def full(store: RedisDatabase, *words: Any) -> Any:
        found = asked(store, *words)
        return {**found, "aof_last_write_status": "err"} if words == ("INFO", "persistence") else found

    monkeypatch.setattr(RedisDatabase, "call", full)
    with pytest.raises(StepError, match=r"aof_last_write_status is err.*Make space on its disk"):
        RECOVER.apply(world.context)


def test_a_redis_that_is_written_to_is_not_dumped(
    world: TransferWorld, redis_pair: tuple[RedisDb, RedisDb], monkeypatch: pytest.MonkeyPatch
) -> None:
    world.bucket("dumps")
    fill(redis_pair[0])
    taken = redis_dump._snapshot

    def meanwhile(*arguments: Any) -> str:
        found = taken(*arguments)
        with redis_pair[0].server().open(1) as store:
            store.call("SET", "late", 1)
        return found

    monkeypatch.setattr(redis_dump, "_snapshot", meanwhile)
    with pytest.raises(StepError, match=r"was written to while its snapshot was taken \(database 1\)"):
        TAKE.apply(world.context)
    assert TAKE.observe(world.context).state == "not done"


def test_keys_that_have_expired_are_no_change(
    world: TransferWorld, redis_pair: tuple[RedisDb, RedisDb]
) -> None:
    world.bucket("dumps")
    with redis_pair[0].server().open() as store:
        store.call("SET", "lasting", 1)
        # nothing is cleared away: they are counted, and nobody sees them
        store.call("DEBUG", "SET-ACTIVE-EXPIRE", 0)
        for number in range(50):
            store.call("SET", f"ending{number}", 1, "PX", 1)
        assert store.size() == 51
    TAKE.apply(world.context)
    assert RECOVER.apply(world.context)["written"] == 1
    assert COMPARE.apply(world.context)["keys"] == 1


@pytest.mark.parametrize(
    ("number", "command", "told"),
    [
        (0, ("DEL", "h"), "lacks the key 'h'"),
        (0, ("SET", "more", 1), "has the key 'more' besides"),
        (
            0,
            ("SET", "stats/{service:1}/hits", 18),
            "'stats/{service:1}/hits' of database 0 has another value",
        ),
        (0, ("ZADD", "z", 1.25, "a"), "has another value"),
        (0, ("PERSIST", "session"), "'session' of database 0 expires at another time"),
        (1, ("RENAME", "resque:queue:main", "stream"), "is a list instead of a stream"),
    ],
)
def test_what_differs_is_told(
    world: TransferWorld,
    redis_pair: tuple[RedisDb, RedisDb],
    number: int,
    command: tuple[str | int, ...],
    told: str,
) -> None:
    world.bucket("dumps")
    fill(redis_pair[0])
    TAKE.apply(world.context)
    RECOVER.apply(world.context)
    with redis_pair[1].server().open(number) as store:
        store.call(*command)
    with pytest.raises(StepError) as error:
        COMPARE.apply(world.context)
    assert told in str(error.value)


def test_a_snapshot_that_is_cut_short_is_refused(
    world: TransferWorld, redis_pair: tuple[RedisDb, RedisDb]
) -> None:
    s3 = world.bucket("dumps")
    fill(redis_pair[0])
    TAKE.apply(world.context)
    key = f"{DUMP.prefix}/dump.rdb"
    whole = s3.get_object(Bucket="dumps", Key=key)["Body"].read()
    s3.put_object(Bucket="dumps", Key=key, Body=whole[:-30])
    with pytest.raises(StepError, match="is not what was dumped"):
        RECOVER.apply(world.context)
    assert redis_pair[1].server().used() == {}


def test_foreign_keys_are_kept_where_nothing_may_be_replaced(
    world: TransferWorld, redis_pair: tuple[RedisDb, RedisDb]
) -> None:
    world.bucket("dumps")
    fill(redis_pair[0])
    TAKE.apply(world.context)
    with redis_pair[1].server().open() as store:
        store.call("SET", "theirs", 1)
    with pytest.raises(StepError, match="already holds 1 keys"):
        RecoverRedis(dump=DUMP, target=RECOVERED, replaces=False).apply(world.context)
    assert redis_pair[1].server().used() == {0: 1}
