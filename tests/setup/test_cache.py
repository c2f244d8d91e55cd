"""The cache of setup: names that follow what goes in, and nothing half-done taken for done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.setup import SetupError, cache, find_tools
from lab.setup.go_tools import KUBERNETES, GoTools

INPUTS = st.dictionaries(st.text(max_size=5), st.binary(max_size=5), max_size=3)


@given(INPUTS, INPUTS)
def test_equal_inputs_have_equal_names_and_others_do_not(
    one: dict[str, bytes], other: dict[str, bytes]
) -> None:
    assert (cache.key(one) == cache.key(other)) == (one == other)


def tools(folder: Path) -> GoTools:
    folder.mkdir()
    (folder / "go.mod").write_text("module m\n\ngo 1.26.1\n")
    (folder / "go.sum").write_text("")
    return replace(KUBERNETES, folder=folder)


def test_the_name_of_a_build_follows_its_modules_programs_and_flags(tmp_path: Path) -> None:
    original = tools(tmp_path / "tools")
    keys = {
        original.key(),
        replace(original, flags=("-x",)).key(),
        replace(original, programs={"a": "b"}).key(),
    }
    for name in ("go.mod", "go.sum"):
        with (original.folder / name).open("a") as file:
            file.write("// more\n")
        keys.add(original.key())

    assert len(keys) == 5
    assert original.go_version() == (1, 26, 1)


def test_a_go_mod_without_a_version_is_refused_by_name(tmp_path: Path) -> None:
    broken = tools(tmp_path / "tools")
    (broken.folder / "go.mod").write_text("module m\n")
    with pytest.raises(SetupError, match=r"tools/go\.mod does not say which Go"):
        broken.go_version()


def test_an_interrupted_build_starts_anew_and_a_complete_one_is_left_alone(tmp_path: Path) -> None:
    built = tmp_path / "cache" / "thing-1"

    def interrupted(folder: Path) -> Mapping[str, str]:
        (folder / "half").write_text("")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.build(built, interrupted)
    assert not cache.is_complete(built)

    def whole(folder: Path) -> Mapping[str, str]:
        assert list(folder.iterdir()) == []
        (folder / "all").write_text("")
        return {"version": "1"}

    cache.build(built, whole)
    assert cache.is_complete(built)
    cache.build(built, interrupted)
    assert (built / "all").exists()


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"LANDFALL_CACHE": "/a/b"}, "/a/b"),
        ({"XDG_CACHE_HOME": "/c"}, "/c/landfall"),
        ({"HOME": "/home/me"}, "/home/me/.cache/landfall"),
    ],
)
def test_where_the_cache_is(
    monkeypatch: pytest.MonkeyPatch, environment: Mapping[str, str], expected: str
) -> None:
    for name in ("LANDFALL_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert str(cache.folder()) == expected


def test_missing_tools_are_named_together_with_what_brings_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANDFALL_TOOLS", str(tmp_path))
    with pytest.raises(SetupError, match=r"kube-apiserver, kube-controller-manager.*python3 -m lab\.setup"):
        find_tools()
