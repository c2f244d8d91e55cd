"""The rights that the cutover's journal, lease and approvals take, in every environment the same."""

from components.policies import Statement
from stacks.settings.cutover import AnchorSettings


def journal_statements(
    table: str, key: str, anchors: AnchorSettings | None, *, write: bool
) -> list[Statement]:
    """Reading, or also writing: items are put on conditions, and nothing is ever deleted.

    Args:
        table: its ARN.
        key: the ARN of the key that encrypts it.
        anchors: where the journal's hashes are kept besides.
        write: whether it runs, or only looks.
    """
    items = ["dynamodb:GetItem", "dynamodb:Query"]
    if write:
        items += ["dynamodb:ConditionCheckItem", "dynamodb:PutItem"]
    found: list[Statement] = [
        {"Effect": "Allow", "Action": sorted(items), "Resource": table},
        {
            "Effect": "Allow",
            "Action": ["kms:Decrypt", *(["kms:GenerateDataKey"] if write else [])],
            "Resource": key,
        },
    ]
    if anchors is not None:
        bucket = f"arn:aws:s3:::{anchors.bucket}"
        looking = ["s3:GetBucketObjectLockConfiguration", "s3:ListBucketVersions"]
        found.append({"Effect": "Allow", "Action": looking, "Resource": bucket})
        if write:
            objects = f"{bucket}/{anchors.prefix}*"
            found.append({"Effect": "Allow", "Action": ["s3:PutObject"], "Resource": objects})
    return found
