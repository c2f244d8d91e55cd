"""The aws provider's instances: what each call of an engine means for a row of the table."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from grpc import StatusCode

from lab.providers import compare
from lab.providers.aws import functions, resources, shapes
from lab.providers.aws.resources import Resources
from lab.providers.aws.rows import ROWS
from lab.providers.aws.session import AwsSession, operation_model
from lab.providers.aws.table import Row
from lab.providers.base import (
    UNKNOWN,
    Checked,
    Difference,
    Instance,
    PartialFailureError,
    Properties,
    ProviderError,
    Resource,
    State,
    has_unknown,
    is_unknown,
    random_suffix,
)


class AwsProvider:
    """Makes instances, each for one account and default region."""

    name = "aws"
    version = "7.51.0"

    def configure(self, settings: Mapping[str, Any]) -> Instance:
        """See `lab.providers.base.Provider`."""
        return AwsInstance(settings)


class AwsInstance:
    """One account. Safe for use by several threads."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._session = AwsSession(settings)
        tags = (
            (settings.get("defaultTags") or {}).get("tags")
            if not is_unknown(settings.get("defaultTags"))
            else None
        )
        self._default_tags: dict[str, Any] = dict(tags or {})

    def check(self, resource: Resource, olds: Properties, news: Properties, seed: bytes) -> Checked:
        """See `lab.providers.base.Instance`: fills in name, region and all tags, and validates as botocore
        does."""
        row = _row(resource)
        inputs = {name: value for name, value in news.items() if name != "__defaults"}
        if row.autoname and not inputs.get(row.autoname):
            inputs[row.autoname] = _name(row, resource, olds, inputs, seed)
        inputs.pop(f"{row.autoname}Prefix", None)
        if row.regional:
            inputs.setdefault("region", self._session.region)
        if row.tags is not None:
            tags = inputs.get("tags")
            inputs["tagsAll"] = tags if is_unknown(tags) else {**self._default_tags, **(tags or {})}
        return Checked(inputs, self._resources(row, inputs).problems(inputs))

    def diff(self, resource: Resource, old: State, news: Properties) -> Difference:
        """See `lab.providers.base.Instance`."""
        row = _row(resource)
        # What was imported has no inputs yet, only outputs.
        known = {**old.outputs, **old.inputs}
        news = {
            **news,
            **{name: known[name] for name in row.documents if _same_document(known, news, name)},
        }
        chosen_name = row.autoname and not str(news.get(row.autoname, "")).startswith(f"{resource.name}-")
        found = compare.difference(
            old,
            news,
            replaces=lambda path: resources.needs_replacement(row, str(path[0])),
            # Two resources cannot have one name; a made-up one is new each time.
            delete_before_replace=bool(chosen_name) or not row.autoname,
            order_free=True,
        )
        # What only follows from `tags` is not shown twice.
        tops = {change.path[0] for change in found.changes}
        kept = tuple(
            change for change in found.changes if not (change.path[0] == "tagsAll" and "tags" in tops)
        )
        return Difference(kept, found.delete_before_replace)

    def create(self, resource: Resource, inputs: Properties, *, preview: bool, timeout: float) -> State:
        """See `lab.providers.base.Instance`."""
        row = _row(resource)
        if preview:
            return State("", {**dict.fromkeys(_outputs(row), UNKNOWN), **_foretold(row, inputs)}, inputs)
        work = self._resources(row, inputs)
        with _about(resource):
            identity = work.create(inputs)
        try:
            with _about(resource):
                work.finish(identity, inputs, timeout)
                outputs = self._remembered(work, identity, inputs)
        except ProviderError as error:
            made = State(identity, {**inputs, "id": identity}, inputs)
            raise PartialFailureError(str(error), made) from error
        return State(identity, outputs, inputs)

    def update(
        self, resource: Resource, old: State, inputs: Properties, *, preview: bool, timeout: float
    ) -> Properties:
        """See `lab.providers.base.Instance`."""
        row = _row(resource)
        if preview or has_unknown(inputs):
            known = {name: _filled(value, old.outputs.get(name)) for name, value in inputs.items()}
            return {**old.outputs, **known, **dict.fromkeys(row.renewed, UNKNOWN)}
        work = self._resources(row, inputs)
        try:
            with _about(resource):
                work.update(old.id, old.inputs, old.outputs, inputs, timeout)
                return self._remembered(work, old.id, inputs)
        except ProviderError as error:
            # Some of the calls may have been made: the old inputs are kept, so that the next update repeats
            # them all.
            raise PartialFailureError(str(error), old) from error

    def delete(self, resource: Resource, old: State, *, timeout: float) -> None:
        """See `lab.providers.base.Instance`."""
        known = {**old.outputs, **old.inputs}
        with _about(resource):
            self._resources(_row(resource), known).delete(old.id, known, timeout)

    def read(self, resource: Resource, old: State) -> State | None:
        """See `lab.providers.base.Instance`. The id to import by is `Row.id`."""
        row = _row(resource)
        if shapes.parse(row.id, old.id) is None:
            raise ProviderError(
                f"{resource.type} {resource.name}: the id {old.id!r} is not of the form {row.id}",
                StatusCode.INVALID_ARGUMENT,
            )
        known = {**old.outputs, **old.inputs}
        work = self._resources(row, known)
        with _about(resource):
            live = work.read(old.id, known)
        if live is None:
            return None
        inputs = self._seen(row, old.inputs, live) if old.inputs else self._stated(row, old.id, live)
        return State(old.id, _merged(live, inputs), inputs)

    def invoke(self, token: str, arguments: Properties) -> Properties:
        """See `lab.providers.base.Instance`."""
        return functions.invoke(self._session, token, arguments)

    def _resources(self, row: Row, inputs: Properties) -> Resources:
        region = inputs.get("region")
        return Resources(
            row, self._session, self._session.region if not region or is_unknown(region) else str(region)
        )

    def _remembered(self, work: Resources, identity: str, inputs: Properties) -> Properties:
        live = work.read(identity, inputs)
        if live is None:
            raise ProviderError(
                f"{work.row.token} {identity} vanished right after it was made", StatusCode.NOT_FOUND
            )
        return _merged(live, inputs)

    def _seen(self, row: Row, inputs: Properties, live: Properties) -> Properties:
        """The inputs with the live values of the properties that they name, and with tags set by others."""
        readable = {
            name: value for name, value in inputs.items() if name in live and name not in {"tags", "tagsAll"}
        }
        seen = {**inputs, **compare.overlay(readable, live)}
        for name in row.documents:
            if _same_document(inputs, live, name):
                seen[name] = inputs[name]
        if row.tags is not None:
            tags = live.get("tagsAll") or {}
            stated = inputs.get("tags") or {}
            own = {
                key: value
                for key, value in tags.items()
                if key in stated or self._default_tags.get(key) != value
            }
            seen["tagsAll"] = tags
            if own or "tags" in inputs:
                seen["tags"] = own
        return seen

    def _stated(self, row: Row, identity: str, live: Properties) -> Properties:
        """The inputs of an imported resource: what its id says, its region and its tags.

        What a program states beside them is compared with the outputs.
        """
        named = {
            name: value
            for name, value in (shapes.parse(row.id, identity) or {}).items()
            if resources.is_input(row, name)
        }
        if row.regional:
            named["region"] = live["region"]
        return self._seen(row, named | ({"tags": {}} if row.tags else {}), live)


