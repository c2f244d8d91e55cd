"""A stack's configuration: `Pulumi.<stack>.yaml`, its keys, paths into values, and encrypted parts."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.engine.errors import EngineError
from lab.engine.project import Project, read_yaml, write_yaml
from lab.engine.secrets import Crypter, require_passphrase_provider
from lab.engine.values import child, compact, parse_path

_SALT = "encryptionsalt"


@dataclass(frozen=True)
class Value:
    """A configuration value as a program gets it: text, JSON text where it is structured."""

    text: str
    secret: bool
    structured: Any = None


class StackConfig:
    """The configuration of one stack. Changes are made to its file, whose other keys stay.

    `decrypted` holds every secret text that was read, so that it can be masked elsewhere.
    """

    def __init__(self, project: Project, stack: str) -> None:
        """Reads the stack's file, which may be absent.

        Raises:
            EngineError: the file is not a valid settings file.
        """
        self._project = project
        self.file: Path = project.settings_file(stack)
        self._content = read_yaml(self.file) if self.file.is_file() else {}
        if not isinstance(self._content.get("config"), dict | None):
            raise EngineError(f"{self.file}: `config` must be a mapping")
        require_passphrase_provider(_kind(self._content.get("secretsprovider")))
        self._values: dict[str, Any] = dict(self._content.get("config") or {})
        self._crypter = Crypter(str(self._content[_SALT])) if self.has_salt else None
        self.decrypted: set[str] = set()

    @property
    def has_salt(self) -> bool:
        """Whether the file describes a key."""
        return bool(self._content.get(_SALT))

    def crypter(self, state_salt: str = "") -> Crypter:
        """The crypter of this stack: of its file, else of its state, else a new one, written to the file."""
        if self._crypter is None:
            if state_salt:
                self._crypter = Crypter(state_salt)
            else:
                self._crypter = Crypter.create()
                self._content = {_SALT: self._crypter.description, **self._content}
                self._save()
        return self._crypter

    def _save(self) -> None:
        content = dict(self._content)
        if self._values or "config" in content:
            content["config"] = self._values
        write_yaml(self.file, content)

    def key(self, text: str) -> str:
        """The full key, `namespace:name`; without a namespace, the project's."""
        parts = text.split(":")
        if len(parts) == 3 and parts[1] == "config":
            return f"{parts[0]}:{parts[2]}"
        if not all(parts) or len(parts) > 2:
            raise EngineError(f"invalid configuration key {text!r}, expected <name> or <namespace>:<name>")
        return text if len(parts) == 2 else f"{self._project.name}:{text}"

    def _locate(self, text: str, *, path: bool) -> tuple[str, list[str | int]]:
        if not path:
            return self.key(text), []
        stop = min((at for at in (text.find("."), text.find("[")) if at >= 0), default=len(text))
        namespace, colon, rest = text.partition(":")
        if not colon or len(namespace) > stop:
            namespace, rest = self._project.name, text
        try:
            segments = parse_path(rest)
        except ValueError as error:
            raise EngineError(f"invalid configuration key {text!r}: {error}") from error
        if not segments or not isinstance(segments[0], str):
            raise EngineError(f"invalid configuration key {text!r}: it must begin with a name")
        return self.key(f"{namespace}:{segments[0]}"), segments[1:]

    def set(self, text: str, value: str, *, secret: bool, path: bool = False) -> None:
        """Sets a value, or with `path` a part of one, and writes the file."""
        self.set_all([(text, value, secret)], path=path)

    def set_all(self, items: list[tuple[str, Any, bool]], *, path: bool = False) -> None:
        """Sets several values (key, value, secret) and writes the file once."""
        for text, value, secret in items:
            key, segments = self._locate(text, path=path)
            stored: Any = {"secure": self.crypter().encrypt(value)} if secret else value
            if segments:
                stored = stored if secret else _typed(value)
                self._values[key] = _with(self._values.get(key), segments, stored, text)
            else:
                self._values[key] = stored
        self._save()

    def remove(self, texts: list[str], *, path: bool = False) -> None:
        """Removes values, or with `path` parts of them, and writes the file; what is absent stays absent."""
        for text in texts:
            key, segments = self._locate(text, path=path)
            if not segments:
                self._values.pop(key, None)
            elif key in self._values:
                holder = _at(self._values[key], segments[:-1])
                last = segments[-1]
                if isinstance(holder, dict):
                    holder.pop(last, None)
                elif isinstance(holder, list) and isinstance(last, int) and last < len(holder):
                    del holder[last]
        self._save()

    def get(self, text: str, *, path: bool = False) -> Value:
        """One value, decrypted.

        Raises:
            EngineError: there is no such value.
        """
        key, segments = self._locate(text, path=path)
        values = self._all()
        found = _at(values[key], segments) if key in values else None
        if found is None:
            raise EngineError(f"configuration key '{text}' not found")
        return self._value(found, show=True)

    def values(self, *, show: bool = True) -> dict[str, Value]:
        """All values by full key; with `show` decrypted, else secrets are masked."""
        return {key: self._value(value, show=show) for key, value in sorted(self._all().items())}

    def opened(self, stored: Any) -> Any:
        """A stored value with its encrypted parts decrypted."""
        return self._open(stored, show=True)

    def stored_values(self) -> dict[str, dict[str, Any]]:
        """All values for the history: text as the file holds it, secrets encrypted."""
        found: dict[str, dict[str, Any]] = {}
        for key, stored in sorted(self._all().items()):
            if isinstance(stored, dict) and set(stored) == {"secure"}:
                found[key] = {"value": stored["secure"], "secret": True}
            elif isinstance(stored, dict | list):
                found[key] = {"value": compact(_dated(stored)), "secret": _has_secure(stored), "object": True}
            else:
                found[key] = {"value": _text(_dated(stored)), "secret": False}
        return found

    def _all(self) -> dict[str, Any]:
        """The stack's values over the defaults that the project's file declares."""
        found: dict[str, Any] = {}
        declared = self._project.content.get("config") or {}
        if not isinstance(declared, dict):
            raise EngineError(f"{self._project.file}: `config` must be a mapping")
        for name, item in declared.items():
            if isinstance(item, dict) and ("value" in item or "default" in item):
                found[self.key(name)] = item.get("value", item.get("default"))
            elif not isinstance(item, dict):
                found[self.key(name)] = item
        found.update({self.key(name): value for name, value in self._values.items()})
        return found

    def _value(self, stored: Any, *, show: bool) -> Value:
        secret = _has_secure(stored)
        opened = self._open(stored, show=show)
        if isinstance(opened, dict | list):
            return Value(compact(opened), secret, opened)
        return Value(_text(opened), secret)

    def _open(self, stored: Any, *, show: bool) -> Any:
        if isinstance(stored, dict):
            if set(stored) == {"secure"} and isinstance(stored["secure"], str):
                if not show:
                    return "[secret]"
                if self._crypter is None:
                    raise EngineError(f"{self.file} holds an encrypted value but no {_SALT}")
                text = self.crypter().decrypt(stored["secure"])
                self.decrypted.add(text)
                return text
            return {str(key): self._open(item, show=show) for key, item in stored.items()}
        if isinstance(stored, list):
            return [self._open(item, show=show) for item in stored]
        return _dated(stored)


