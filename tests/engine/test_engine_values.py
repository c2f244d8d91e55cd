"""Pure parts of the engine: property paths, ignored changes, comparison, messages, durations."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.engine import changes, goal, urn, values, wire
from lab.engine.providers import Change, Diff
from lab.engine.state import open_value, seal_value
from lab.engine.values import UNKNOWN, Secret

TEXTS = st.text(alphabet='ab."[]\\0 é', max_size=4)
SCALARS = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5)
PLAIN = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
VALUES = st.recursive(
    SCALARS | PLAIN.map(Secret),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(st.text(alphabet='ab."[] é', min_size=1, max_size=4), min_size=1, max_size=3))
def test_a_path_leads_back_to_its_keys(keys: list[str]) -> None:
    path = ""
    for key in keys:
        path = changes.join(path, key)
    assert values.parse_path(path) == keys


@pytest.mark.parametrize(
    ("path", "segments"),
    [
        ("a", ["a"]),
        ("a.b[2].c", ["a", "b", 2, "c"]),
        ('["a.b"]["c\\"d"]', ["a.b", 'c"d']),
        ("a[*].b", ["a", "*", "b"]),
        ("metadata.annotations", ["metadata", "annotations"]),
    ],
)
def test_paths_have_segments(path: str, segments: list[str | int]) -> None:
    assert values.parse_path(path) == segments


@pytest.mark.parametrize("path", ["a..b", 'a["b', "a[x]", "a[1", "a."])
def test_a_malformed_path_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="property path"):
        values.parse_path(path)


@given(st.dictionaries(TEXTS, VALUES, max_size=4))
def test_messages_carry_properties(properties: dict[str, Any]) -> None:
    assert wire.decode(wire.encode(properties, secrets=True)) == properties
    assert wire.decode(wire.encode(properties, secrets=False)) == values.plain(properties)


@given(st.dictionaries(TEXTS, VALUES, max_size=4))
def test_the_state_carries_properties(properties: dict[str, Any]) -> None:
    assert open_value(seal_value(properties, None), None) == properties


def test_unknowns_travel_and_are_never_written() -> None:
    properties = {"known": 1, "unknown": {"inner": [UNKNOWN]}, "hidden": Secret(UNKNOWN)}
    found = wire.decode(wire.encode(properties, secrets=True))
    assert found == {"known": 1, "unknown": {"inner": [UNKNOWN]}, "hidden": UNKNOWN}
    assert wire.decode(wire.encode(properties, secrets=True, unknowns=False)) == {"known": 1}
    with pytest.raises(TypeError, match="unknown"):
        seal_value(properties, None)


def test_whole_numbers_stay_whole() -> None:
    assert str(wire.decode(wire.encode({"a": 3, "b": 2.5}, secrets=True))) == "{'a': 3, 'b': 2.5}"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a", {"a": 1, "list": [{"x": 5, "y": 6}], "new": 1}),
        ("list[0].x", {"a": 2, "list": [{"x": 3, "y": 6}], "new": 1}),
        ("list[*].y", {"a": 2, "list": [{"x": 5, "y": 4}], "new": 1}),
        ("list[7].y", {"a": 2, "list": [{"x": 5, "y": 6}], "new": 1}),
        ("new", {"a": 2, "list": [{"x": 5, "y": 6}]}),
        ("gone", {"a": 2, "list": [{"x": 5, "y": 6}], "new": 1, "gone": 0}),
        ("*", {"a": 1, "list": [{"x": 3, "y": 4}], "gone": 0}),
        ("a.b.c", {"a": 2, "list": [{"x": 5, "y": 6}], "new": 1}),
    ],
)
def test_ignored_changes_are_undone(path: str, expected: dict[str, Any]) -> None:
    old = {"a": 1, "list": [{"x": 3, "y": 4}], "gone": 0}
    new = {"a": 2, "list": [{"x": 5, "y": 6}], "new": 1}
    assert changes.ignoring(new, old, (path,)) == expected
    assert new == {"a": 2, "list": [{"x": 5, "y": 6}], "new": 1}


@given(st.dictionaries(TEXTS, PLAIN, max_size=4))
def test_what_is_equal_has_no_changes(properties: dict[str, Any]) -> None:
    assert changes.compare(properties, properties, Diff("unknown")).changes == "none"


def test_a_comparison_names_the_leaves() -> None:
    old = {"a": {"b": 1, "gone": 1}, "list": [1, 2], "kept": Secret("x")}
    new = {"a": {"b": 2, "x.y": 1}, "list": [1], "kept": "x"}
    found = changes.compare(old, new, Diff("unknown"))
    assert found.keys == ("a", "list")
    assert dict(found.detailed) == {
        "a.b": Change("update", input_diff=True),
        "a.gone": Change("delete", input_diff=True),
        'a["x.y"]': Change("add", input_diff=True),
        "list[1]": Change("delete", input_diff=True),
    }


@pytest.mark.parametrize(
    ("paths", "replaces"),
    [(("a.b",), ("a",)), (("a",), ("a",)), (("*",), ("a",)), (("a.c",), ()), (("z",), ())],
)
def test_declared_paths_force_a_replacement(paths: tuple[str, ...], replaces: tuple[str, ...]) -> None:
    diff = Diff("some", keys=("a",), detailed={"a.b[0]": Change("update")})
    assert changes.replacing_on(diff, paths).replaces == replaces


def test_secrecy_is_carried_over() -> None:
    inputs = {"a": Secret("x"), "b": [{"c": Secret(1)}, 2], "d": 1}
    outputs = {"a": "x", "b": [{"c": 1}, 2, 3], "d": 1, "e": 2}
    assert values.mark_like(outputs, inputs) == {
        "a": Secret("x"),
        "b": [{"c": Secret(1)}, 2, 3],
        "d": 1,
        "e": 2,
    }


@pytest.mark.parametrize(
    ("text", "expected"), [("5m", 300.0), ("1h30m", 5400.0), ("250ms", 0.25), ("1.5s", 1.5)]
)
def test_durations_are_seconds(text: str, expected: float) -> None:
    assert goal.seconds(text) == expected


@pytest.mark.parametrize("text", ["5", "m", "5x", "-5m"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        goal.seconds(text)


def test_urns_tell_types_and_names() -> None:
    stack = urn.make("dev", "shop", "", urn.STACK_TYPE, "shop-dev")
    group = urn.make("dev", "shop", stack, "shop:index:Group", "a::b")
    child = urn.make("dev", "shop", group, "cloud:index:Thing", "child")
    assert group == "urn:pulumi:dev::shop::shop:index:Group::a::b"
    assert child == "urn:pulumi:dev::shop::shop:index:Group$cloud:index:Thing::child"
    assert (urn.name_of(group), urn.type_of(child)) == ("a::b", "cloud:index:Thing")
