"""Secrets Manager, and passwords that are kept elsewhere."""

from __future__ import annotations

from collections.abc import Iterator

from policy.control import Control, Rule, StackRule, accompanied, stated
from policy.controls.rds import INSTANCE
from policy.judgement import Failed, Finding, Resource, is_true

SECRET = "aws:secretsmanager/secret:Secret"  # noqa: S105 - a resource type
ROTATION = "aws:secretsmanager/secretRotation:SecretRotation"


def _no_password(resource: Resource) -> Iterator[Finding]:
    if stated(resource, "password"):
        yield Failed("password is stated; expected RDS to make and rotate it")


CONTROLS = (
    Control(
        "SecretsManager.1",
        "A secret is rotated; a database's master password is RDS's own.",
        "secretsmanager.SecretRotation: secretId; rds.Instance: manageMasterUserPassword",
        (Rule((INSTANCE,), (is_true("manageMasterUserPassword"), _no_password)),),
        (StackRule((SECRET,), (accompanied(ROTATION, "secretId", "SecretRotation"),)),),
    ),
)
