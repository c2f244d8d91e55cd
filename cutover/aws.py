"""Clients of AWS, with time limits, as the runner or as a role that it may take."""

from __future__ import annotations

from typing import Any


def client_as(role: str, service: str, region: str, *, session: str, seconds: float, attempts: int) -> Any:
    """A client of a service.

    Args:
        role: the ARN of the role to be taken; empty: the runner's own credentials.
        session: under which name CloudTrail shows what the role does.
        seconds: for connecting, and for each answer.
        attempts: how often a call that failed is repeated.

    Raises:
        botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError: there are no credentials, or the
            role may not be taken.
    """
    # It takes a second to load, which `status` need not wait for.
    import boto3  # noqa: PLC0415
    from botocore.config import Config  # noqa: PLC0415

    config = Config(connect_timeout=seconds, read_timeout=seconds, retries={"max_attempts": attempts})
    if not role:
        return boto3.client(service, region_name=region, config=config)
    own = boto3.client("sts", region_name=region, config=config)
    taken = own.assume_role(RoleArn=role, RoleSessionName=session)["Credentials"]
    return boto3.client(
        service,
        region_name=region,
        config=config,
        aws_access_key_id=taken["AccessKeyId"],
        aws_secret_access_key=taken["SecretAccessKey"],
        aws_session_token=taken["SessionToken"],
    )
