"""The file backend: state, history and locks below `.pulumi`, laid out as by the official engine."""

from __future__ import annotations

import getpass
import json
import os
import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from lab.engine.errors import EngineError, RefusedError

ORGANIZATION = "organization"


@dataclass(frozen=True)
class StackName:
    """A stack of a project in this backend."""

    project: str
    name: str

    def __str__(self) -> str:
        return f"{ORGANIZATION}/{self.project}/{self.name}"

    @classmethod
    def parse(cls, text: str, project: str) -> StackName:
        """A stack's name, alone (a stack of `project`) or as `organization/project/name`.

        Raises:
            EngineError: it has other parts or another organization.
        """
        parts = text.split("/")
        if not all(parts) or len(parts) not in {1, 3} or (len(parts) == 3 and parts[0] != ORGANIZATION):
            raise EngineError(
                f"stack names must be <name> or {ORGANIZATION}/<project>/<name> in a file backend, "
                f"not {text!r}"
            )
        return cls(parts[1], parts[2]) if len(parts) == 3 else cls(project, text)


def write_atomically(path: Path, text: str) -> None:
    """Writes a file so that it is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


class Backend:
    """The state store below a folder."""

    def __init__(self, url: str) -> None:
        """Takes a `file://` URL; its folder must exist.

        Raises:
            RefusedError: another kind of URL.
            EngineError: the folder does not exist.
        """
        parts = urlsplit(url)
        if parts.scheme != "file":
            raise RefusedError(f"the backend {parts.scheme or url!r}")
        self.url = url
        path = unquote(parts.netloc + parts.path)
        self._folder = Path(path).expanduser()
        if not self._folder.is_dir():
            raise EngineError(f"the backend's folder {self._folder} of {url} does not exist")
        self._root = self._folder / ".pulumi"

    def path(self, stack: StackName) -> Path:
        """Where a stack's checkpoint lies."""
        return self._root / "stacks" / stack.project / f"{stack.name}.json"

    def _locks(self, stack: StackName) -> Path:
        return self._root / "locks" / ORGANIZATION / stack.project / stack.name

    def _history(self, stack: StackName) -> Path:
        return self._root / "history" / stack.project / stack.name

    def stacks(self, project: str | None) -> list[StackName]:
        """The stacks of a project, or all."""
        folder = self._root / "stacks"
        found = [StackName(path.parent.name, path.stem) for path in folder.glob("*/*.json")]
        return sorted((s for s in found if project in {None, s.project}), key=lambda s: (s.project, s.name))

    def exists(self, stack: StackName) -> bool:
        """Whether there is such a stack."""
        return self.path(stack).is_file()

    def load(self, stack: StackName) -> dict[str, Any]:
        """A stack's deployment as it is stored, empty if nothing was ever deployed.

        Raises:
            EngineError: there is no such stack, or its file cannot be read.
        """
        path = self.path(stack)
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            if content["version"] != 3:
                raise EngineError(f"{path} has checkpoint version {content['version']}, expected 3")
            return dict(content["checkpoint"].get("latest") or {})
        except FileNotFoundError as error:
            raise EngineError(f"no stack named '{stack.name}' found") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise EngineError(f"the checkpoint {path} is not valid: {error}") from error

    def save(self, stack: StackName, deployment: str | None) -> None:
        """Stores a stack's deployment, given as JSON text; None for one that was never deployed."""
        meta = self._root / "meta.yaml"
        if not meta.exists():
            write_atomically(meta, "version: 1\n")
        latest = f',"latest":{deployment}' if deployment is not None else ""
        write_atomically(
            self.path(stack), f'{{"version":3,"checkpoint":{{"stack":{json.dumps(str(stack))}{latest}}}}}\n'
        )

    def remove(self, stack: StackName) -> None:
        """Removes a stack with its history."""
        self.path(stack).unlink()
        for path in self._history(stack).glob("*.json"):
            path.unlink()

    def locks(self, stack: StackName) -> list[Path]:
        """The lock files that are there."""
        return sorted(self._locks(stack).glob("*.json"))

    def require_unlocked(self, stack: StackName, own: Path | None = None) -> None:
        """Checks that nobody else holds a lock.

        Raises:
            EngineError: somebody does; the text is the official one, which the Automation API looks for.
        """
        others = [path for path in self.locks(stack) if path != own]
        if not others:
            return
        lines = [
            f"the stack is currently locked by {len(others)} lock(s). Either wait for the other process(es) "
            "to end or delete the lock file with `pulumi cancel`."
        ]
        for path in others:
            try:
                held = json.loads(path.read_text(encoding="utf-8"))
            except (OSError, ValueError):
                held = {}
            lines.append(
                f"  {path.as_uri()}: created by {held.get('username')}@{held.get('hostname')} "
                f"(pid {held.get('pid')}) at {held.get('timestamp')}"
            )
        raise EngineError("\n".join(lines))

    @contextmanager
    def lock(self, stack: StackName) -> Iterator[None]:
        """Holds the stack's lock.

        Raises:
            EngineError: somebody else holds it.
        """
        self.require_unlocked(stack)
        own = self._locks(stack) / f"{uuid.uuid4()}.json"
        content = {
            "pid": os.getpid(),
            "username": getpass.getuser(),
            "hostname": socket.gethostname(),
            "timestamp": datetime.now(UTC).isoformat(),
        }
        write_atomically(own, json.dumps(content))
        try:
            # Two that came at once see each other here, and both give way.
            self.require_unlocked(stack, own)
            yield
        finally:
            own.unlink(missing_ok=True)

    def cancel(self, stack: StackName) -> int:
        """Deletes all locks of a stack and returns how many there were."""
        found = self.locks(stack)
        for path in found:
            path.unlink(missing_ok=True)
        return len(found)

    def record(self, stack: StackName, entry: dict[str, Any]) -> None:
        """Adds an entry to the stack's history, with a copy of its state."""
        stem = self._history(stack) / f"{stack.name}-{time.time_ns()}"
        write_atomically(stem.with_name(f"{stem.name}.history.json"), json.dumps(entry))
        checkpoint = self.path(stack).read_text(encoding="utf-8")
        write_atomically(stem.with_name(f"{stem.name}.checkpoint.json"), checkpoint)

    def history(self, stack: StackName) -> list[dict[str, Any]]:
        """The stack's history, the newest first."""
        files = sorted(self._history(stack).glob("*.history.json"), reverse=True)
        return [json.loads(path.read_text(encoding="utf-8")) for path in files]
