"""One form for the values of two kinds of server: what is the same looks the same, and nothing else does."""

from __future__ import annotations

import json
import struct
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cutover.transfer.across_rows import _digest as digest
from cutover.transfer.canonical import document, floating, form, is_zero_date, moment, number


@pytest.mark.parametrize(
    ("mysql_type", "mysql", "postgres_type", "postgres"),
    [
        ("tinyint", "1", "boolean", "true"),
        ("tinyint", "0", "boolean", "false"),
        ("bit", b"\x01", "boolean", "true"),
        ("bit", b"\xaa", "bit", "10101010"),
        ("tinyint", "-5", "smallint", "-5"),
        ("bigint", "18446744073709551615", "numeric", "18446744073709551615"),
        ("year", "0000", "integer", "0"),
        ("decimal", "12.5000", "numeric", "12.5"),
        ("decimal", "-0.0000", "numeric", "0"),
        ("float", "-1e30", "double precision", "-1e+30"),
        ("double", "1e-301", "double precision", "1e-301"),
        ("datetime", "2020-01-02 03:04:05.120000", "timestamp without time zone", "2020-01-02 03:04:05.12"),
        ("timestamp", "1970-01-01 00:00:01", "timestamp with time zone", "1970-01-01 00:00:01+00"),
        ("datetime", "0020-01-01 00:00:00", "timestamp without time zone", "0020-01-01 00:00:00"),
        ("date", "9999-12-31", "date", "9999-12-31"),
        ("time", "12:34:56.500", "time without time zone", "12:34:56.5"),
        ("blob", b"\x00\xff", "bytea", "00ff"),
        ("varchar", "é😀\\", "character varying", "é😀\\"),
        ("char", "ab", "character", "ab   "),
        ("json", '{"b": 1.0, "a": [1, "x"]}', "jsonb", '{"a": [1, "x"], "b": 1}'),
        ("longtext", "a", "text", "a"),
        ("enum", "b'c", "accounts_kind", "b'c"),
        ("uuid", "AB-CD", "uuid", "ab-cd"),
    ],
)
def test_the_same_value_looks_the_same(
    mysql_type: str, mysql: str | bytes, postgres_type: str, postgres: str
) -> None:
    how = form(mysql_type, postgres_type)
    assert how.mysql(mysql) == how.postgres(postgres)


@pytest.mark.parametrize(
    ("mysql_type", "mysql", "postgres_type", "postgres"),
    [
        ("tinyint", "2", "boolean", "true"),
        ("tinyint", "-1", "boolean", "true"),
        ("decimal", "0.1", "numeric", "0.10000000000000001"),
        ("double", "0.1", "double precision", "0.10000000000000002"),
        ("datetime", "2020-01-02 03:04:05", "timestamp without time zone", "2020-01-02 03:04:06"),
        ("datetime", "2020-01-02 03:04:05", "timestamp with time zone", "2020-01-02 03:04:05+02"),
        ("date", "2019-05-00", "date", "2019-05-01"),
        ("varchar", "a", "character varying", "A"),
        ("varchar", "a ", "character varying", "a"),
        ("varchar", "é", "character varying", "e\u0301"),
        ("blob", b"\x5c", "bytea", "5c5c"),
        ("json", '{"a": 1}', "jsonb", '{"a": "1"}'),
        ("json", "[1,2]", "jsonb", "[2,1]"),
        ("json", "null", "jsonb", '"null"'),
    ],
)
def test_another_value_looks_otherwise(
    mysql_type: str, mysql: str | bytes, postgres_type: str, postgres: str
) -> None:
    how = form(mysql_type, postgres_type)
    assert how.mysql(mysql) != how.postgres(postgres)


@given(st.decimals(allow_nan=False, allow_infinity=False), st.integers(0, 5))
def test_a_number_is_the_same_whatever_zeros_it_ends_with(value: Decimal, zeros: int) -> None:
    text = format(value, "f")
    padded = f"{text}{'' if '.' in text else '.'}{'0' * zeros}".rstrip(".")
    assert number(padded) == number(text)
    assert Decimal(number(text)) == value


@given(st.decimals(allow_nan=False, allow_infinity=False), st.decimals(allow_nan=False, allow_infinity=False))
def test_numbers_look_the_same_only_if_they_are(one: Decimal, other: Decimal) -> None:
    assert (number(format(one, "f")) == number(format(other, "f"))) == (one == other)


@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(allow_nan=False, allow_infinity=False))
def test_floats_look_the_same_only_if_they_are(one: float, other: float) -> None:
    assert (floating(repr(one)) == floating(f"{other!r}")) == (one == other)
    assert struct.pack("d", float(floating(repr(one)))) == struct.pack("d", one + 0.0)


@given(st.datetimes())
def test_a_moment_is_the_same_however_its_fraction_is_written(value: object) -> None:
    shown = str(value)
    longer = shown if "." in shown else f"{shown}.000000"
    assert moment(shown) == moment(longer) == moment(f"{shown}+00") == moment(shown.replace(" ", "T"))


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(), inside, max_size=3),
    max_leaves=10,
)


@given(_JSON, _JSON)
def test_documents_look_the_same_only_if_they_are(one: object, other: object) -> None:
    written = json.dumps(one, indent=1, sort_keys=True, ensure_ascii=False)
    assert document(written) == document(json.dumps(one))
    # unlike Python's ==, JSON's true is no 1
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (document(written) == document(json.dumps(other))) == same


def test_what_is_no_json_is_compared_as_text() -> None:
    assert document("{") == document("{") != document("{ ")
    assert document("[" * 100_000) != document("[" * 100_001)


@given(
    st.lists(st.none() | st.text(max_size=4), max_size=4).map(tuple),
    st.lists(st.none() | st.text(max_size=4), max_size=4).map(tuple),
)
def test_rows_have_the_same_digest_only_if_they_are_the_same(
    one: tuple[str | None, ...], other: tuple[str | None, ...]
) -> None:
    assert (digest(one) == digest(other)) == (one == other)


def test_null_and_the_empty_text_and_the_letter_are_told_apart() -> None:
    assert len({digest(row) for row in ((None,), ("",), ("N",), ("N", None), (None, "N"), ("V0:",))}) == 6


@pytest.mark.parametrize("text", ["0000-00-00", "0000-00-00 00:00:00", b"0000-00-00 00:00:00.000000"])
def test_a_zero_date_is_one(text: str | bytes) -> None:
    assert is_zero_date(text)


@pytest.mark.parametrize("text", [None, "0000-01-00", "0001-01-01", "0000-00-00 00:00:01", "2019-00-10"])
def test_a_date_that_is_only_odd_is_no_zero_date(text: str | None) -> None:
    assert not is_zero_date(text)