def _dated(stored: Any) -> Any:
    """`stored` with dates, which YAML knows and JSON does not, as text."""
    if isinstance(stored, dict):
        return {str(key): _dated(item) for key, item in stored.items()}
    if isinstance(stored, list):
        return [_dated(item) for item in stored]
    return stored.isoformat() if isinstance(stored, datetime.date) else stored


def _kind(provider: Any) -> str:
    return "" if provider is None else str(provider)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _has_secure(stored: Any) -> bool:
    if isinstance(stored, dict):
        if set(stored) == {"secure"} and isinstance(stored["secure"], str):
            return True
        return any(_has_secure(item) for item in stored.values())
    return isinstance(stored, list) and any(_has_secure(item) for item in stored)


def _typed(value: str) -> Any:
    """A part of a structured value as the official engine types it: booleans and whole numbers."""
    if value in {"true", "false"}:
        return value == "true"
    digits = value.removeprefix("-")
    if digits.isascii() and digits.isdigit() and (digits == "0" or not digits.startswith("0")):
        return int(value)
    return value


def _at(value: Any, segments: list[str | int]) -> Any:
    for segment in segments:
        value = child(value, segment)
    return value


def _with(value: Any, segments: list[str | int], stored: Any, text: str) -> Any:
    """`value` with what lies at `segments` set to `stored`."""
    if not segments:
        return stored
    head, rest = segments[0], segments[1:]
    if isinstance(head, int):
        items = list(value) if isinstance(value, list) else []
        if value is not None and not isinstance(value, list):
            raise EngineError(f"{text}: [{head}] needs a list, but there is a {type(value).__name__}")
        if head > len(items):
            raise EngineError(f"{text}: index {head} is out of range, the list has {len(items)} items")
        return [
            *items[:head],
            _with(items[head] if head < len(items) else None, rest, stored, text),
            *items[head + 1 :],
        ]
    if value is not None and not isinstance(value, dict):
        raise EngineError(f"{text}: {head!r} needs a mapping, but there is a {type(value).__name__}")
    found = dict(value or {})
    found[head] = _with(found.get(head), rest, stored, text)
    return found
