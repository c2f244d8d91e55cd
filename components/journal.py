"""The cutover's journal and lease, for a team."""

import pulumi
from pulumi_aws import dynamodb, kms


class Journal(pulumi.ComponentResource):
    """A DynamoDB table that holds the journals of cutovers and the lease of their runner.

    Items are found by `journal` (what they belong to: a plan's journal, the environment's lease, an approval)
    and `sequence` (a number). Encrypted under a key of its own, kept for recovery to any second of 35 days,
    and protected twice.

    Outputs:
        table (its name), arn, key_arn.
    """

    def __init__(self, name: str, *, protected: bool, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("landfall:dynamodb:Journal", name, None, opts)
        guarded = pulumi.ResourceOptions(parent=self, protect=protected)
        key = kms.Key(
            f"{name}-journal",
            description=f"The journal of cutovers in {name}",
            enable_key_rotation=True,
            deletion_window_in_days=30,
            opts=guarded,
        )
        table = dynamodb.Table(
            f"{name}-journal",
            name=f"{name}-cutover-journal",
            billing_mode="PAY_PER_REQUEST",
            hash_key="journal",
            range_key="sequence",
            attributes=[{"name": "journal", "type": "S"}, {"name": "sequence", "type": "N"}],
            point_in_time_recovery={"enabled": True},
            server_side_encryption={"enabled": True, "kms_key_arn": key.arn},
            deletion_protection_enabled=protected,
            opts=guarded,
        )
        self.table = table.name
        self.arn = table.arn
        self.key_arn = key.arn
        self.register_outputs({"table": self.table, "arn": self.arn, "key_arn": self.key_arn})
