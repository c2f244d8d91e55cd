"""The project: `Pulumi.yaml` and what belongs to it on this machine."""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import yaml

from lab.engine.backend import Backend, StackName, write_atomically
from lab.engine.errors import EngineError


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Reads scalars as the official engine does: `on`, `12:30` and dates are texts."""

    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}


for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?(0|[1-9][0-9]*)|0x[0-9a-fA-F]+", list("-+0123456789")),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9]+\.[0-9]*)([eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+",
        list("-+.0123456789"),
    ),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), _first)

_Dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_EXTENSIONS = (".yaml", ".yml", ".json")


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping that a YAML or JSON file holds.

    Raises:
        EngineError: the file cannot be read or holds something else.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506 (a safe loader)
    except OSError as error:
        raise EngineError(f"{path} cannot be read: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise EngineError(f"{path} is not valid YAML: {error}") from error
    if not isinstance(content, dict | None):
        raise EngineError(f"{path} must hold a mapping, not {type(content).__name__}")
    return content or {}


def write_yaml(path: Path, content: dict[str, Any]) -> None:
    """Writes a mapping, keys in their order."""
    if path.suffix == ".json":
        write_atomically(path, json.dumps(content, indent=4) + "\n")
    else:
        write_atomically(path, yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True))


@dataclass(frozen=True)
class Project:
    """A project as its file declares it."""

    name: str
    file: Path
    content: dict[str, Any]

    @property
    def folder(self) -> Path:
        """Where `Pulumi.yaml` lies."""
        return self.file.parent

    @property
    def runtime(self) -> tuple[str, dict[str, Any]]:
        """The language and its options.

        Raises:
            EngineError: the file names none.
        """
        runtime = self.content.get("runtime")
        if isinstance(runtime, str):
            return runtime, {}
        if isinstance(runtime, dict) and isinstance(runtime.get("name"), str):
            return runtime["name"], dict(runtime.get("options") or {})
        raise EngineError(f"{self.file} must name a `runtime`")

    def settings_file(self, stack: str) -> Path:
        """The file of a stack's configuration, `Pulumi.<stack>.yaml`, which need not exist."""
        folder = self.folder / str(self.content.get("stackConfigDir") or "")
        for extension in _EXTENSIONS:
            if (path := folder / f"Pulumi.{stack}{extension}").is_file():
                return path
        return folder / f"Pulumi.{stack}.yaml"

    def backend(self) -> Backend:
        """The backend that the environment, the project or the last `login` names.

        Raises:
            EngineError: none is named.
        """
        return Backend(backend_url(self.content))

    def _selection(self) -> Path:
        digest = hashlib.sha1(str(self.file).encode(), usedforsecurity=False).hexdigest()
        return home() / "workspaces" / f"{self.name}-{digest}-workspace.json"

    def selected(self) -> str | None:
        """The name of the stack that was selected last."""
        try:
            content = json.loads(self._selection().read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return None
        return str(content["stack"]) if content.get("stack") else None

    def select(self, stack: str | None) -> None:
        """Remembers the selected stack."""
        write_atomically(self._selection(), json.dumps({"stack": stack or ""}))

    def stack(self, name: str | None) -> StackName:
        """The stack that is named, or the selected one.

        Raises:
            EngineError: none is named and none selected.
        """
        name = name or os.environ.get("PULUMI_STACK") or self.selected()
        if not name:
            raise EngineError("no stack selected; please use `pulumi stack select` or name one with --stack")
        return StackName.parse(name, self.name)


def home() -> Path:
    """The folder of what belongs to the user on this machine."""
    return Path(os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi")


def backend_url(content: dict[str, Any]) -> str:
    """The URL of the backend.

    Raises:
        EngineError: none is named.
    """
    if url := os.environ.get("PULUMI_BACKEND_URL") or (content.get("backend") or {}).get("url"):
        return str(url)
    credentials = home() / "credentials.json"
    if credentials.is_file() and (url := json.loads(credentials.read_text(encoding="utf-8")).get("current")):
        return str(url)
    raise EngineError("no backend is named: set PULUMI_BACKEND_URL to a file:// URL")


def find_project() -> Project:
    """The project of the working directory: `Pulumi.yaml` there or above.

    Raises:
        EngineError: there is none, or it names no project.
    """
    here = Path.cwd()
    for folder in (here, *here.parents):
        for extension in _EXTENSIONS:
            file = folder / f"Pulumi{extension}"
            if file.is_file():
                content = read_yaml(file)
                if not isinstance(content.get("name"), str):
                    raise EngineError(f"{file} must have a `name`")
                return Project(content["name"], file, content)
    raise EngineError(f"no Pulumi.yaml project file found in {here} or above")
