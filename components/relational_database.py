"""A relational database on RDS."""

from collections.abc import Mapping, Sequence

import pulumi
from pulumi_aws import cloudwatch, ec2, iam, kms, rds, vpc

from components.policies import MANAGED_POLICY, trust
from components.settings.engines import RelationalEngine
from components.settings.relational import RelationalDatabaseSettings

LOGS: dict[RelationalEngine, tuple[str, ...]] = {
    # The general log is exported and empty: it writes every statement down with its values. The parameter
    # `general_log` turns it on.
    "mysql": ("audit", "error", "general", "slowquery"),
    "postgres": ("postgresql", "upgrade"),
}
PARAMETERS: dict[RelationalEngine, dict[str, str]] = {
    "mysql": {
        "require_secure_transport": "1",
        # What both DMS and the databases' own replication read.
        "binlog_format": "ROW",
        "binlog_row_image": "FULL",
        "gtid-mode": "ON",
        "enforce_gtid_consistency": "ON",
        # Triggers and routines are loaded by a user without SUPER.
        "log_bin_trust_function_creators": "1",
        "slow_query_log": "1",
        "log_output": "FILE",
    },
    "postgres": {
        "rds.force_ssl": "1",
        "rds.logical_replication": "1",
        "log_min_duration_statement": "1000",
        "log_connections": "1",
        "log_disconnections": "1",
    },
}
AUDITED = {"SERVER_AUDIT_EVENTS": "CONNECT,QUERY_DDL,QUERY_DCL", "SERVER_AUDIT_EXCL_USERS": "rdsadmin"}
"""What MySQL's audit log holds: who came and went, and who changed the schema or the grants; no data."""
STATIC = {
    "gtid-mode",
    "enforce_gtid_consistency",
    "rds.logical_replication",
    "lower_case_table_names",
    "performance_schema",
}
"""Parameters that take effect at the next start."""
LOG_RETENTION_DAYS = 90
MONITORING_SECONDS = 60


