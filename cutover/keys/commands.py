"""What redis-cli is told and what it answers: one line each way, with keys and values in hexadecimal."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cutover.errors import StepError
from cutover.ports import KeyValue

_HEX = (
    "local function hex(s) return (s:gsub('.', function(c) return string.format('%02x', c:byte()) end)) end "
)
_RAW = "local function raw(s) return (s:gsub('..', function(c) return string.char(tonumber(c, 16)) end)) end "
_DATABASES = _HEX + "return 'ok ' .. hex(redis.call('INFO', 'keyspace'))"
_SCAN = (
    _HEX + "local r = redis.call('SCAN', ARGV[1], 'COUNT', '1000') local out = {'ok', r[1]} "
    "for _, k in ipairs(r[2]) do out[#out + 1] = hex(k) end return table.concat(out, ' ')"
)
_READ = (
    _HEX + _RAW + "local out = {'ok'} for _, h in ipairs(ARGV) do local k = raw(h) "
    "local d = redis.call('DUMP', k) if d then "
    "out[#out + 1] = h .. ':' .. redis.call('PTTL', k) .. ':' .. hex(d) end end return table.concat(out, ' ')"
)
_WRITE = (
    _RAW + "local n = 0 for i = 2, #ARGV, 3 do local k = raw(ARGV[i]) local t = tonumber(ARGV[i + 1]) "
    "local there = redis.call('PTTL', k) "
    "local keep = ARGV[1] == 'later' and there ~= -2 and (there == -1 or (t > 0 and there >= t - 1000)) "
    "if not keep then redis.call('RESTORE', k, math.max(t, 0), raw(ARGV[i + 2]), 'REPLACE') n = n + 1 end "
    "end return 'ok ' .. n"
)
_DELETE = _RAW + "for _, h in ipairs(ARGV) do redis.call('DEL', raw(h)) end return 'ok'"
_SET = _RAW + "redis.call('SET', raw(ARGV[1]), '1') return 'ok'"
_ITEMS = (
    _RAW + "local n = 0 for _, h in ipairs(ARGV) do for _, k in ipairs(redis.call('KEYS', raw(h))) do "
    "n = n + redis.call('LLEN', k) end end return 'ok ' .. n"
)
_TOKEN = re.compile(rb'"((?:[^"\\]|\\.)*)"')
_ESCAPE = re.compile(rb"\\(x[0-9a-fA-F]{2}|.)", re.DOTALL)
_PLAIN = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"a": b"\a", b"b": b"\b"}
_NO_KEY = frozenset(
    {b"PING", b"SELECT", b"REPLCONF", b"MULTI", b"EXEC", b"SCRIPT", b"FUNCTION", b"PUBLISH", b"SPUBLISH",
     b"FLUSHALL", b"FLUSHDB"}
)  # fmt: skip
_TWO_KEYS = frozenset(
    {b"RENAME", b"RENAMENX", b"COPY", b"SMOVE", b"RPOPLPUSH", b"LMOVE", b"XGROUP", b"BITOP"}
)
_ALL_KEYS = frozenset({b"DEL", b"UNLINK"})


@dataclass(frozen=True)
class Written:
    """What a command that a server carried out did to keys."""

    changed: tuple[bytes, ...] = ()
    deleted: tuple[bytes, ...] = ()


def databases() -> bytes:
    """Asks which databases hold keys."""
    return _line(_DATABASES)


def set_flag(key: bytes) -> bytes:
    """Sets a key to 1."""
    return _line(_SET, key.hex())


def items(patterns: Iterable[bytes]) -> bytes:
    """Asks how many items the lists hold whose keys match one of the patterns."""
    return _line(_ITEMS, *(pattern.hex() for pattern in patterns))


def scan(cursor: str) -> bytes:
    """Asks for some keys."""
    return _line(_SCAN, cursor)


def read(keys: Iterable[bytes]) -> bytes:
    """Asks for values with their times to live."""
    return _line(_READ, *(key.hex() for key in keys))


def write(values: Iterable[KeyValue], *, later_wins: bool) -> bytes:
    """Writes values. `later_wins`: what is there and expires no earlier stays as it is."""
    words = (word for value in values for word in (value.key.hex(), str(value.ttl_ms), value.dump.hex()))
    return _line(_WRITE, "later" if later_wins else "always", *words)


def delete(keys: Iterable[bytes]) -> bytes:
    """Deletes keys."""
    return _line(_DELETE, *(key.hex() for key in keys))


def answer(line: bytes, place: str) -> Sequence[str]:
    """The words of an answer. Raises StepError for an error of the server's."""
    words = line.decode("ascii", "replace").split()
    if not words or words[0] != "ok":
        # An error of ours names no values: those go in as hexadecimal arguments, which are not repeated.
        raise StepError(f"Redis on {place} refused: {line.decode('utf-8', 'replace').strip()[:300]}")
    return words[1:]


def used_databases(words: Sequence[str]) -> list[str]:
    """The databases that hold keys, such as `db0`."""
    text = bytes.fromhex(words[0]).decode() if words else ""
    return re.findall(r"^(db\d+):", text, re.MULTILINE)


def values(words: Iterable[str]) -> list[KeyValue]:
    """What `read` is answered."""
    parts = (word.split(":") for word in words)
    return [KeyValue(bytes.fromhex(key), int(ttl), bytes.fromhex(dump)) for key, ttl, dump in parts]


def written(line: bytes) -> Written:
    """What a line of `redis-cli --replica` says was carried out."""
    words = [_unescaped(word) for word in _TOKEN.findall(line)]
    if not words or (name := words[0].upper()) in _NO_KEY:
        return Written()
    if name in _ALL_KEYS:
        return Written(deleted=tuple(words[1:]))
    if name in (b"MSET", b"MSETNX"):
        return Written(changed=tuple(words[1::2]))
    return Written(changed=tuple(words[1:3] if name in _TWO_KEYS else words[1:2]))


def _unescaped(word: bytes) -> bytes:
    def one(found: re.Match[bytes]) -> bytes:
        code = found[1]
        return bytes([int(code[1:], 16)]) if len(code) == 3 else _PLAIN.get(code, code)

    return _ESCAPE.sub(one, word)


def _line(script: str, *arguments: str) -> bytes:
    return f'EVAL "{script}" 0 {" ".join(arguments)}\n'.encode()
