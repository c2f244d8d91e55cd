"""Keys of a Redis: what redis-cli is told, what its answers mean, and what is carried over; in memory."""

from __future__ import annotations

import pytest

from cutover.errors import StepError
from cutover.keys import commands
from cutover.keys.commands import Written
from cutover.keys.follow import KeyCopy
from cutover.ports import KeyChanges, KeyValue
from tests.cutover.redis_in_memory import MemoryKeys
from tests.cutover.world import FakeClock


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (rb'"SET","session:a","v","PXAT","1795275912887"', Written((b"session:a",))),
        (rb'"SET","a\x00\"b\\","v"', Written((b'a\x00"b\\',))),
        (rb'"hset","h","f","1"', Written((b"h",))),
        (rb'"MSET","a","1","b","2"', Written((b"a", b"b"))),
        (rb'"RENAME","a","b"', Written((b"a", b"b"))),
        (rb'"DEL","a","b"', Written(deleted=(b"a", b"b"))),
        (rb'"SELECT","0"', Written()),
        (rb'"PING"', Written()),
        (b"sending REPLCONF ACK 0", Written()),
        (b"", Written()),
    ],
)
def test_what_a_server_carried_out_names_its_keys(line: bytes, expected: Written) -> None:
    assert commands.written(line) == expected


def test_an_error_of_the_server_is_named() -> None:
    with pytest.raises(StepError, match="Redis on huawei refused: ERR DUMP payload version"):
        commands.answer(b"ERR DUMP payload version or checksum are wrong", "huawei")


def test_commands_carry_keys_and_values_of_any_bytes() -> None:
    line = commands.write([KeyValue(b"a b\n", 5, b"\x00\xff")], later_wins=True)

    assert line.endswith(b" 0 later 6120620a 5 00ff\n")
    assert line.count(b"\n") == 1


def test_what_is_read_comes_back() -> None:
    assert commands.values(["61:-1:00ff"]) == [KeyValue(b"a", -1, b"\x00\xff")]


def copy(source: MemoryKeys, target: MemoryKeys, clock: FakeClock | None = None) -> KeyCopy:
    return KeyCopy(source, target, ("boss:usage", "boss:usage:processing:*"), clock or FakeClock())


def test_buffers_are_not_copied_as_both_sides_would_commit_them() -> None:
    source, target = MemoryKeys(), MemoryKeys()
    for key in (b"session:a", b"boss:usage", b"boss:usage:processing:boss-1"):
        source.put(key, b"v")

    copied = copy(source, target).copy()

    assert (copied.keys, copied.written) == (1, 1)
    assert target.names() == [b"session:a"]
    assert copy(source, target).missing() == []


def test_what_expires_later_stays_where_it_is() -> None:
    source, target = MemoryKeys(), MemoryKeys()
    source.put(b"session:a", b"old", 60_000)
    target.put(b"session:a", b"newer", 90_000)
    source.put(b"session:b", b"newer", 90_000)
    target.put(b"session:b", b"old", 60_000)

    copy(source, target).copy()

    assert target.value(b"session:a") == b"newer"
    assert target.value(b"session:b") == b"newer"


def test_changes_are_carried_over() -> None:
    source, target = MemoryKeys(), MemoryKeys()
    carrying = copy(source, target)
    source.put(b"session:a", b"v", 60_000)
    source.put(b"boss:usage", b"v")
    source.happened.append(KeyChanges((b"session:a", b"boss:usage")))

    assert carrying.follow(0) == 1
    assert target.names() == [b"session:a"]


def test_who_logs_out_is_logged_out_on_both_sides() -> None:
    source, target = MemoryKeys(), MemoryKeys()
    carrying = copy(source, target)
    source.put(b"session:a", b"v", 60_000)
    carrying.copy()
    source.delete([b"session:a"])
    source.happened.append(KeyChanges(deleted=(b"session:a",)))

    carrying.follow(0)

    assert target.names() == []


def test_a_key_that_has_expired_is_left_to_the_other_side_which_may_have_prolonged_it() -> None:
    source, target, clock = MemoryKeys(), MemoryKeys(), FakeClock()
    carrying = copy(source, target, clock)
    source.put(b"session:a", b"v", 60_000)
    carrying.copy()
    target.put(b"session:a", b"prolonged", 60_000)
    clock.sleep(60)
    source.delete([b"session:a"])
    source.happened.append(KeyChanges(deleted=(b"session:a",)))

    carrying.follow(0)

    assert target.value(b"session:a") == b"prolonged"


def test_what_has_not_arrived_is_missing() -> None:
    source, target = MemoryKeys(), MemoryKeys()
    source.put(b"session:a", b"v")

    assert copy(source, target).missing() == [b"session:a"]
