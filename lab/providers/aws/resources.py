"""Creating, reading, changing and deleting a resource as its row describes."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

import jmespath
from botocore.validate import ParamValidator
from grpc import StatusCode

from lab.providers import compare
from lab.providers.aws import shapes
from lab.providers.aws.session import AwsError, AwsSession, operation_model
from lab.providers.aws.table import Call, Row, Tagging, Update
from lab.providers.base import Properties, ProviderError

DEFAULT_TIMEOUT = 1200.0  # seconds to wait for a resource to settle
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 10.0
_NOT_SENT = frozenset({"tags", "tagsAll", "region"})


def input_shape(row: Row, call: Call) -> Any:
    """The shape of a call's parameters."""
    return operation_model(call.service or row.service, call.operation).input_shape


def by_name(row: Row, call: Call, name: str) -> str | None:
    """The parameter that a property is by its name, where the call takes such."""
    if not call.rest or name in _NOT_SENT or name in row.local:
        return None
    member = shapes.member_of(input_shape(row, call), name, name, row.names)
    return None if member in call.parameters else member


def update_for(row: Row, name: str) -> Update | None:
    """The call that changes a property in place, if there is one."""
    stated = (update for update in row.updates if name in update.when)
    named = (update for update in row.updates if not update.when and by_name(row, update.call, name))
    templated = (
        update
        for update in row.updates
        if not update.when and name in shapes.placeholders(update.call.parameters)
    )
    return next(stated, None) or next(named, None) or next(templated, None)


def is_known(row: Row, name: str) -> bool:
    """Whether a row says what to do with a property."""
    if name in row.local or name == "__defaults" or (name == "region" and row.regional):
        return True
    if name in {"tags", "tagsAll"}:
        return row.tags is not None
    return bool(
        by_name(row, row.create, name)
        or name in shapes.placeholders(row.create.parameters)
        or name in row.prepared
        or update_for(row, name)
        or any(name in hook.properties for hook in row.hooks)
    )


def is_input(row: Row, name: str) -> bool:
    """Whether creation takes a property."""
    return bool(by_name(row, row.create, name)) or name in shapes.placeholders(row.create.parameters)


def needs_replacement(row: Row, name: str) -> bool:
    """Whether a property cannot be changed in place."""
    if name in row.replace or name == "region":
        return True
    if name in {"tags", "tagsAll"} or name in row.local or any(name in hook.properties for hook in row.hooks):
        return False
    return update_for(row, name) is None


