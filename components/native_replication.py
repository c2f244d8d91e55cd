"""What the databases' own replication needs of AWS."""

import pulumi
from pulumi_aws import kms, secretsmanager, vpc

from components.dms import REPLICATION_TAG


class NativeReplication(pulumi.ComponentResource):
    """Lets the target's database fetch the source's changes by itself.

    RDS goes out to the source's public address, from the NAT gateways' addresses. How it signs in stands in
    a secret that is made empty: the source's owner fills it (JSON: username, password). The cutover sets the
    replication up by the procedures of RDS.

    Args:
        database_security_group_id: the target database's.
        source_address: the source's public address, which alone is let through.

    Outputs:
        secret_arn.
    """

    def __init__(
        self,
        name: str,
        *,
        database_security_group_id: pulumi.Input[str],
        source_address: str,
        source_port: int,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("landfall:rds:NativeReplication", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        key = kms.Key(
            f"{name}-native-replication",
            description=f"The user that {name} replicates as",
            enable_key_rotation=True,
            deletion_window_in_days=7,
            tags={REPLICATION_TAG: name},
            opts=child,
        )
        secret = secretsmanager.Secret(
            f"{name}-native-replication",
            name_prefix=f"{name}-native-replication-",
            description="The replication's user of the source database: username, password",
            kms_key_id=key.arn,
            opts=child,
        )
        vpc.SecurityGroupEgressRule(
            f"{name}-database-to-source",
            description="to the source database",
            security_group_id=database_security_group_id,
            cidr_ipv4=f"{source_address}/32",
            ip_protocol="tcp",
            from_port=source_port,
            to_port=source_port,
            opts=child,
        )
        self.secret_arn = secret.arn
        self.register_outputs({"secret_arn": self.secret_arn})
