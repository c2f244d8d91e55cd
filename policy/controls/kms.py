"""KMS: keys, and who may decrypt with which."""

from __future__ import annotations

import re
from collections.abc import Iterator

from policy.control import Control, Rule
from policy.documents import Statement, allows, listed, statements
from policy.judgement import Demand, Failed, Finding, Judge, Resource, is_true

KEY = "aws:kms/key:Key"
POLICY = "aws:iam/policy:Policy"
INLINE = (
    "aws:iam/rolePolicy:RolePolicy",
    "aws:iam/userPolicy:UserPolicy",
    "aws:iam/groupPolicy:GroupPolicy",
)
_EVERY_KEY = re.compile(r"\*|arn:[^:]*:kms:[^:]*:[^:]*:(\*|key/\*)")


def _unlimited(statement: Statement) -> bool:
    """Whether a statement lets every key be used for decryption; a condition on tags picks keys."""
    conditions = str(statement.get("Condition") or "").lower()
    return (
        allows(statement, "kms:Decrypt", "kms:ReEncryptFrom")
        and ("NotResource" in statement or any(map(_EVERY_KEY.fullmatch, listed(statement.get("Resource")))))
        and "aws:resourcetag/" not in conditions
        and "kms:resourcealiases" not in conditions
    )


def _no_wildcard(path: str) -> Judge:
    def judged(resource: Resource) -> Iterator[Finding]:
        for statement in statements(resource, path):
            if isinstance(statement, Finding):
                yield statement
            elif _unlimited(statement):
                yield Failed(f"{path} allows decryption with every key; expected keys by their ARNs")

    return judged


CONTROLS = (
    Control(
        "KMS.1",
        "No managed policy allows decryption with every key.",
        "iam.Policy: policy",
        (Rule((POLICY,), (_no_wildcard("policy"),)),),
    ),
    Control(
        "KMS.2",
        "No inline policy allows decryption with every key.",
        "iam.RolePolicy, iam.UserPolicy, iam.GroupPolicy: policy",
        (Rule(INLINE, (_no_wildcard("policy"),)),),
    ),
    Control(
        "KMS.3",
        "A key's deletion waits, for it to be noticed.",
        "deletionWindowInDays",
        (
            Rule(
                (KEY,),
                (
                    Demand(
                        "deletionWindowInDays",
                        "7 to 30",
                        lambda days: isinstance(days, (int, float)) and days >= 7,
                    ),
                ),
            ),
        ),
    ),
    Control(
        "KMS.4",
        "A key is rotated every year.",
        "enableKeyRotation",
        (Rule((KEY,), (is_true("enableKeyRotation"),)),),
    ),
)