class RelationalDatabase(pulumi.ComponentResource):
    """An RDS instance for MySQL or PostgreSQL with all that belongs to it.

    Over several zones, in private subnets, encrypted under a key of its own, reachable by TLS alone and from
    named security groups alone. RDS keeps and rotates the master password. The parameter group is set for
    replication in both directions: whole rows in the binary log, GTIDs, logical decoding. (How long MySQL
    keeps its binary log is no parameter: the cutover sets it by `mysql.rds_set_configuration`.)

    Protected twice: by Pulumi and by RDS.

    Meets RDS.2, .3, .5, .6, .8, .9, .10, .11, .13, .17, .18, .25, .46, TLS required, KMS rotation, EC2.19.

    Args:
        allowed: security groups that may connect, by a name for the rule.
        allowed_networks: networks that may connect, by a name for the rule; such as another VPC's.
        notify: the topic that alarms go to.
        protected: whether deleting it takes a change of the settings first.

    Outputs:
        address, port, identifier, arn, security_group_id, key_arn, secret_arn (of the master password).
    """

    def __init__(
        self,
        name: str,
        settings: RelationalDatabaseSettings,
        *,
        vpc_id: pulumi.Input[str],
        subnet_ids: pulumi.Input[Sequence[str]],
        allowed: Mapping[str, pulumi.Input[str]],
        allowed_networks: Mapping[str, str] | None = None,
        notify: pulumi.Input[str],
        protected: bool,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("landfall:rds:RelationalDatabase", name, None, opts)
        self._name = name
        self._settings = settings
        self._child = pulumi.ResourceOptions(parent=self)
        self._guarded = pulumi.ResourceOptions(parent=self, protect=protected)
        key = kms.Key(
            name,
            description=f"The database {name}",
            enable_key_rotation=True,
            deletion_window_in_days=30,
            opts=self._guarded,
        )
        group = self._security_group(vpc_id, allowed, allowed_networks or {})
        instance = self._instance(key, group, subnet_ids, protected)
        self._alarms(instance, notify)

        self.identifier = instance.identifier
        self.arn = instance.arn
        self.address = instance.address
        self.port = pulumi.Output.from_input(settings.port)
        self.security_group_id = group.id
        self.key_arn = key.arn
        self.secret_arn = instance.master_user_secrets.apply(
            lambda secrets: (secrets[0].secret_arn or "") if secrets else ""
        )
        self.register_outputs(
            {
                "identifier": self.identifier,
                "arn": self.arn,
                "address": self.address,
                "port": self.port,
                "security_group_id": self.security_group_id,
                "secret_arn": self.secret_arn,
                "key_arn": self.key_arn,
            }
        )

    def _security_group(
        self,
        vpc_id: pulumi.Input[str],
        allowed: Mapping[str, pulumi.Input[str]],
        allowed_networks: Mapping[str, str],
    ) -> ec2.SecurityGroup:
        group = ec2.SecurityGroup(
            self._name,
            description=f"Connections to the database {self._name}",
            vpc_id=vpc_id,
            tags={"Name": self._name},
            opts=self._child,
        )
        rules: list[tuple[str, pulumi.Input[str] | None, str | None]] = [
            *((source, source_group, None) for source, source_group in allowed.items()),
            *((source, None, network) for source, network in allowed_networks.items()),
        ]
        for source, source_group, network in rules:
            vpc.SecurityGroupIngressRule(
                f"{self._name}-from-{source}",
                description=f"from {source}",
                security_group_id=group.id,
                referenced_security_group_id=source_group,
                cidr_ipv4=network,
                ip_protocol="tcp",
                from_port=self._settings.port,
                to_port=self._settings.port,
                opts=self._child,
            )
        return group

    def _parameter_group(self) -> rds.ParameterGroup:
        values = PARAMETERS[self._settings.engine] | self._settings.parameters
        return rds.ParameterGroup(
            self._name,
            description=f"The database {self._name}",
            family=self._settings.family,
            parameters=[
                {
                    "name": parameter,
                    "value": value,
                    "apply_method": "pending-reboot" if parameter in STATIC else "immediate",
                }
                for parameter, value in sorted(values.items())
            ],
            opts=self._child,
        )

    def _option_group(self) -> rds.OptionGroup | None:
        """What MySQL's audit log takes; PostgreSQL has no such option."""
        settings = self._settings
        if settings.engine != "mysql":
            return None
        return rds.OptionGroup(
            self._name,
            option_group_description=f"The database {self._name}",
            engine_name=settings.engine,
            major_engine_version=settings.major_version,
            options=[
                {
                    "option_name": "MARIADB_AUDIT_PLUGIN",
                    "option_settings": [
                        {"name": name, "value": value} for name, value in sorted(AUDITED.items())
                    ],
                }
            ],
            # A snapshot belongs to its instance's option group, and AWS deletes no group that has one.
            skip_destroy=settings.final_snapshot,
            opts=self._child,
        )

    def _instance(
        self,
        key: kms.Key,
        group: ec2.SecurityGroup,
        subnet_ids: pulumi.Input[Sequence[str]],
        protected: bool,
    ) -> rds.Instance:
        settings = self._settings
        subnets = rds.SubnetGroup(
            self._name,
            description=f"The database {self._name}",
            subnet_ids=subnet_ids,
            opts=self._child,
        )
        role = iam.Role(
            f"{self._name}-monitoring",
            assume_role_policy=trust("monitoring.rds.amazonaws.com"),
            opts=self._child,
        )
        attached = iam.RolePolicyAttachment(
            f"{self._name}-monitoring",
            role=role.name,
            policy_arn=f"{MANAGED_POLICY}service-role/AmazonRDSEnhancedMonitoringRole",
            opts=self._child,
        )
        # RDS would create them without a retention.
        logs = list(LOGS[settings.engine])
        groups = [
            cloudwatch.LogGroup(
                f"{self._name}-{log}",
                name=f"/aws/rds/instance/{self._name}/{log}",
                retention_in_days=LOG_RETENTION_DAYS,
                opts=self._child,
            )
            for log in logs
        ]
        options = self._option_group()
        return rds.Instance(
            self._name,
            identifier=self._name,
            engine=settings.engine,
            engine_version=settings.version,
            instance_class=settings.instance_class,
            db_name=settings.database_name,
            port=settings.port,
            username=settings.username,
            manage_master_user_password=True,
            master_user_secret_kms_key_id=key.arn,
            iam_database_authentication_enabled=True,
            allocated_storage=settings.storage_gib,
            max_allocated_storage=settings.maximum_storage_gib,
            storage_type="gp3",
            storage_encrypted=True,
            kms_key_id=key.arn,
            multi_az=True,
            publicly_accessible=False,
            db_subnet_group_name=subnets.name,
            vpc_security_group_ids=[group.id],
            parameter_group_name=self._parameter_group().name,
            option_group_name=None if options is None else options.name,
            ca_cert_identifier="rds-ca-rsa2048-g1",
            backup_retention_period=settings.backup_retention_days,
            backup_window=settings.backup_window,
            maintenance_window=settings.maintenance_window,
            auto_minor_version_upgrade=True,
            copy_tags_to_snapshot=True,
            enabled_cloudwatch_logs_exports=logs,
            monitoring_interval=MONITORING_SECONDS,
            monitoring_role_arn=role.arn,
            performance_insights_enabled=True,
            performance_insights_kms_key_id=key.arn,
            performance_insights_retention_period=7,
            deletion_protection=protected,
            skip_final_snapshot=not settings.final_snapshot,
            final_snapshot_identifier=f"{self._name}-final" if settings.final_snapshot else None,
            opts=pulumi.ResourceOptions.merge(
                self._guarded, pulumi.ResourceOptions(depends_on=[attached, *groups])
            ),
        )

    def _alarms(self, instance: rds.Instance, notify: pulumi.Input[str]) -> None:
        tenth = self._settings.storage_gib * 2**30 / 10
        for metric, comparison, threshold, meaning in (
            ("CPUUtilization", "GreaterThanThreshold", 80.0, "busy for a quarter of an hour"),
            ("FreeStorageSpace", "LessThanThreshold", tenth, "less than a tenth of its storage is free"),
            ("FreeableMemory", "LessThanThreshold", 256.0 * 2**20, "less than 256 MiB of memory is free"),
        ):
            cloudwatch.MetricAlarm(
                f"{self._name}-{metric}",
                alarm_description=f"The database {self._name}: {meaning}",
                namespace="AWS/RDS",
                metric_name=metric,
                dimensions={"DBInstanceIdentifier": instance.identifier},
                statistic="Average",
                period=300,
                evaluation_periods=3,
                comparison_operator=comparison,
                threshold=threshold,
                alarm_actions=[notify],
                ok_actions=[notify],
                opts=self._child,
            )
