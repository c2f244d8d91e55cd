"""The aws provider's table against botocore's models and the Pulumi SDK's properties; nothing is called."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jmespath
import pytest

from lab.providers.aws import resources, shapes
from lab.providers.aws.rows import ROWS
from lab.providers.aws.session import operation_model
from lab.providers.aws.table import Call, Row

ALL = pytest.mark.parametrize("row", ROWS.values(), ids=lambda row: row.token.split(":")[-1])


def _calls(row: Row) -> Iterator[Call]:
    yield from (row.create, row.read)
    if row.delete is not None:
        yield row.delete
    yield from (update.call for update in (*row.updates, *row.before_delete))
    yield from (call for _, call in row.looks)
    if row.tags is not None:
        yield from (call for call in (row.tags.tag, row.tags.untag, row.tags.read, row.tags.clear) if call)


def _unknown_members(template: Any, shape: Any, path: str) -> Iterator[str]:
    if isinstance(template, dict) and shape.type_name == "structure":
        for member, part in template.items():
            if member not in shape.members:
                yield f"{path}.{member}"
            else:
                yield from _unknown_members(part, shape.members[member], f"{path}.{member}")
    elif isinstance(template, (list, tuple)):
        for part in template:
            yield from _unknown_members(part, shape.member, f"{path}[]")


@ALL
def test_a_row_names_what_botocore_has(row: Row) -> None:
    for call in _calls(row):
        model = operation_model(call.service or row.service, call.operation)
        assert list(_unknown_members(dict(call.parameters), model.input_shape, call.operation)) == []
        if call.result:
            jmespath.compile(shapes.substitute(call.result, {}))
    for path in row.reads.values():
        if path:
            jmespath.compile(shapes.substitute(path, {}))
    described = operation_model(row.read.service or row.service, row.read.operation).output_shape
    assert shapes.shape_at(described, row.read.result).type_name in {"structure", "map"}


def _sdk_properties(token: str) -> set[str]:
    """The properties that the Pulumi SDK's class has, read from its source: importing it takes seconds."""
    middle = token.split(":")[1]
    module, name = middle.split("/")
    found = find_spec("pulumi_aws")
    assert found is not None
    assert found.origin is not None
    file = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    source = (Path(found.origin).parent / module / f"{file}.py").read_text()
    getters = re.findall(r'@pulumi\.getter(?:\(name="(\w+)"\))?\n(?:\s+@.*\n)*\s+def (\w+)', source)
    return {name or plain for name, plain in getters}


def _stated(row: Row) -> set[str]:
    """Every property that a row expects from a program or promises as an output."""
    names = {name.split(".")[0] for name in (*row.names, *row.singles, *row.plurals, *row.maps)}
    names |= {name for name, path in row.reads.items() if path} | {name for name, _ in row.looks}
    names |= set(row.local) | set(row.replace) | set(row.required) | set(row.defaults) | set(row.documents)
    names |= set(row.prepared) | set(row.renewed) | set(row.computed) | {row.autoname} - {""}
    names |= {name for hook in row.hooks for name in hook.properties}
    names |= {name for update in row.updates for name in update.when}
    return names


# For the provider itself: polling, and templates' own values.
INTERNAL = {
    "ec2/launchTemplate": {"data"},
    "dynamodb/table": {"tableStatus"},
    "secretsmanager/secret": {"deleted"},
    "iam/role": set(),
    "aws:ec2/defaultSecurityGroup": set(),
}


@ALL
def test_a_row_names_what_the_sdk_has(row: Row) -> None:
    internal = INTERNAL.get(row.token.split(":")[1], set())
    assert _stated(row) - _sdk_properties(row.token) - internal == set()


@ALL
def test_each_input_of_a_row_is_taken_by_creation_or_later(row: Row) -> None:
    for name in row.required:
        assert resources.is_known(row, name), name
    for update in row.updates:
        for name in update.when:
            assert not resources.needs_replacement(row, name), f"{name} is both changed and replaced"


@pytest.mark.parametrize(
    ("member", "name"),
    [
        ("CidrBlock", "cidrBlock"),
        ("DBSubnetGroupName", "dbSubnetGroupName"),
        ("KMSMasterKeyID", "kmsMasterKeyId"),
        ("ARN", "arn"),
        ("IAMDatabaseAuthenticationEnabled", "iamDatabaseAuthenticationEnabled"),
        ("subnetIds", "subnetIds"),
    ],
)
def test_members_become_properties(member: str, name: str) -> None:
    assert shapes.camel(member) == name
