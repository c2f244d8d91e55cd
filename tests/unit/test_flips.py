"""Flip files: what is written is read back, and everything else in the file stays."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stacks.settings import (
    CallerFlips,
    EdgeFlips,
    Flips,
    SettingsError,
    SourceFlips,
    TargetFlips,
    load_flips,
    write_flips,
)
from tests.unit.recording import project_copy

BOSS = "billing-guance-intl/boss"
REDIS = "middleware/redis-basis"
REPLICAS = st.dictionaries(st.sampled_from([BOSS, REDIS]), st.integers(0, 1000))
FLIPS: st.SearchStrategy[tuple[str, Flips]] = st.one_of(
    st.tuples(
        st.just("prod-edge"),
        st.builds(
            EdgeFlips,
            records=st.dictionaries(st.just("bill.truewatch.com"), st.sampled_from(["source", "target"])),
            ttl=st.sampled_from([None, "original", "lowered"]),
        ),
    ),
    st.tuples(
        st.just("prod-source"),
        st.builds(
            SourceFlips,
            replicas=REPLICAS,
            stragglers=st.sampled_from([None, "absent", "standby", "forward"]),
        ),
    ),
    st.tuples(
        st.just("prod-automata"),
        st.builds(
            CallerFlips,
            callers=st.dictionaries(st.just("automata/automata"), st.sampled_from(["source", "target"])),
        ),
    ),
    st.tuples(
        st.just("prod-target"),
        st.builds(
            TargetFlips,
            replicas=REPLICAS,
            database=st.sampled_from([None, "internal", "eip", "target"]),
            gate=st.sampled_from([None, "absent", "standby", "serve"]),
            gate_side=st.sampled_from([None, "source", "target"]),
        ),
    ),
)
LAYOUTS = [
    "",
    "config: {}\n",
    "config:\n",
    "# a comment\nencryptionsalt: v1:a:b\nconfig:\n  # first\n  aws:region: x # why\n\n"
    "  o:key: [1, 2]\n# tail\n",
    "config:\n    aws:region: x\nencryptionsalt: v1:abc:def\n",
    "config: {aws:region: x}\nencryptionsalt: v1:abc:def",
    "config:\n  landfall:replicas:\n    middleware/redis-basis: 7\n\n  # about the region\n  aws:region: x\n",
    "config:\n  other:text: |\n    two\n    lines\n",
    "encryptionsalt: v1:abc:def",
]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)
@given(layout=st.sampled_from(LAYOUTS), first=FLIPS, second=FLIPS)
def test_what_is_written_is_read_and_all_else_stays(
    tmp_path: Path, layout: str, first: tuple[str, Flips], second: tuple[str, Flips]
) -> None:
    project_copy(tmp_path)
    before = yaml.safe_load(layout) or {}
    for stack in {first[0], second[0]}:
        (tmp_path / f"Pulumi.{stack}.yaml").write_text(layout)
    for stack, flips in (first, second):
        write_flips(tmp_path, stack, flips)
        assert load_flips(tmp_path, stack) == flips
        text = (tmp_path / f"Pulumi.{stack}.yaml").read_text()
        after = yaml.safe_load(text)
        for document in (before, after):
            document["config"] = {
                key: value
                for key, value in (document.get("config") or {}).items()
                if not key.startswith("landfall:")
            }
        assert after == before
        for comment in ("# a comment", "# first", "# why", "# tail"):
            if not layout.startswith("config: {") and comment in layout:
                assert comment in text


def test_the_same_flips_leave_the_file_as_it_is(tmp_path: Path) -> None:
    folder = project_copy(tmp_path)
    path = folder / "Pulumi.prod-edge.yaml"
    before = path.read_text()
    write_flips(folder, "prod-edge", load_flips(folder, "prod-edge"))
    assert path.read_text() == before


def test_a_flip_there_and_back_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    folder = project_copy(tmp_path)
    path = folder / "Pulumi.prod-target.yaml"
    before = path.read_text()
    write_flips(folder, "prod-target", TargetFlips(database="eip"))
    assert path.read_text() != before
    write_flips(folder, "prod-target", TargetFlips())
    assert path.read_text() == before


def test_nothing_is_left_beside_the_file_and_its_mode_stays(tmp_path: Path) -> None:
    folder = project_copy(tmp_path)
    path = folder / "Pulumi.prod-target.yaml"
    path.chmod(0o640)
    names = sorted(folder.iterdir())
    write_flips(folder, "prod-target", TargetFlips(database="eip"))
    assert sorted(folder.iterdir()) == names
    assert path.stat().st_mode & 0o777 == 0o640


def test_flips_of_another_stack_are_refused(tmp_path: Path) -> None:
    folder = project_copy(tmp_path)
    with pytest.raises(ValueError, match="EdgeFlips"):
        write_flips(folder, "prod-edge", TargetFlips())
    with pytest.raises(ValueError, match="no flip keys"):
        load_flips(folder, "prod")


@pytest.mark.parametrize(
    ("stack", "config", "expected"),
    [
        ("prod-edge", {"landfall:recrods": {}}, "landfall:recrods: unknown key; did you mean records"),
        ("prod-edge", {"landfall:records": {"bill.truewatch.com": "both"}}, "'source' or 'target'"),
        ("prod-edge", {"landfall:records": {"pay.truewatch.com": "source"}}, "one of bill.truewatch.com"),
        ("prod-source", {"landfall:replicas": {BOSS: -1}}, "greater than or equal to 0"),
        ("prod-source", {"landfall:replicas": {"boss": 1}}, "namespace/name"),
        ("prod-target", {"landfall:replicas": {"other/boss": 1}}, "one of middleware/redis-basis"),
        ("prod-automata", {"landfall:callers": {"kodo/kodo": "target"}}, "one of automata/automata"),
        ("prod-automata", {"landfall:callers": {"automata/automata": "both"}}, "'source' or 'target'"),
        ("prod-source", {"landfall:callers": {"automata/automata": "source"}}, "none, as the settings name"),
        (
            "prod-truewatch-1",
            {"landfall:callers": {"kodo/kodo": "source"}},
            "none, as the settings name none",
        ),
        ("prod-target", {"landfall:database": "here"}, "'internal', 'eip' or 'target'"),
    ],
)
def test_wrong_flips_are_named(tmp_path: Path, stack: str, config: dict[str, Any], expected: str) -> None:
    folder = project_copy(tmp_path)
    (folder / f"Pulumi.{stack}.yaml").write_text(yaml.safe_dump({"config": config}))
    with pytest.raises(SettingsError) as caught:
        load_flips(folder, stack)
    assert expected in str(caught.value)
    assert re.search(rf"Pulumi\.{stack}\.yaml:[23]: landfall:", str(caught.value))
