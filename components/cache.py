"""A Redis on ElastiCache."""

import json
import secrets
from collections.abc import Mapping, Sequence

import pulumi
from pulumi_aws import cloudwatch, ec2, elasticache, kms, secretsmanager, vpc

from components.settings.cache import CacheSettings

PORT = 6379
LOG_RETENTION_DAYS = 90
NOTHING = "off ~* resetchannels -@all"
EVERYTHING = "on ~* &* +@all -@admin -@dangerous +info +keys +flushdb"
"""Without what would change the server itself; `info`, `keys` and `flushdb` are what a cutover looks with."""


class Cache(pulumi.ComponentResource):
    """An ElastiCache replication group: a primary with replicas in other zones, failing over by itself.

    Encrypted at rest under a key of its own and in transit. It is reached as one named user, whose password
    is made here and kept in Secrets Manager; the default user can do nothing.

    Meets ElastiCache.1-7, KMS rotation, EC2.19. The password's rotation (SecretsManager.1) is an exception
    that the settings name: the services read it at their start.

    Args:
        allowed: security groups that may connect, by a name for the rule.
        allowed_networks: networks that may connect, by a name for the rule; such as another VPC's.
        notify: the topic that alarms go to.
        protected: whether deleting it takes a change of the settings first.

    Outputs:
        address (of the primary), port, security_group_id, secret_arn (of JSON with username and
        password), key_arn.
    """

    def __init__(
        self,
        name: str,
        settings: CacheSettings,
        *,
        vpc_id: pulumi.Input[str],
        subnet_ids: pulumi.Input[Sequence[str]],
        allowed: Mapping[str, pulumi.Input[str]],
        allowed_networks: Mapping[str, str] | None = None,
        notify: pulumi.Input[str],
        protected: bool,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("landfall:elasticache:Cache", name, None, opts)
        self._name = name
        self._settings = settings
        self._child = pulumi.ResourceOptions(parent=self)
        self._guarded = pulumi.ResourceOptions(parent=self, protect=protected)
        key = kms.Key(
            name,
            description=f"The cache {name}",
            enable_key_rotation=True,
            deletion_window_in_days=30,
            opts=self._guarded,
        )
        secret, password = self._secret(key)
        group = self._security_group(vpc_id, allowed, allowed_networks or {})
        cluster = self._replication_group(key, group, subnet_ids, self._users(password))
        self._alarms(cluster, notify)
        self.address = cluster.primary_endpoint_address
        self.port = pulumi.Output.from_input(PORT)
        self.security_group_id = group.id
        self.secret_arn = secret.arn
        self.key_arn = key.arn
        self.register_outputs(
            {
                "address": self.address,
                "port": self.port,
                "security_group_id": self.security_group_id,
                "secret_arn": self.secret_arn,
                "key_arn": self.key_arn,
            }
        )

    def _secret(self, key: kms.Key) -> tuple[secretsmanager.Secret, pulumi.Output[str]]:
        secret = secretsmanager.Secret(
            self._name,
            description=f"The application's user of the cache {self._name}",
            kms_key_id=key.arn,
            opts=self._guarded,
        )
        generated = json.dumps({"username": self._settings.username, "password": secrets.token_urlsafe(48)})
        # A password is generated in every run and taken in the first alone: what counts is the version's own.
        version = secretsmanager.SecretVersion(
            self._name,
            secret_id=secret.id,
            secret_string=pulumi.Output.secret(generated),
            opts=pulumi.ResourceOptions.merge(
                self._child, pulumi.ResourceOptions(ignore_changes=["secretString"])
            ),
        )
        return secret, version.secret_string.apply(lambda text: str(json.loads(text or "{}")["password"]))

    def _security_group(
        self,
        vpc_id: pulumi.Input[str],
        allowed: Mapping[str, pulumi.Input[str]],
        allowed_networks: Mapping[str, str],
    ) -> ec2.SecurityGroup:
        group = ec2.SecurityGroup(
            self._name,
            description=f"Connections to the cache {self._name}",
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
                from_port=PORT,
                to_port=PORT,
                opts=self._child,
            )
        return group

    def _users(self, password: pulumi.Output[str]) -> elasticache.UserGroup:
        """A user group has to have a user named `default`; this one is switched off."""
        default = elasticache.User(
            f"{self._name}-default",
            user_id=f"{self._name}-default",
            user_name="default",
            engine=self._settings.engine,
            access_string=NOTHING,
            authentication_mode={"type": "no-password-required"},
            opts=self._child,
        )
        application = elasticache.User(
            f"{self._name}-application",
            user_id=f"{self._name}-application",
            user_name=self._settings.username,
            engine=self._settings.engine,
            access_string=EVERYTHING,
            authentication_mode={"type": "password", "passwords": [password]},
            opts=self._child,
        )
        return elasticache.UserGroup(
            self._name,
            user_group_id=self._name,
            engine=self._settings.engine,
            user_ids=[default.user_id, application.user_id],
            opts=self._child,
        )

    def _replication_group(
        self,
        key: kms.Key,
        group: ec2.SecurityGroup,
        subnet_ids: pulumi.Input[Sequence[str]],
        users: elasticache.UserGroup,
    ) -> elasticache.ReplicationGroup:
        settings = self._settings
        subnets = elasticache.SubnetGroup(
            self._name,
            name=self._name,
            description=f"The cache {self._name}",
            subnet_ids=subnet_ids,
            opts=self._child,
        )
        parameters = elasticache.ParameterGroup(
            self._name,
            name=self._name,
            description=f"The cache {self._name}",
            family=settings.release.family,
            parameters=[{"name": key, "value": value} for key, value in sorted(settings.parameters.items())],
            opts=self._child,
        )
        logs = {
            log: cloudwatch.LogGroup(
                f"{self._name}-{log}",
                name=f"/aws/elasticache/{self._name}/{log}",
                retention_in_days=LOG_RETENTION_DAYS,
                opts=self._child,
            )
            for log in ("engine-log", "slow-log")
        }
        return elasticache.ReplicationGroup(
            self._name,
            replication_group_id=self._name,
            description=f"The cache {self._name}",
            engine=settings.engine,
            engine_version=settings.version,
            node_type=settings.node_type,
            port=PORT,
            num_cache_clusters=settings.replicas + 1,
            automatic_failover_enabled=True,
            multi_az_enabled=True,
            at_rest_encryption_enabled=True,
            kms_key_id=key.arn,
            transit_encryption_enabled=True,
            transit_encryption_mode="required",
            user_group_ids=[users.user_group_id],
            subnet_group_name=subnets.name,
            security_group_ids=[group.id],
            parameter_group_name=parameters.name,
            auto_minor_version_upgrade=True,
            snapshot_retention_limit=settings.snapshot_retention_days,
            snapshot_window="18:00-19:00",
            maintenance_window="sun:19:30-sun:20:30",
            final_snapshot_identifier=f"{self._name}-final" if settings.final_snapshot else None,
            log_delivery_configurations=[
                {
                    "destination": group.name,
                    "destination_type": "cloudwatch-logs",
                    "log_format": "json",
                    "log_type": log,
                }
                for log, group in logs.items()
            ],
            opts=self._guarded,
        )

    def _alarms(self, cluster: elasticache.ReplicationGroup, notify: pulumi.Input[str]) -> None:
        for metric, threshold, meaning in (
            ("EngineCPUUtilization", 80.0, "busy for a quarter of an hour"),
            ("DatabaseMemoryUsagePercentage", 80.0, "more than four fifths of its memory are used"),
        ):
            cloudwatch.MetricAlarm(
                f"{self._name}-{metric}",
                alarm_description=f"The cache {self._name}: {meaning}",
                namespace="AWS/ElastiCache",
                metric_name=metric,
                dimensions={"ReplicationGroupId": cluster.replication_group_id},
                statistic="Maximum",
                period=300,
                evaluation_periods=3,
                comparison_operator="GreaterThanThreshold",
                threshold=threshold,
                alarm_actions=[notify],
                ok_actions=[notify],
                opts=self._child,
            )
