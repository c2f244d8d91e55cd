"""IAM policy documents, as the JSON that AWS takes."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pulumi

Statement = Mapping[str, Any]
MANAGED_POLICY = "arn:aws:iam::aws:policy/"


def document(statements: Sequence[Statement]) -> str:
    """A policy document of statements without unknown values."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def document_output(statements: pulumi.Input[Sequence[Statement]]) -> pulumi.Output[str]:
    """A policy document whose statements name things that are known only later."""
    return pulumi.Output.from_input(statements).apply(document)


def trust(service: str, *actions: str, conditions: Mapping[str, Any] | None = None) -> str:
    """Lets an AWS service take a role."""
    statement: dict[str, Any] = {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": list(actions) or ["sts:AssumeRole"],
    }
    if conditions:
        statement["Condition"] = dict(conditions)
    return document([statement])


def managed_policy(name: str) -> str:
    """The ARN of an AWS managed policy by its name, or an ARN as it is."""
    return name if name.startswith("arn:") else f"{MANAGED_POLICY}{name}"
