"""Settings errors: all problems of a file at once, each with its place, its value and what was expected."""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, get_args

from pydantic import BaseModel, ValidationError

from components.settings.base import FieldsError
from stacks.settings.problems import CrossCheckError, CrossProblem
from stacks.settings.problems import Path as KeyPath

_MISSING = object()


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong in a settings file."""

    file: Path
    line: int | None
    """Counted from 1; None where the file has no such place."""
    key: str
    """The path of keys, such as `landfall:environment.network.cidr`; empty for the file itself."""
    value: str | None
    """What stands there, shortened; None where nothing does."""
    expected: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else str(self.file)
        key = f" {self.key}:" if self.key else ""
        value = f" (is {self.value})" if self.value is not None else ""
        return f"{place}:{key} {self.expected}{value}"


class SettingsError(Exception):
    """Settings that cannot be used. Nothing was changed."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        count = f"{len(self.problems)} problems" if len(self.problems) > 1 else "a problem"
        lines = "\n".join(f"  {problem}" for problem in self.problems)
        super().__init__(f"{count} in the settings; nothing was changed:\n{lines}")


@dataclass(frozen=True)
class RawProblem:
    """A problem by its path of keys, before it is placed in a file."""

    path: KeyPath
    value: object
    expected: str

    @classmethod
    def of(cls, found: CrossProblem) -> Self:
        """A contradiction between sections, in the words of the other problems."""
        return cls(found.path, found.value, f"expected {found.expected}")


def render_path(path: KeyPath) -> str:
    """`("domains", 0, "name")` as `domains[0].name`; keys that hold dots go in brackets."""
    text = ""
    for part in path:
        if isinstance(part, int) or "." in part or "/" in part:
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text


def render_value(value: object) -> str | None:
    """A value for an error message: short, and nothing of a mapping's or a list's content."""
    if value is _MISSING:
        return None
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    text = repr(value) if not isinstance(value, bool) and value is not None else str(value).lower()
    return text if len(text) <= 80 else f"{text[:77]}…"


def translate(error: ValidationError, model: type[BaseModel], data: object) -> list[RawProblem]:
    """pydantic's errors as problems, in the words of somebody who edits a settings file."""
    problems: list[RawProblem] = []
    found = error.errors(include_url=False)
    for item in found:
        if item["type"] == "default_factory_not_called":
            continue  # a default that another wrong key decides
        place = item["loc"]
        if item["type"] == "too_short" and any(
            other["loc"][: len(place)] == place for other in found if other is not item
        ):
            continue  # pydantic counts the items that are right
        path = _real_path(item["loc"], data)
        cause = item.get("ctx", {}).get("error")
        if isinstance(cause, CrossCheckError):
            problems += [RawProblem.of(found) for found in cause.problems]
        elif isinstance(cause, FieldsError):
            places = [((*path, key), expected) for key, expected in cause.problems]
            problems += [RawProblem(place, _value_at(place, data), expected) for place, expected in places]
        else:
            tags = item.get("ctx", {}).get("expected_tags")
            problems.append(_translate_one(item["type"], tags or item["msg"], path, model, data))
    return problems


def _translate_one(
    kind: str, message: str, path: KeyPath, model: type[BaseModel], data: object
) -> RawProblem:
    value = _value_at(path, data)
    if kind == "extra_forbidden":
        known = _keys_at(model, path[:-1])
        near = difflib.get_close_matches(str(path[-1]), known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known keys are {', '.join(known)}"
        return RawProblem(path, _MISSING, f"unknown key; {hint}")
    if kind == "missing":
        return RawProblem(path, _MISSING, "required, but absent")
    if kind in ("model_type", "model_attributes_type"):
        return RawProblem(path, value, "expected a mapping")
    if kind == "union_tag_invalid":
        return RawProblem((*path, "kind"), _value_at((*path, "kind"), data), f"expected one of {message}")
    if kind == "union_tag_not_found":
        return RawProblem((*path, "kind"), _MISSING, "required, but absent")
    text = message.removeprefix("Value error, ")
    text = text.replace("Input should be", "expected").replace(
        "String should match", "expected text to match"
    )
    if kind == "string_type" and isinstance(value, int | float):
        text += ", in quotes"
    return RawProblem(path, value, text)


def _real_path(location: tuple[str | int, ...], data: object) -> KeyPath:
    """The location without the tags of unions, which stand for no key of the file."""
    path: list[str | int] = []
    here = data
    for index, part in enumerate(location):
        if part == "placeholder" and index < len(location) - 1:
            continue  # the tag, and not the key of the same name below it
        below = _child(here, part)
        if below is not _MISSING:
            here = below
            path.append(part)
        elif index == len(location) - 1 and part not in ("value", "[key]"):
            path.append(part)
    return tuple(path)


def _child(data: object, part: str | int) -> object:
    if isinstance(data, dict):
        return data.get(part, _MISSING)
    if isinstance(data, list) and isinstance(part, int) and part < len(data):
        return data[part]
    return _MISSING


def _value_at(path: KeyPath, data: object) -> object:
    for part in path:
        data = _child(data, part)
    return data


def _keys_at(model: type[BaseModel], path: KeyPath) -> list[str]:
    """The keys that a model knows at a path; empty where the path leads to no model."""
    here: type[BaseModel] | None = model
    for part in path:
        if here is None:
            return []
        if isinstance(part, str) and part in here.model_fields:
            here = _model_in(here.model_fields[part].annotation)
    return list(here.model_fields) if here else []


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in get_args(annotation):
        if found := _model_in(argument):
            return found
    return None
