"""Reading and writing the project's `Pulumi.<stack>.yaml` files."""

import copy
import os
import tempfile
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, TypeAdapter, ValidationError

from stacks.settings.base import EnvironmentBase
from stacks.settings.checks import cross_check
from stacks.settings.environment import Environment
from stacks.settings.errors import Problem, RawProblem, SettingsError, render_path, render_value, translate
from stacks.settings.flips import FLIP_MODELS, CallerFlips, Flips, check_flips
from stacks.settings.moving import PARTS
from stacks.settings.problems import Path as KeyPath
from stacks.settings.rhoam import RhoamEnvironment

ENVIRONMENT_KEY = "landfall:environment"
REGION_KEY = "aws:region"
NAMESPACE = "landfall:"

E = TypeVar("E", bound=EnvironmentBase)
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's, where PyYAML was built with it: ten times as fast."""


class _File:
    """A stack's file: its text, its data, and where in the text each key stands."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise SettingsError([self._problem((), "expected this file, which does not exist")]) from None
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError([self._problem((), f"cannot be read: {error}")]) from None
        self.root: yaml.Node | None = None
        try:
            self.root = yaml.compose(self.text, Loader=_LOADER)
            self.data = yaml.load(self.text, Loader=_LOADER)  # noqa: S506 - it is a safe one
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
            what = getattr(error, "problem", None) or str(error)
            line = mark.line + 1 if mark else None
            raise SettingsError([Problem(path, line, "", None, f"not valid YAML: {what}")]) from None
        problems = [self._problem(where, "the same key stands here twice") for where in self._repeated()]
        if self.data is None:
            self.data = {}
        if not isinstance(self.data, dict) or not isinstance(self.data.get("config") or {}, dict):
            problems.append(self._problem(("config",), "expected a mapping of configuration keys"))
        if problems:
            raise SettingsError(problems)

    @property
    def config(self) -> dict[str, Any]:
        """The section `config`."""
        return dict(self.data.get("config") or {})

    def place(self, problem: RawProblem) -> Problem:
        """A problem under `config`, placed in this file."""
        return Problem(
            self.path,
            self._line(("config", *problem.path)),
            render_path(problem.path),
            render_value(problem.value),
            problem.expected,
        )

    def _problem(self, path: KeyPath, expected: str) -> Problem:
        return Problem(self.path, self._line(path), render_path(path), None, expected)

    def _line(self, path: KeyPath) -> int | None:
        node = getattr(self, "root", None)
        line: int | None = None
        for part in path:
            found = _below(node, part)
            if found is None:
                break
            line, node = found
        return line

    def _repeated(self) -> list[KeyPath]:
        found: list[KeyPath] = []

        def walk(node: yaml.Node | None, path: KeyPath) -> None:
            if isinstance(node, yaml.MappingNode):
                seen: set[str] = set()
                for key, value in node.value:
                    name = str(key.value)
                    if name in seen:
                        found.append((*path, name))
                    seen.add(name)
                    walk(value, (*path, name))
            elif isinstance(node, yaml.SequenceNode):
                for index, item in enumerate(node.value):
                    walk(item, (*path, index))

        walk(self.root, ())
        return found


def _below(node: yaml.Node | None, part: str | int) -> tuple[int, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in reversed(node.value):
            if key.value == str(part):
                return key.start_mark.line + 1, value
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part].start_mark.line + 1, node.value[part]
    return None


def stack_file(folder: Path, stack: str) -> Path:
    """Where a stack's settings stand."""
    return folder / f"Pulumi.{stack}.yaml"


def load_environment(folder: Path, name: str) -> Environment:
    """The declared facts of environment `name`, from `Pulumi.<name>.yaml` in the project's folder.

    Raises:
        SettingsError: with every problem of the file.
    """
    return _load(folder, name, Environment)


def load_rhoam_environment(folder: Path, name: str) -> RhoamEnvironment:
    """The declared facts of an environment of kind `rhoam`.

    Raises:
        SettingsError: with every problem of the file.
    """
    return _load(folder, name, RhoamEnvironment)


