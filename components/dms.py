"""Replication by DMS, forward and back."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import pulumi
from pulumi_aws import dms, ec2, iam, kms, secretsmanager, vpc

from components.dms_tasks import table_mappings, task_settings
from components.policies import document_output, managed_policy, trust
from components.settings.engines import RelationalEngine
from components.settings.replication import ReplicationSettings

REPLICATION_TAG = "landfall:replication"
"""Carries the replication's name: the runner's rights are limited to what has it."""
Direction = Literal["forward", "reverse"]
DMS_EVENTS = {
    "replication-instance": ("failover", "failure", "low storage", "maintenance"),
    "replication-task": ("configuration change", "failure", "state change"),
}
SERVICE_ROLES = {
    "dms-vpc-role": "service-role/AmazonDMSVPCManagementRole",
    "dms-cloudwatch-logs-role": "service-role/AmazonDMSCloudWatchLogsRole",
}
"""DMS looks for roles of exactly these names in its account."""


@dataclass(frozen=True)
class Database:
    """One end of the replication."""

    name: str
    """The database that is connected to."""
    schemas: tuple[str, ...]
    """Whose tables are replicated; MySQL calls its databases so."""
    port: int
    certificates: str
    """Of the authorities that sign its certificate, as PEM."""
    tls: Literal["verify-full", "verify-ca"]


class Replication(pulumi.ComponentResource):
    """A DMS instance with a task each way between a source's and a target's database.

    The forward task loads everything and then follows the changes (where the settings choose DMS for this
    direction); the reverse task follows changes alone, from a position that the cutover gives it. Both are
    made stopped, and no later `up` touches them: a changed task is stopped by DMS, so that whoever wants
    other settings replaces it on purpose. The cutover starts and stops them.

    How DMS signs in stands in two secrets that are made empty: the migration's users on both databases fill
    them (JSON: username, password, host, port). All connections use TLS with pinned authorities.

    Meets DMS.1, .6, .7, .8, .9, KMS rotation.

    Outputs:
        instance_arn, task_arns (by direction), secret_arns (`source`, `target`), security_group_id.
    """

    def __init__(
        self,
        name: str,
        settings: ReplicationSettings,
        *,
        engine: RelationalEngine,
        region: str,
        source: Database,
        target: Database,
        vpc_id: pulumi.Input[str],
        subnet_ids: pulumi.Input[Sequence[str]],
        target_security_group_id: pulumi.Input[str],
        notify: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("landfall:dms:Replication", name, None, opts)
        self._name = name
        self._settings = settings
        self._engine = engine
        self._child = pulumi.ResourceOptions(parent=self)
        self._tags = {REPLICATION_TAG: name}
        self._key = kms.Key(
            f"{name}-replication",
            description=f"Replication of {name}",
            enable_key_rotation=True,
            deletion_window_in_days=7,
            tags=self._tags,
            opts=self._child,
        )
        self._ends = {"source": source, "target": target}
        self._secrets = {end: self._secret(end) for end in self._ends}
        self._role = self._secrets_role(region)
        self._certificates = {
            end: dms.Certificate(
                f"{name}-{end}",
                certificate_id=f"{name}-{end}",
                certificate_pem=database.certificates,
                opts=self._child,
            )
            for end, database in self._ends.items()
        }
        group = self._security_group(vpc_id, target_security_group_id, source.port, target.port)
        instance = self._instance(group, subnet_ids)
        self._events(notify)

        tasks: dict[Direction, dms.ReplicationTask] = {}
        if settings.forward == "dms":
            tasks["forward"] = self._task("forward", instance, read="source", written="target")
        tasks["reverse"] = self._task("reverse", instance, read="target", written="source")
        self.instance_arn = instance.replication_instance_arn
        self.task_arns = {direction: task.replication_task_arn for direction, task in tasks.items()}
        self.secret_arns = {end: secret.arn for end, secret in self._secrets.items()}
        self.security_group_id = group.id
        self.register_outputs(
            {
                "instance_arn": self.instance_arn,
                "task_arns": self.task_arns,
                "secret_arns": self.secret_arns,
                "security_group_id": self.security_group_id,
            }
        )

    def _secret(self, end: str) -> secretsmanager.Secret:
        return secretsmanager.Secret(
            f"{self._name}-replication-{end}",
            name_prefix=f"{self._name}-replication-{end}-",
            description=f"The replication's user of the {end} database: username, password, host, port",
            kms_key_id=self._key.arn,
            opts=self._child,
        )

    def _secrets_role(self, region: str) -> iam.Role:
        role = iam.Role(
            f"{self._name}-replication",
            description="DMS reads how to sign in to the databases",
            assume_role_policy=trust(f"dms.{region}.amazonaws.com"),
            opts=self._child,
        )
        arns = pulumi.Output.all(self._key.arn, *(secret.arn for secret in self._secrets.values()))
        iam.RolePolicy(
            f"{self._name}-replication",
            role=role.id,
            policy=document_output(
                arns.apply(
                    lambda known: [
                        {
                            "Effect": "Allow",
                            "Action": ["secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"],
                            "Resource": known[1:],
                        },
                        {
                            "Effect": "Allow",
                            "Action": ["kms:Decrypt", "kms:DescribeKey"],
                            "Resource": known[0],
                        },
                    ]
                )
            ),
            opts=self._child,
        )
        return role

    def _security_group(
        self,
        vpc_id: pulumi.Input[str],
        target_security_group_id: pulumi.Input[str],
        source_port: int,
        target_port: int,
    ) -> ec2.SecurityGroup:
        group = ec2.SecurityGroup(
            f"{self._name}-replication",
            description=f"The DMS instance of {self._name}",
            vpc_id=vpc_id,
            tags={"Name": f"{self._name}-replication"},
            opts=self._child,
        )
        # The source has a public address that only its owner chooses, and AWS's own endpoints are there too.
        for port in sorted({443, source_port, target_port}):
            vpc.SecurityGroupEgressRule(
                f"{self._name}-replication-{port}",
                description="databases and AWS",
                security_group_id=group.id,
                cidr_ipv4="0.0.0.0/0",
                ip_protocol="tcp",
                from_port=port,
                to_port=port,
                opts=self._child,
            )
        vpc.SecurityGroupIngressRule(
            f"{self._name}-database-from-replication",
            description="from the DMS instance",
            security_group_id=target_security_group_id,
            referenced_security_group_id=group.id,
            ip_protocol="tcp",
            from_port=target_port,
            to_port=target_port,
            opts=self._child,
        )
        return group

    def _instance(
        self, group: ec2.SecurityGroup, subnet_ids: pulumi.Input[Sequence[str]]
    ) -> dms.ReplicationInstance:
        roles = self._service_roles() if self._settings.service_roles else []
        subnets = dms.ReplicationSubnetGroup(
            self._name,
            replication_subnet_group_id=self._name,
            replication_subnet_group_description=f"Replication of {self._name}",
            subnet_ids=subnet_ids,
            opts=pulumi.ResourceOptions.merge(self._child, pulumi.ResourceOptions(depends_on=roles)),
        )
        return dms.ReplicationInstance(
            self._name,
            replication_instance_id=self._name,
            replication_instance_class=self._settings.instance.instance_class,
            engine_version=self._settings.instance.version,
            allocated_storage=self._settings.instance.storage_gib,
            multi_az=self._settings.instance.multi_az,
            publicly_accessible=False,
            auto_minor_version_upgrade=True,
            kms_key_arn=self._key.arn,
            replication_subnet_group_id=subnets.replication_subnet_group_id,
            vpc_security_group_ids=[group.id],
            preferred_maintenance_window="sun:19:30-sun:20:30",
            tags=self._tags,
            opts=pulumi.ResourceOptions.merge(self._child, pulumi.ResourceOptions(depends_on=roles)),
        )

    def _service_roles(self) -> list[pulumi.Resource]:
        made: list[pulumi.Resource] = []
        for name, policy in SERVICE_ROLES.items():
            role = iam.Role(name, name=name, assume_role_policy=trust("dms.amazonaws.com"), opts=self._child)
            made.append(
                iam.RolePolicyAttachment(
                    name, role=role.name, policy_arn=managed_policy(policy), opts=self._child
                )
            )
        return made

    def _events(self, notify: pulumi.Input[str]) -> None:
        for source, categories in DMS_EVENTS.items():
            dms.EventSubscription(
                f"{self._name}-{source}",
                name=f"{self._name}-{source}",
                sns_topic_arn=notify,
                source_type=source,
                event_categories=list(categories),
                enabled=True,
                opts=self._child,
            )

    def _task(
        self,
        direction: Direction,
        instance: dms.ReplicationInstance,
        *,
        read: str,
        written: str,
    ) -> dms.ReplicationTask:
        name = f"{self._name}-{direction}"
        full_load = direction == "forward"
        return dms.ReplicationTask(
            name,
            replication_task_id=name,
            replication_instance_arn=instance.replication_instance_arn,
            source_endpoint_arn=self._endpoint(f"{name}-source", "source", read).endpoint_arn,
            target_endpoint_arn=self._endpoint(f"{name}-target", "target", written).endpoint_arn,
            migration_type="full-load-and-cdc" if full_load else "cdc",
            table_mappings=table_mappings(self._ends[read].schemas, self._settings.tables),
            replication_task_settings=task_settings(
                full_load=full_load, lob_chunk_kib=self._settings.lob_chunk_kib
            ),
            start_replication_task=False,
            tags=self._tags,
            opts=pulumi.ResourceOptions.merge(
                self._child,
                pulumi.ResourceOptions(
                    # What runs is the cutover's: DMS would stop a task to change it.
                    ignore_changes=[
                        "cdcStartPosition",
                        "cdcStartTime",
                        "migrationType",
                        "replicationTaskSettings",
                        "startReplicationTask",
                        "tableMappings",
                    ]
                ),
            ),
        )

    def _endpoint(self, name: str, kind: Literal["source", "target"], end: str) -> dms.Endpoint:
        database = self._ends[end]
        mysql = self._engine == "mysql"
        # Foreign keys are there before the load; their order of loading is not theirs.
        relaxed = "initstmt=SET FOREIGN_KEY_CHECKS=0" if mysql and kind == "target" else None
        return dms.Endpoint(
            name,
            endpoint_id=name,
            endpoint_type=kind,
            engine_name=self._engine,
            database_name=None if mysql else database.name,
            secrets_manager_arn=self._secrets[end].arn,
            secrets_manager_access_role_arn=self._role.arn,
            ssl_mode=database.tls,
            certificate_arn=self._certificates[end].certificate_arn,
            kms_key_arn=self._key.arn,
            extra_connection_attributes=relaxed,
            mysql_settings={"events_poll_interval": 1} if mysql and kind == "source" else None,
            tags=self._tags,
            opts=self._child,
        )