class _about:  # noqa: N801 - reads as a word at its use
    """Names the resource in every error of a block."""

    def __init__(self, resource: Resource) -> None:
        self._title = f"{resource.type} {resource.name}"

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, ProviderError) and not isinstance(error, PartialFailureError):
            raise ProviderError(f"{self._title}: {error}", error.code) from error


def _row(resource: Resource) -> Row:
    try:
        return ROWS[resource.type]
    except KeyError:
        raise ProviderError(
            f"{resource.type} is not supported by the lab's aws provider", StatusCode.UNIMPLEMENTED
        ) from None


def _name(row: Row, resource: Resource, olds: Properties, inputs: Properties, seed: bytes) -> str:
    prefix = inputs.get(f"{row.autoname}Prefix")
    start = str(prefix) if prefix and not is_unknown(prefix) else f"{resource.name}-"
    start = start.lower() if row.lower else start
    kept = olds.get(row.autoname)
    if isinstance(kept, str) and kept.startswith(start) and len(kept) == len(start) + 7:
        return kept
    return start + random_suffix(seed, resource.urn, 7)


def _same_document(one: Properties, other: Properties, name: str) -> bool:
    texts = (one.get(name), other.get(name))
    if not all(isinstance(text, str) for text in texts) or has_unknown(list(texts)):
        return False
    try:
        return bool(json.loads(str(texts[0])) == json.loads(str(texts[1])))
    except ValueError:
        return texts[0] == texts[1]


def _merged(live: Properties, inputs: Properties) -> Properties:
    """Outputs: what is live; in the inputs' form where that means the same, and inputs that cannot be
    read."""
    merged = dict(live)
    for name, value in inputs.items():
        if name not in live or compare.covers(live[name], value) or _same_document(inputs, live, name):
            merged[name] = _filled(value, live.get(name))
    return merged


def _filled(value: Any, live: Any) -> Any:
    """An object keeps what AWS added to it, such as a cluster's own security group."""
    if isinstance(value, dict) and isinstance(live, dict):
        return {**live, **{key: _filled(item, live.get(key)) for key, item in value.items()}}
    return value


def _outputs(row: Row) -> set[str]:
    """The outputs that a resource of this row will have, as far as they are known before it exists."""
    names = set(_members(row))
    names |= row.computed.keys() | row.reads.keys() | {name for name, _ in row.looks}
    return (names | ({"tagsAll"} if row.tags else set())) - {"id"}


def _members(row: Row) -> dict[str, Any]:
    """What a resource's description holds: the shapes by their properties."""
    described = shapes.shape_at(
        operation_model(row.read.service or row.service, row.read.operation).output_shape, row.read.result
    )
    members = described.members if described.type_name == "structure" else {}
    renamed = {member: name for name, member in row.names.items() if "." not in name}
    return {renamed.get(member, shapes.camel(member)): shape for member, shape in members.items()}


def _foretold(row: Row, inputs: Properties) -> Properties:
    """The inputs as outputs of what does not exist yet: AWS may add to an object what is known only then."""
    members = _members(row)
    found = dict(inputs)
    for name, value in inputs.items():
        shape = None if name in row.reads else members.get(name)
        if isinstance(value, dict) and shape is not None and shape.type_name == "structure":
            found[name] = {**dict.fromkeys(map(shapes.camel, shape.members), UNKNOWN), **value}
    return found