def load_any_environment(folder: Path, name: str) -> Environment | RhoamEnvironment:
    """The declared facts of an environment of either kind, as its settings' key `kind` says.

    Raises:
        SettingsError: with every problem of the file.
    """
    data = _File(stack_file(folder, name)).config.get(ENVIRONMENT_KEY)
    rhoam = isinstance(data, dict) and data.get("kind") == "rhoam"
    return load_rhoam_environment(folder, name) if rhoam else load_environment(folder, name)


def _load(folder: Path, name: str, model: type[E]) -> E:
    file = _File(stack_file(folder, name))
    config = file.config
    if ENVIRONMENT_KEY not in config:
        raise SettingsError([file.place(RawProblem((ENVIRONMENT_KEY,), None, "required, but absent"))])
    data = config[ENVIRONMENT_KEY]
    problems: list[RawProblem] = []
    environment: E | None = None
    try:
        environment = model.model_validate(data)
    except ValidationError as error:
        found = translate(error, model, data)
        also = _still_checked(model, data, error)
        problems += found + [problem for problem in also if problem not in found]
    problems = [
        RawProblem((ENVIRONMENT_KEY, *problem.path), problem.value, problem.expected) for problem in problems
    ]
    if environment is not None:
        if environment.name != name:
            problems.append(
                RawProblem(
                    (ENVIRONMENT_KEY, "name"), environment.name, f"expected {name}, as the file is named"
                )
            )
        region = config.get(REGION_KEY)
        if isinstance(environment, Environment) and region not in (None, environment.region):
            problems.append(
                RawProblem((REGION_KEY,), region, f"expected {environment.region}, the region of the zones")
            )
    if problems or environment is None:
        placed = (file.place(problem) for problem in problems)
        raise SettingsError(sorted(placed, key=lambda problem: problem.line or 0))
    return environment


def _still_checked(model: type[BaseModel], data: object, error: ValidationError) -> list[RawProblem]:
    """Cross-checks of the sections that are right, so that all problems show at once."""
    if not isinstance(data, dict):
        return []
    rest = copy.deepcopy(data)
    doomed = [item["loc"] for item in error.errors() if item["type"] != "extra_forbidden"]
    for item in error.errors():
        if item["type"] == "extra_forbidden":
            _remove(rest, item["loc"])
    sections: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        if name not in rest:
            if not field.is_required():
                sections[name] = field.get_default(call_default_factory=True)
            continue
        if any(location[:1] == (name,) for location in doomed):
            continue
        try:
            sections[name] = TypeAdapter(field.rebuild_annotation()).validate_python(rest[name])
        except ValidationError:
            continue  # a problem that a removed key hid; it shows once that key is gone
    return [RawProblem.of(found) for found in cross_check(sections)]


def _remove(data: Any, location: tuple[str | int, ...]) -> None:
    """Removes what pydantic's location points at, passing over the tags of unions in it."""
    for part in location[:-1]:
        known: Any = data
        if isinstance(data, list) or part in known:
            data = known[part]
    if isinstance(data, dict):
        data.pop(location[-1], None)


def flip_model(stack: str) -> type[Flips]:
    """The model of a small stack's flip keys.

    Raises:
        ValueError: `stack` is not one of the small stacks.
    """
    _, _, part = stack.partition("-")
    if part in FLIP_MODELS:
        return FLIP_MODELS[part]
    if not part or part in PARTS:
        known = ", ".join(f"<environment>-{name}" for name in (*FLIP_MODELS, "<cluster>"))
        raise ValueError(f"{stack!r} has no flip keys; the small stacks are {known}")
    return CallerFlips


def load_flips(folder: Path, stack: str) -> Flips:
    """The flip keys of small stack `stack`, checked against its environment.

    Raises:
        SettingsError: with every problem of either file.
        ValueError: `stack` is not one of the small stacks.
    """
    model = flip_model(stack)
    file = _File(stack_file(folder, stack))
    data = _flip_data(file)
    try:
        flips = model.model_validate(data)
    except ValidationError as error:
        raise SettingsError(_place_flips(file, translate(error, model, data))) from None
    name, _, part = stack.partition("-")
    environment = load_any_environment(folder, name)
    problems = [RawProblem.of(found) for found in check_flips(environment, flips, part)]
    if problems:
        raise SettingsError(_place_flips(file, problems))
    return flips


