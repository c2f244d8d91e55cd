"""A unique string for each secret that the cutover may come to hold, and where it may not turn up."""

from __future__ import annotations

import base64
import gzip
import json
import traceback
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote


@dataclass
class Canaries:
    """By the name of what is secret, a string that is nowhere else."""

    by_name: dict[str, str] = field(default_factory=dict)

    def new(self, name: str) -> str:
        """A canary for a secret of that name."""
        return self.by_name.setdefault(name, f"cnry-{name}-{uuid.uuid4().hex}".lower().replace("_", "-"))

    def found(self, where: str, text: str | bytes) -> list[str]:
        """`NAME in WHERE` for each canary in a text, in any form in which secrets are sent."""
        content = text if isinstance(text, str) else _text(text)
        return [
            f"{name} in {where}"
            for name, value in self.by_name.items()
            if any(form in content for form in _forms(value))
        ]

    def found_in_files(self, folders: Iterable[Path], *, but: Iterable[str] = ()) -> list[str]:
        """Of all files below folders; `but`: names of files that hold secrets on purpose."""
        left_out = set(but)
        return [
            hit
            for folder in folders
            for path in sorted(folder.rglob("*"))
            if path.is_file() and path.name not in left_out
            for hit in self.found(str(path), path.read_bytes())
        ]

    def found_in_error(self, where: str, error: BaseException) -> list[str]:
        """In an error as it is shown, and in its whole trace."""
        whole = "".join(traceback.format_exception(error))
        return self.found(where, f"{error}\n{error!r}\n{whole}")


def _forms(value: str) -> set[str]:
    tail = value[-32:]  # the unique part alone
    # behind other text, such as `user:`, the same bytes have one of three forms
    encoded = {base64.b64encode(b"x" * shift + value.encode()).decode()[4:-8] for shift in range(3)}
    return {value, tail, quote(value, safe=""), json.dumps(value)[1:-1], *encoded}


def _text(content: bytes) -> str:
    if content[:2] == b"\x1f\x8b":
        content = gzip.decompress(content)
    return content.decode("utf-8", "replace")


def environment_canaries(canaries: Canaries, names: Iterable[str]) -> Mapping[str, str]:
    """A canary in each environment variable."""
    return {name: canaries.new(name) for name in names}
