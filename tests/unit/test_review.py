"""Previews as pages for a reviewer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stacks.review import main, markdown, stacks_of

REPOSITORY = Path(__file__).resolve().parents[2]
URN = "urn:pulumi:prod-edge::landfall::cloudflare:index/dnsRecord:DnsRecord::bill.truewatch.com"


def step(operation: str, before: dict[str, Any], after: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "op": operation,
        "urn": URN,
        "oldState": {"inputs": before},
        "newState": {"inputs": after},
        **more,
    }


def test_an_update_is_shown_property_by_property() -> None:
    changed = step(
        "update",
        {"content": "203.0.113.10", "ttl": 300},
        {"content": "203.0.113.67", "ttl": 300},
        detailedDiff={"content": {"kind": "update", "inputDiff": True}},
    )
    page = markdown("prod-edge", {"steps": [changed]})

    assert page.startswith("# prod-edge: 1 update\n")
    assert "## update cloudflare:index/dnsRecord:DnsRecord `bill.truewatch.com`" in page
    assert "| `content` | 203.0.113.10 | 203.0.113.67 |" in page
    assert "ttl" not in page


def test_without_a_detailed_difference_what_differs_is_found() -> None:
    page = markdown("s", {"steps": [step("update", {"a": 1, "b": 2}, {"a": 1, "b": 3})]})

    assert "| `b` | 2 | 3 |" in page
    assert "`a`" not in page


def test_nested_paths_and_replaces_are_shown() -> None:
    before = {"spec": {"rules": [{"a.b": "x"}]}}
    after = {"spec": {"rules": [{"a.b": "y|z"}]}}
    difference = {'spec.rules[0]["a.b"]': {"kind": "update-replace", "inputDiff": True}}
    page = markdown("s", {"steps": [step("replace", before, after, detailedDiff=difference)]})

    assert '`spec.rules[0]["a.b"]` (replaces) | x | y\\|z |' in page


def test_what_is_only_known_after_the_up_is_said_so() -> None:
    unknown = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
    page = markdown("s", {"steps": [step("create", {}, {"id": unknown})]})

    assert "| `id` |  | (known after the up) |" in page


def test_reads_and_what_is_the_same_are_no_change() -> None:
    page = markdown("s", {"steps": [step("read", {}, {"name": "x"}), step("same", {}, {})]})

    assert page == "# s: no change\n"


def test_markup_in_values_and_messages_stays_text() -> None:
    page = markdown(
        "s",
        {
            "steps": [step("create", {}, {"a": "<script>`x`</script>"})],
            "diagnostics": [{"severity": "warning", "message": "[x](y)"}],
        },
    )

    assert "<script>" not in page
    assert "- warning: \\[x\\](y)" in page


def test_the_stacks_are_those_that_the_settings_declare() -> None:
    stacks = stacks_of(REPOSITORY, "prod")

    assert stacks[0] == "prod"
    assert {"prod-source", "prod-target", "prod-edge"} < set(stacks)


def test_an_environment_that_there_is_not_is_wrong_usage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--environment", "nowhere", "--project", str(tmp_path)]) == 2
    assert "Pulumi.nowhere.yaml" in capsys.readouterr().err


@pytest.mark.parametrize("found", [True, False])
def test_a_pulumi_that_fails_or_is_absent_is_told(
    found: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    if found:
        pulumi = programs / "pulumi"
        pulumi.write_text("#!/bin/sh\necho 'error: no stack named prod' >&2\nexit 255\n")
        pulumi.chmod(0o755)
    monkeypatch.setenv("PATH", str(programs))

    arguments = ["--environment", "prod", "--project", str(REPOSITORY), "--output", str(tmp_path)]

    assert main(arguments) == 1
    expected = "no stack named prod" if found else "`pulumi` is not on PATH"
    assert expected in capsys.readouterr().err