def _flip_data(file: _File) -> dict[str, Any]:
    return {
        key.removeprefix(NAMESPACE): value for key, value in file.config.items() if key.startswith(NAMESPACE)
    }


def _place_flips(file: _File, problems: list[RawProblem]) -> list[Problem]:
    return [
        file.place(
            RawProblem((f"{NAMESPACE}{problem.path[0]}", *problem.path[1:]), problem.value, problem.expected)
        )
        for problem in problems
    ]


def write_flips(folder: Path, stack: str, flips: Flips) -> None:
    """Writes the flip keys into `Pulumi.<stack>.yaml`, durably and at once; all else in it stays as it is.

    Raises:
        SettingsError: the file is there and cannot be understood.
        ValueError: `flips` are not those of `stack`.
    """
    model = flip_model(stack)
    if not isinstance(flips, model):
        raise ValueError(f"{stack} takes {model.__name__}, not {type(flips).__name__}")  # noqa: TRY004
    path = stack_file(folder, stack)
    if not path.exists():
        path.write_text("config: {}\n", encoding="utf-8")
    file = _File(path)
    wanted = {
        f"{NAMESPACE}{key}": value
        for key, value in flips.model_dump(mode="json", exclude_none=True).items()
        if value != {}
    }
    text = _edited(file, wanted)
    kept = {key: value for key, value in file.config.items() if not key.startswith(NAMESPACE)}
    if yaml.safe_load(text) != {**file.data, "config": kept | wanted}:
        raise SettingsError([Problem(path, None, "config", None, "laid out in a way that cannot be edited")])
    _replace(path, text)


def _edited(file: _File, wanted: dict[str, Any]) -> str:
    """The file's text with the flip keys under `config` replaced; every other line is kept."""
    lines = file.text.splitlines(keepends=True)
    entries = file.root.value if isinstance(file.root, yaml.MappingNode) else []
    section = next(((key, value) for key, value in entries if key.value == "config"), None)
    block = yaml.safe_dump(wanted, default_flow_style=False, sort_keys=True, allow_unicode=True)
    if section is None:
        return file.text.rstrip("\n") + ("\n" if file.text.strip() else "") + _config(wanted)
    key, value = section
    if not isinstance(value, yaml.MappingNode) or value.flow_style or not value.value:
        end = _end(value)
        kept = {name: item for name, item in file.config.items() if not name.startswith(NAMESPACE)}
        return "".join([*lines[: key.start_mark.line], _config(kept | wanted), *lines[end:]])
    indent = value.start_mark.column
    new = "".join(f"{' ' * indent}{line}\n" for line in block.splitlines()) if wanted else ""
    out: list[str] = []
    cursor = 0
    for name, item in value.value:
        if str(name.value).startswith(NAMESPACE):
            out += lines[cursor : name.start_mark.line]
            cursor = max(_end(item), name.start_mark.line + 1)
    if cursor == 0:
        cursor = _end(value)
        out = lines[:cursor]
    text = "".join([*out, new, *lines[cursor:]])
    return text if _holds_more(value) or wanted else text.replace("config:", "config: {}", 1)


def _holds_more(section: yaml.MappingNode) -> bool:
    """Whether the section holds anything but flip keys."""
    return any(not str(name.value).startswith(NAMESPACE) for name, _ in section.value)


def _config(data: dict[str, Any]) -> str:
    return yaml.safe_dump({"config": data}, default_flow_style=False if data else None, allow_unicode=True)


def _end(node: yaml.Node) -> int:
    """The line behind a node: behind its last leaf, as a block's own end lies behind later comments."""
    while isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        node = last[1] if isinstance(last, tuple) else last
    return int(node.end_mark.line) + (1 if node.end_mark.column else 0)


def _replace(path: Path, text: str) -> None:
    mode = path.stat().st_mode & 0o777
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).chmod(mode)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
