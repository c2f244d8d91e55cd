"""How far a verification has come, kept in a file so that it can go on after an interruption."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cutover.errors import StepError

VERSION = 1


class TableProgress(BaseModel):
    """How far one table has come."""

    model_config = ConfigDict(extra="forbid")

    done: bool = False
    frontier: tuple[str, ...] | None = None
    """All rows before this key have been compared; None: none has."""
    rows: int = 0
    """How many rows of the source that is."""


class Checkpoint(BaseModel):
    """What is needed to go on. It holds keys of rows, and is readable by its owner alone."""

    model_config = ConfigDict(extra="forbid")

    version: Annotated[int, Field(ge=VERSION, le=VERSION)] = VERSION
    servers: tuple[str, str]
    definition: str
    """A digest of what the tables were when the verification began."""
    salt: str
    tables: dict[str, TableProgress]
    pending: dict[str, list[tuple[str, ...]]] = {}
    pending_whole: list[str] = []
    positions: tuple[str | None, str | None]
    """Up to where the binlogs of source and target are taken into `pending`."""
    seconds: float = 0.0
    """Time that was worked so far."""


def load(path: Path) -> Checkpoint | None:
    """The checkpoint, if there is one. Raises StepError where it is damaged."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StepError(f"{path} cannot be read: {error}") from error
    try:
        return Checkpoint.model_validate_json(text)
    except ValidationError as error:
        raise StepError(
            f"{path} is no checkpoint of a verification ({error.error_count()} problems, the first: "
            f"{error.errors()[0]['msg']}): move it away to start anew"
        ) from error


def save(path: Path, checkpoint: Checkpoint) -> None:
    """Replaces the file in one step, durably. Raises StepError."""
    data = json.dumps(checkpoint.model_dump(mode="json"), separators=(",", ":")).encode()
    new = path.with_name(path.name + ".new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except OSError as error:
        raise StepError(f"the checkpoint {path} cannot be written: {error}") from error
