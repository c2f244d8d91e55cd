"""What the stacks declare: a secret that a program makes reaches the engine as one, which it encrypts.

That an engine keeps secrets encrypted, in its state and in all that it shows, is in test_engine_secrets.py.
"""

from __future__ import annotations

import json
import secrets as generator
from pathlib import Path
from typing import Any

import pytest
from pulumi.runtime import rpc

from tests.policy.programs import STACKS, recorded
from tests.secrets.canaries import Canaries
from tests.unit.recording import IMPORT_WARNINGS, Recording

pytestmark = pytest.mark.filterwarnings(IMPORT_WARNINGS)


def without_secrets(value: Any) -> Any:
    """What is not marked as secret."""
    if isinstance(value, dict):
        if value.get(rpc._special_sig_key) == rpc._special_secret_sig:
            return "[secret]"
        return {key: without_secrets(item) for key, item in value.items()}
    return [without_secrets(item) for item in value] if isinstance(value, list) else value


def plain(recording: Recording) -> str:
    return json.dumps(
        [
            [without_secrets(found.inputs) for found in recording.resources],
            without_secrets(recording.outputs),
        ],
        default=str,
    )


@pytest.mark.parametrize("stack", STACKS)
def test_what_a_program_makes_is_marked(
    stack: str, tmp_path: Path, canaries: Canaries, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []

    def canary(_length: int | None = None) -> str:
        made.append(canaries.new(f"{stack}-{len(made)}"))
        return made[-1]

    monkeypatch.setattr(generator, "token_urlsafe", canary)
    monkeypatch.setattr(generator, "token_hex", canary)
    recording = recorded(tmp_path, stack)

    assert canaries.found(stack, plain(recording)) == []
    whole = json.dumps([found.inputs for found in recording.resources], default=str)
    assert len(canaries.found(stack, whole)) == len(made), "each is somewhere, as a secret"
    assert made or stack != "prod", "the landing zone makes the cache's password"
