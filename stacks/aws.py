"""The AWS account that a stack works on."""

from collections.abc import Mapping

import pulumi
from pulumi_aws import Provider

from stacks.settings import Placeholder, known


def aws_options(
    region: str, tags: Mapping[str, str], account: str | Placeholder | None
) -> pulumi.ResourceOptions:
    """Options that put resources into a region, all tagged alike.

    Where the settings name the account, the provider refuses credentials of any other.
    """
    provider = Provider(
        "aws",
        region=region,
        default_tags={"tags": dict(tags)},
        allowed_account_ids=None if account is None else [known(account, "account")],
    )
    return pulumi.ResourceOptions(provider=provider)
