"""`python -m stacks.settings.reference [FILE]`: every setting, as a page, from the models themselves."""

from __future__ import annotations

import ast
import inspect
import ipaddress
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from itertools import pairwise
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, MaxLen, MinLen
from pydantic import AfterValidator, BaseModel, BeforeValidator
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from components.settings.base import Placeholder
from stacks.settings.environment import Environment
from stacks.settings.flips import FLIP_MODELS, CallerFlips
from stacks.settings.rhoam import RhoamEnvironment

_HEAD = """# Settings

Made by `python -m stacks.settings.reference docs/settings.md` from the models that read the settings; a test
holds it up to date. A key that is not here is refused, and so is a value that does not fit: one message names
every problem with file, line, key, value and what was expected, before anything is registered.

"A fact of its owner" may be written as `{placeholder: "what is needed, and who knows it"}` until it is known;
whatever needs it refuses to run until then.
"""
_PLAIN: dict[object, str] = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    date: "date",
    NoneType: "null",
    ipaddress.IPv4Network: "an IPv4 network such as 10.40.0.0/16",
}


def reference() -> str:
    """The whole page."""
    roots: list[tuple[str, Sequence[type[BaseModel]]]] = [
        ("An environment of services: `Pulumi.<environment>.yaml`, `landfall:environment`", [Environment]),
        ("An environment of kind `rhoam`", [RhoamEnvironment]),
        (
            "Flip keys: `Pulumi.<environment>-<part>.yaml`, each as `landfall:<key>`",
            [*FLIP_MODELS.values(), CallerFlips],
        ),
    ]
    told: set[type[BaseModel]] = set()
    parts = [_HEAD]
    for title, models in roots:
        parts.append(f"## {title}\n")
        for model in models:
            parts += [_section(found) for found in _reached(model, told)]
    return "\n".join(parts)


def _reached(model: type[BaseModel], told: set[type[BaseModel]]) -> Iterator[type[BaseModel]]:
    """A model and those below it that no section tells of yet, in the order of their keys."""
    if model in told or model is Placeholder:
        return
    told.add(model)
    yield model
    for field in model.model_fields.values():
        for below in _models(field.annotation):
            yield from _reached(below, told)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models(argument)


def _section(model: type[BaseModel]) -> str:
    notes = _notes(model)
    lines = [f"### {model.__name__}\n", f"{_flat(inspect.getdoc(model) or '')}\n"]
    lines += ["| key | value | default | meaning |", "|---|---|---|---|"]
    for name, field in model.model_fields.items():
        meaning = notes.get(name) or _flat(field.description or "") or _meaning(field)
        cells = (f"`{name}`", _field_type(field), _default(field), meaning)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join([*lines, ""])


def _notes(model: type[BaseModel]) -> Mapping[str, str]:
    """By field, the text that stands below it in the source, also of the classes it inherits from."""
    found: dict[str, str] = {}
    for base in reversed(model.__mro__):
        if not (issubclass(base, BaseModel) and base.model_fields):
            continue
        (declared,) = ast.parse(textwrap.dedent(inspect.getsource(base))).body
        body = declared.body if isinstance(declared, ast.ClassDef) else []
        for field, note in pairwise(body):
            match field, note:
                case (
                    ast.AnnAssign(target=ast.Name(id=name)),
                    ast.Expr(value=ast.Constant(value=str(text))),
                ):
                    found[name] = _flat(text)
    return found


def _meaning(field: FieldInfo) -> str:
    """What the only model behind a key says of itself, where the key says nothing."""
    models = set(_models(field.annotation)) - {Placeholder}
    return _flat(inspect.getdoc(models.pop()) or "").partition(". ")[0] if len(models) == 1 else ""


def _field_type(field: FieldInfo) -> str:
    return _type(Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation)


def _type(annotation: Any) -> str:
    """An annotation in a reader's words."""
    arguments = get_args(annotation)
    match get_origin(annotation):
        case None if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            text = f"[{annotation.__name__}](#{annotation.__name__.lower()})"
        case None:
            text = _PLAIN[annotation]
        case origin if origin is Annotated:
            text = _annotated(arguments[0], arguments[1:])
        case origin if origin is Literal:
            text = " or ".join(f"`{value}`" for value in arguments)
        case origin if origin in (Union, UnionType):
            text = _union(arguments)
        case origin if origin is tuple:
            text = f"list of {_type(arguments[0])}"
        case _:
            text = f"mapping from {_type(arguments[0])} to {_type(arguments[1])}"
    return text


def _union(kinds: Sequence[Any]) -> str:
    bare = {kind: get_args(kind)[0] if get_origin(kind) is Annotated else kind for kind in kinds}
    names = [_type(kind) for kind, found in bare.items() if found not in (NoneType, Placeholder)]
    return " or ".join(names) + (" (a fact of its owner)" if Placeholder in bare.values() else "")


def _annotated(kind: Any, metadata: Sequence[Any]) -> str:
    limits: list[str] = []
    for part in _flattened(metadata):
        match part:
            case AfterValidator() | BeforeValidator():
                return str(getattr(part.func, "expected", None) or part.func.__doc__)
            case Ge(ge=limit):
                limits.append(f"from {limit}")
            case Gt(gt=limit):
                limits.append(f"above {limit}")
            case Le(le=limit):
                limits.append(f"to {limit}")
            case MinLen(min_length=limit):
                limits.append(f"({limit} or more)" if get_origin(kind) else f"of {limit} or more characters")
            case MaxLen(max_length=limit):
                limits.append(f"({limit} at most)" if get_origin(kind) else f"of {limit} characters at most")
            case _ if (pattern := getattr(part, "pattern", None)) is not None:
                limits.append(f"matching `{pattern}`")
    return " ".join([_type(kind), *limits])


def _flattened(metadata: Sequence[Any]) -> Iterator[Any]:
    for part in metadata:
        yield from part.metadata if isinstance(part, FieldInfo) else [part]


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    if field.default is PydanticUndefined:
        empty = field.default_factory in (dict, list)
        return "none" if empty else "what is current"
    return _shown(field.default)


def _shown(value: object) -> str:
    if value is None or value == ():
        return "none"
    if isinstance(value, BaseModel):
        return "its own defaults"
    if isinstance(value, tuple):
        return ", ".join(map(_shown, value))
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _flat(text: str) -> str:
    return " ".join(text.split())


def main() -> int:
    """Prints the page, or writes it to the file that is named."""
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(reference(), encoding="utf-8")
    else:
        sys.stdout.write(reference())
    return 0


if __name__ == "__main__":
    sys.exit(main())