class Resources:
    """A row at work, in one region of one account."""

    def __init__(self, row: Row, session: AwsSession, region: str) -> None:
        self.row = row
        self.session = session
        self.region = region

    def call(self, service: str, operation: str, parameters: Mapping[str, Any]) -> Properties:
        """An operation without a template, for hooks."""
        return self.session.call(service, operation, parameters, self.region)

    def parameters(self, call: Call, values: Properties, given: Properties) -> dict[str, Any]:
        """The parameters of a call: its template filled in, and of `given` what it takes by name.

        Raises shapes.ShapeError for a value that does not fit.
        """
        shape = input_shape(self.row, call)
        filled = shapes.fill(call.parameters, shape, values, self.row.names) if call.parameters else {}
        result: dict[str, Any] = {} if filled is shapes.MISSING else filled
        for name, value in given.items():
            member = by_name(self.row, call, name)
            if member is not None and value is not None:
                result[member] = shapes.to_aws(shape.members[member], value, name, self.row.names)
        return result

    def values(self, *sources: Properties, identity: str = "") -> Properties:
        """What templates may name: later sources before earlier ones, the id and what it says, and the
        place."""
        merged: Properties = {"region": self.region}
        for source in sources:
            merged |= {name: value for name, value in source.items() if value is not None}
        if identity:
            merged |= shapes.parse(self.row.id, identity) or {}
            merged["id"] = identity
        return merged | (self.row.prepare(merged) if self.row.prepare else {})

    def problems(self, inputs: Properties) -> list[tuple[str, str]]:
        """What is wrong with inputs: unknown, missing, or refused by botocore's own validation."""
        row = self.row
        found = [
            (name, f"is not supported by the lab's aws provider for {row.token}")
            for name in inputs
            if not is_known(row, name)
        ]
        found += [(name, "is required") for name in row.required if inputs.get(name) is None]
        if found:
            return found
        try:
            parameters = self.parameters(row.create, self.values(inputs), inputs)
        except shapes.ShapeError as error:
            return [(error.path, error.reason)]
        report = ParamValidator().validate(parameters, input_shape(row, row.create))
        return [("", report.generate_report())] if report.has_errors() else []

    def run(self, call: Call, values: Properties, given: Properties | None = None) -> Any:
        """A call, and what its `result` selects; None where it refused with one of `Call.ignore`."""
        try:
            parameters = self.parameters(call, values, given or {})
        except shapes.ShapeError as error:
            raise ProviderError(str(error), StatusCode.INVALID_ARGUMENT) from error
        try:
            answer = self.session.call(
                call.service or self.row.service, call.operation, parameters, self.region
            )
        except AwsError as error:
            if error.reason in call.ignore:
                return None
            raise
        return jmespath.search(shapes.substitute(call.result, values), answer) if call.result else answer

    def properties(self, call: Call, answer: Any) -> Properties:
        """An answer's description of the resource in Pulumi's form."""
        if answer is None:
            return {}
        if not isinstance(answer, Mapping):
            (name,) = shapes.placeholders(self.row.id)
            return {name: answer}
        output = operation_model(call.service or self.row.service, call.operation).output_shape
        if output is None:
            return {}
        described = shapes.shape_at(output, call.result)
        row = self.row
        found = shapes.from_aws(
            described, answer, "", shapes.Form(row.names, row.singles, row.plurals, row.maps)
        )
        if described.type_name == "map":
            return {shapes.camel(name): value for name, value in found.items()}
        result: Properties = found[0] if isinstance(found, list) else found
        return result

    def create(self, inputs: Properties) -> str:
        """Create the resource; returns its id. What comes after creation itself is `finish`."""
        values = self.values(inputs)
        answer = self.run(self.row.create, values, inputs)
        described = self.values(inputs, self.properties(self.row.create, answer), inputs)
        identity = shapes.fill(self.row.id, None, described)
        if identity is shapes.MISSING:
            raise ProviderError(f"AWS {self.row.create.operation}: the answer names no {self.row.id}")
        return str(identity)

    def finish(self, identity: str, inputs: Properties, timeout: float) -> None:
        """Bring a resource that was just created to what creation does not take, and wait for it."""
        self.settle(identity, timeout)
        values = self.values(inputs, identity=identity)
        for update in self.row.updates:
            if (
                update.on_create
                and any(inputs.get(name) is not None for name in update.when)
                and _wanted(update, inputs)
            ):
                self.run(update.call, values, {name: inputs.get(name) for name in update.when})
        for hook in self.row.hooks:
            hook.apply(self, {}, values)
        if self.row.tags is not None and self.row.tags.after and inputs.get("tagsAll"):
            self.run(self.row.tags.tag, {**values, "tags": inputs["tagsAll"]})
        self.settle(identity, timeout)

    def update(
        self, identity: str, old: Properties, outputs: Properties, new: Properties, timeout: float
    ) -> None:
        """Change what differs between two sets of inputs."""
        row = self.row
        target = {**row.defaults, **new} if row.defaults else dict(new)
        names = sorted(old.keys() | new.keys())
        changed = [name for name in names if not compare.same(old.get(name), target.get(name))]
        values = self.values(outputs, target, {"old": old}, identity=identity)
        for name in old:
            if name not in target:
                values.pop(name, None)
        for update in row.updates:
            mine = [name for name in changed if name in update.when or update_for(row, name) is update]
            if mine and _wanted(update, target):
                given = target if update.whole else {name: target.get(name) for name in (update.when or mine)}
                self.run(update.call, values, given)
                self.settle(identity, timeout)
        for hook in row.hooks:
            if any(name in hook.properties for name in changed):
                hook.apply(self, old, values)
        if row.tags is not None and not compare.same(old.get("tagsAll"), new.get("tagsAll")):
            self._change_tags(row.tags, values, old.get("tagsAll") or {}, new.get("tagsAll") or {})
        self.settle(identity, timeout)

    def _change_tags(
        self, tagging: Tagging, values: Properties, old: Mapping[str, str], new: Mapping[str, str]
    ) -> None:
        if not new and tagging.clear is not None:
            self.run(tagging.clear, values)
            return
        removed = sorted(old.keys() - new.keys())
        if removed:
            self.run(tagging.untag, {**values, "keys": removed})
        put = {key: value for key, value in new.items() if old.get(key) != value}
        if put:
            self.run(tagging.tag, {**values, "tags": put})

    def described(self, identity: str, known: Properties) -> tuple[Properties, Any] | None:
        """The resource's own description in Pulumi's form and as it came; None where there is no such
        resource."""
        row = self.row
        values = self.values(known, identity=identity)
        try:
            answer = self.run(row.read, values)
        except AwsError as error:
            if error.reason in row.gone:
                return None
            raise
        if answer is None or answer == []:
            return None
        live = self.properties(row.read, answer)
        for name in row.reads:
            live.pop(name, None)
        for name, path in row.reads.items():
            if path:
                live[name] = shapes.plain(jmespath.search(shapes.substitute(path, values), answer))
        if any(live.get(name) in states for name, states in row.gone_states.items()):
            return None
        return live, answer

    def read(self, identity: str, known: Properties) -> Properties | None:
        """The live properties; None where there is no such resource."""
        row = self.row
        found = self.described(identity, known)
        if found is None:
            return None
        live, answer = found
        values = self.values(known, live, identity=identity)
        for name, call in row.looks:
            live[name] = shapes.plain(self.run(call, values))
            values[name] = live[name]
        if row.tags is not None:
            values |= self.computed(values)
            told = self.run(row.tags.read, values) if row.tags.read else answer
            live.pop("tags", None)
            live["tagsAll"] = shapes.tags_of(jmespath.search(row.tags.path, told) or {})
        for hook in row.hooks:
            if hook.read is not None:
                live |= hook.read(self, values)
        live |= self.computed(values)
        for name in row.documents:
            if isinstance(live.get(name), (dict, list)):
                live[name] = json.dumps(live[name])
        live = {**(shapes.parse(row.id, identity) or {}), **live, "id": identity}
        if row.regional:
            live["region"] = self.region
        return {name: value for name, value in live.items() if value is not None}

    def computed(self, values: Properties) -> Properties:
        """What no call answers: the row's templates, such as ARNs."""
        if not self.row.computed:
            return {}
        place = {"account": self.session.account, "partition": self.session.partition}
        made = {
            name: shapes.fill(text, None, {**values, **place}) for name, text in self.row.computed.items()
        }
        return {name: value for name, value in made.items() if value is not shapes.MISSING}

    def settle(self, identity: str, timeout: float) -> None:
        """Wait until the last change is complete."""
        settle = self.row.settle
        if settle is None:
            return
        end, pause = time.monotonic() + (timeout or DEFAULT_TIMEOUT), _FIRST_PAUSE
        while True:
            found = self.described(identity, {})
            state = None if found is None else found[0].get(settle.property)
            if state in settle.ready:
                return
            if state in settle.failed:
                raise ProviderError(f"{self.row.token} {identity} is {state}", StatusCode.FAILED_PRECONDITION)
            if time.monotonic() >= end:
                raise ProviderError(
                    f"{self.row.token} {identity} is still {state},"
                    f" expected {' or '.join(sorted(settle.ready))}",
                    StatusCode.DEADLINE_EXCEEDED,
                )
            time.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_PAUSE)

    def delete(self, identity: str, known: Properties, timeout: float) -> None:
        """Delete the resource and wait until it is gone; one that is gone already is no error."""
        row = self.row
        if self.described(identity, known) is None:
            return
        values = self.values(known, identity=identity)
        if row.kept and values.get(row.kept):
            return
        try:
            for step in row.before_delete:
                if _wanted(step, values):
                    self.run(step.call, values)
            if row.on_delete is not None:
                row.on_delete(self, values)
            if row.delete is None:
                return
            self.run(row.delete, values)
        except AwsError as error:
            if error.reason in row.gone:
                return
            raise
        end, pause = time.monotonic() + (timeout or DEFAULT_TIMEOUT), _FIRST_PAUSE
        while self.described(identity, known) is not None:
            if time.monotonic() >= end:
                raise ProviderError(f"{row.token} {identity} is still there", StatusCode.DEADLINE_EXCEEDED)
            time.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_PAUSE)


def _wanted(update: Update, values: Properties) -> bool:
    if not update.flag:
        return True
    negated = update.flag.startswith("!")
    return bool(values.get(update.flag.lstrip("!"))) != negated
