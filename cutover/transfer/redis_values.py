"""A digest of a key's value that does not depend on how a server happens to keep it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import Any

from cutover.transfer.redis_server import RedisDatabase


def digest(store: RedisDatabase, name: bytes, kind: str) -> str:
    """Of a key of a type, as TYPE says it. Raises StepError."""
    made = hashlib.sha256()
    for part in _READ.get(kind, _dumped)(store, name):
        made.update(b"%d:" % len(part))
        made.update(part)
    return made.hexdigest()


def _string(store: RedisDatabase, name: bytes) -> Iterable[bytes]:
    return [_bytes(store.call("GET", name))]


def _list(store: RedisDatabase, name: bytes) -> Iterable[bytes]:
    return [_bytes(item) for item in store.call("LRANGE", name, 0, -1)]


def _set(store: RedisDatabase, name: bytes) -> Iterable[bytes]:
    return sorted(_bytes(item) for item in store.call("SMEMBERS", name))


def _hash(store: RedisDatabase, name: bytes) -> Iterable[bytes]:
    found = _pairs(store.call("HGETALL", name))
    return [part for pair in sorted(found) for part in pair]


def _sorted_set(store: RedisDatabase, name: bytes) -> Iterable[bytes]:
    found = _pairs(store.call("ZRANGE", name, 0, -1, "WITHSCORES"))
    return [part for member, score in found for part in (member, repr(float(score)).encode())]


def _stream(store: RedisDatabase, name: bytes) -> Iterable[bytes]:
    return [repr(item).encode() for item in store.call("XRANGE", name, "-", "+")]


def _dumped(store: RedisDatabase, name: bytes) -> Iterable[bytes]:
    """Of a type that a module brings: as it is serialized."""
    return [_bytes(store.call("DUMP", name))]


_READ: dict[str, Callable[[RedisDatabase, bytes], Iterable[bytes]]] = {
    "string": _string,
    "list": _list,
    "set": _set,
    "hash": _hash,
    "zset": _sorted_set,
    "stream": _stream,
}


def _pairs(answer: Any) -> list[tuple[bytes, bytes]]:
    """The client gives some answers as a mapping or as pairs, and some as a flat list."""
    if isinstance(answer, dict):
        return [(_bytes(key), _bytes(value)) for key, value in answer.items()]
    items = list(answer)
    if items and isinstance(items[0], tuple | list):
        return [(_bytes(key), _bytes(value)) for key, value in items]
    return [(_bytes(key), _bytes(value)) for key, value in zip(items[::2], items[1::2], strict=True)]


def _bytes(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    return b"" if value is None else str(value).encode()
