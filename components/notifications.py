"""Where alarms and the databases' own events go."""

from collections.abc import Sequence

import pulumi
from pulumi_aws import get_caller_identity_output, kms, rds, sns

from components.policies import document

EVENTS = {
    "db-instance": ("configuration change", "failover", "failure", "low storage", "maintenance"),
    "db-parameter-group": ("configuration change",),
    "db-security-group": ("configuration change", "failure"),
}
"""By kind of source, what RDS.20, RDS.21 and RDS.22 ask to be told of."""
PUBLISHERS = ("cloudwatch.amazonaws.com", "events.rds.amazonaws.com", "dms.amazonaws.com")


class Notifications(pulumi.ComponentResource):
    """An encrypted topic that alarms and the events of the account's databases are published to.

    Meets RDS.20, RDS.21, RDS.22, KMS rotation.

    Args:
        emails: who is told; each has to confirm once.

    Outputs:
        topic_arn.
    """

    def __init__(
        self, name: str, *, emails: Sequence[str], opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("landfall:sns:Notifications", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        account = get_caller_identity_output(opts=pulumi.InvokeOutputOptions(parent=self)).account_id
        key = kms.Key(
            f"{name}-notifications",
            description=f"Notifications of {name}",
            enable_key_rotation=True,
            deletion_window_in_days=7,
            policy=account.apply(_key_policy),
            opts=child,
        )
        topic = sns.Topic(f"{name}-notifications", kms_master_key_id=key.arn, opts=child)
        for email in emails:
            sns.TopicSubscription(
                f"{name}-{email}", topic=topic.arn, protocol="email", endpoint=email, opts=child
            )
        for source, categories in EVENTS.items():
            rds.EventSubscription(
                f"{name}-{source}",
                sns_topic=topic.arn,
                source_type=source,
                event_categories=list(categories),
                opts=child,
            )
        self.topic_arn = topic.arn
        self.register_outputs({"topic_arn": self.topic_arn})


def _key_policy(account: str) -> str:
    """The account's administrators manage the key; those that publish may use it, for this account alone."""
    return document(
        [
            {
                "Sid": "Administration",
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:aws:iam::{account}:root"},
                "Action": "kms:*",
                "Resource": "*",
            },
            {
                "Sid": "Publishers",
                "Effect": "Allow",
                "Principal": {"Service": list(PUBLISHERS)},
                "Action": ["kms:Decrypt", "kms:GenerateDataKey*"],
                "Resource": "*",
                "Condition": {"StringEquals": {"aws:SourceAccount": account}},
            },
        ]
    )
