"""One form for a value of MySQL and of PostgreSQL: the same text where, and only where, they are the same.

Both servers give every value as text (MySQL binary values as bytes, PostgreSQL as hexadecimal digits).
Which form is compared depends on both columns' types: `tinyint(1)` and `boolean` are compared as truth
values, `float` and `double precision` as numbers, and so on. NULL is None, and never the empty text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

Raw = str | bytes | None
"""A value as a server gives it."""
_INTEGERS = ("tinyint", "smallint", "mediumint", "int", "integer", "bigint", "year")
_BINARY = ("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob")
_MOMENTS = ("datetime", "timestamp", "date")
_JSON = ("json", "jsonb")
_ZERO = re.compile(r"^0000-00-00(?: 00:00:00(?:\.0+)?)?$")
_FRACTION = re.compile(r"\.(\d*?)0+$")
_ZONE = re.compile(r"\+00(?::?00)?$")
_TO_THE_SECOND = len("2020-01-02 03:04:05")
_MIDNIGHT = "00:00:00"
_CONTROL = "!"
"""Precedes what has no form of its own kind, so that it is the same as nothing else."""


@dataclass(frozen=True)
class Form:
    """How the values of a pair of columns are compared."""

    kind: str
    mysql: Callable[[str | bytes], str]
    postgres: Callable[[str], str]


def form(mysql_type: str, postgres_type: str) -> Form:
    """The form for a column of MySQL (such as `tinyint`) and one of PostgreSQL (such as `boolean`)."""
    if postgres_type == "boolean":
        return _BOOLEAN
    if postgres_type == "bytea":
        return _BYTES
    if postgres_type in _JSON:
        return _DOCUMENT
    if mysql_type == "char" and postgres_type == "character":
        return _PADDED
    return _BY_TYPE.get(mysql_type, _TEXT)


def is_zero_date(value: Raw) -> bool:
    """Whether it is MySQL's date that is none; PostgreSQL has NULL for it."""
    return value is not None and _ZERO.match(text(value)) is not None


def text(value: str | bytes) -> str:
    """Text as it is; bytes that are no UTF-8 as surrogates, which keep them apart."""
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value


def number(value: str) -> str:
    """An exact number, without zeros that say nothing."""
    if value.isdecimal() and value.isascii() and value[0] != "0":
        return value  # nearly all of them
    try:
        found = Decimal(value)
    except InvalidOperation:
        return _CONTROL + value
    if not found.is_finite():
        return _CONTROL + str(found)
    if not found:
        return "0"
    # `normalize` would round to 28 digits, and a column may have 65
    written = format(found, "f")
    return written.rstrip("0").rstrip(".") if "." in written else written


def floating(value: str) -> str:
    """A floating number as the application reads it: MySQL gives six digits of a `float`."""
    try:
        found = float(value)
    except ValueError:
        return _CONTROL + value
    return repr(found + 0.0)  # -0.0 is 0.0 for whoever reads it


def moment(value: str) -> str:
    """A date, with a time or without: years in four digits, no zeros at the end of a fraction, no zone."""
    if len(value) == _TO_THE_SECOND and value[10] == " " and value[11:] != _MIDNIGHT:
        return value  # nearly all of them
    found = _fraction(_ZONE.sub("", value.replace("T", " ")))
    return found.removesuffix(f" {_MIDNIGHT}")


def document(value: str) -> str:
    """JSON whatever the order of its keys and its blanks; what is none is compared as text."""
    try:
        return _written(json.loads(value, parse_float=_Number, parse_int=_Number))
    except (ValueError, RecursionError):
        return _CONTROL + value


class _Number(str):
    """A number of a JSON document, as it stands there."""

    __slots__ = ()


def _written(value: Any) -> str:
    if isinstance(value, _Number):
        return number(str(value))
    if isinstance(value, dict):
        inside = (f"{json.dumps(key)}:{_written(item)}" for key, item in sorted(value.items()))
        return "{" + ",".join(inside) + "}"
    if isinstance(value, list):
        return "[" + ",".join(_written(item) for item in value) + "]"
    return json.dumps(value)


def _fraction(value: str) -> str:
    found = _FRACTION.search(value)
    if not found:
        return value
    digits = found[1]
    return value[: found.start()] + (f".{digits}" if digits else "")


def _mysql_boolean(value: str | bytes) -> str:
    """0 and 1; anything else is neither true nor false, and would be lost."""
    given = str(int.from_bytes(value)) if isinstance(value, bytes) else number(value)
    return {"0": "f", "1": "t"}.get(given, _CONTROL + given)


def _postgres_boolean(value: str) -> str:
    return {"true": "t", "false": "f", "t": "t", "f": "f"}.get(value, _CONTROL + value)


def _mysql_bits(value: str | bytes) -> str:
    return str(int.from_bytes(value)) if isinstance(value, bytes) else number(value)


def _postgres_bits(value: str) -> str:
    return str(int(value, 2)) if value and set(value) <= {"0", "1"} else _CONTROL + value


def _hexadecimal(value: str | bytes) -> str:
    return value.hex() if isinstance(value, bytes) else value.encode("utf-8", "surrogateescape").hex()


_TEXT = Form("text", text, str)
_BOOLEAN = Form("boolean", _mysql_boolean, _postgres_boolean)
_BITS = Form("integer", _mysql_bits, _postgres_bits)
_BYTES = Form("bytes", _hexadecimal, str)
_NUMBER = Form("number", lambda value: number(text(value)), number)
_FLOATING = Form("float", lambda value: floating(text(value)), floating)
_MOMENT = Form("moment", lambda value: moment(text(value)), moment)
_TIME = Form("time", lambda value: _fraction(text(value)), _fraction)
_DOCUMENT = Form("json", lambda value: document(text(value)), document)
# PostgreSQL fills up with blanks, which MySQL takes away when it reads.
_PADDED = Form("text", lambda value: text(value).rstrip(" "), lambda value: value.rstrip(" "))
_UUID = Form("text", lambda value: text(value).lower(), str.lower)
_BY_TYPE = {
    "bit": _BITS,
    "time": _TIME,
    "uuid": _UUID,
    **dict.fromkeys(_BINARY, _BYTES),
    **dict.fromkeys((*_INTEGERS, "decimal", "numeric"), _NUMBER),
    **dict.fromkeys(("float", "double"), _FLOATING),
    **dict.fromkeys(_MOMENTS, _MOMENT),
    **dict.fromkeys(_JSON, _DOCUMENT),
}
