"""What a landing zone has for the migration itself: workspace, journal, the runner's roles, Velero."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import pulumi
from pulumi_aws import get_caller_identity_output, vpc

from components.bucket import Bucket
from components.eks import Cluster
from components.journal import Journal
from components.network import Network
from components.policies import Statement
from components.runner_roles import RunnerRoles
from components.velero import VeleroStorage
from components.workspace import Workspace
from stacks.data_stores import DataStores
from stacks.runner_phases import PHASES, Resources, statements
from stacks.settings import Environment, RunnerSettings, VeleroSettings, WorkspaceSettings, known

ACCESS_LOG_DAYS = 365


class Helpers:
    """What the settings name of them."""

    def __init__(
        self,
        environment: Environment,
        network: Network,
        cluster: Cluster,
        storage: DataStores,
        opts: pulumi.ResourceOptions,
    ) -> None:
        self._environment = environment
        self._network = network
        self._cluster = cluster
        self._storage = storage
        self._opts = opts
        self.runner_role_arns: dict[str, pulumi.Output[str]] = {}
        self.outputs: dict[str, pulumi.Input[object]] = {}
        if environment.workspace is not None:
            self._workspace(environment.workspace)
        if environment.velero is not None:
            self._velero(environment.velero)

    def _workspace(self, settings: WorkspaceSettings) -> None:
        environment = self._environment
        workspace = Workspace(
            f"{environment.name}-workspace",
            settings,
            vpc_id=self._network.vpc_id,
            subnet_id=self._network.private_subnet_ids[0],
            tags=environment.tags,
            opts=self._opts,
        )
        journal = Journal(environment.name, protected=environment.protected, opts=self._opts)
        roles = RunnerRoles(
            environment.name,
            phases=self._phases(journal),
            workspace_role=workspace.role_arn,
            operators=operators(environment.runner),
            session_seconds=environment.runner.session_minutes * 60,
            opts=self._opts,
        )
        workspace.may_assume(list(roles.arns.values()))
        self._let_in(workspace)
        self.runner_role_arns = roles.arns
        self.outputs |= {
            "workspace_instance_id": workspace.instance_id,
            "journal_table": journal.table,
            "runner_role_arns": dict(roles.arns),
        }

    def _account(self) -> pulumi.Output[str]:
        return get_caller_identity_output(
            opts=pulumi.InvokeOutputOptions(provider=self._opts.provider)
        ).account_id

    def _phases(self, journal: Journal) -> dict[str, pulumi.Output[Sequence[Statement]]]:
        database, cache = self._storage.database, self._storage.cache
        arns = pulumi.Output.all(
            cluster=self._cluster.cluster_arn,
            journal=journal.arn,
            journal_key=journal.key_arn,
            database_secret=database.secret_arn if database else None,
            database_key=database.key_arn if database else None,
            database_group=database.security_group_id if database else None,
            cache_secret=cache.secret_arn if cache else None,
            cache_key=cache.key_arn if cache else None,
            account=self._account(),
        )
        return {phase: arns.apply(partial(self._statements, phase)) for phase in PHASES}

    def _statements(self, phase: str, arns: dict[str, Any]) -> Sequence[Statement]:
        bucket, key = state_backend(self._environment.runner)
        resources = Resources(
            **arns,
            anchors=self._environment.cutover.journal.anchor,
            state_bucket=bucket,
            state_key=key,
            replication_prefix=self._environment.name,
            region=self._environment.region,
        )
        return statements(phase, resources)

    def _let_in(self, workspace: Workspace) -> None:
        """The workspace instance reaches the API server, the database and the cache."""
        targets: dict[str, tuple[pulumi.Input[str], pulumi.Input[int]]] = {
            "cluster": (self._cluster.security_group_id, 443)
        }
        if self._storage.database is not None:
            targets["database"] = (self._storage.database.security_group_id, self._storage.database.port)
        if self._storage.cache is not None:
            targets["cache"] = (self._storage.cache.security_group_id, self._storage.cache.port)
        for name, (group, port) in targets.items():
            vpc.SecurityGroupIngressRule(
                f"{self._environment.name}-{name}-from-workspace",
                description="from the workspace instance",
                security_group_id=group,
                referenced_security_group_id=workspace.security_group_id,
                ip_protocol="tcp",
                from_port=port,
                to_port=port,
                opts=self._opts,
            )

    def _velero(self, settings: VeleroSettings) -> None:
        environment = self._environment
        logs = Bucket(
            f"{environment.name}-access-logs",
            retention_days=ACCESS_LOG_DAYS,
            log_bucket=None,
            logs_of=self._account(),
            protected=environment.protected,
            opts=self._opts,
        )
        velero = VeleroStorage(
            environment.name,
            settings,
            cluster_name=self._cluster.cluster_name,
            log_bucket=logs.bucket,
            protected=environment.protected,
            opts=self._opts,
        )
        self.outputs |= {"velero_bucket": velero.bucket, "velero_source_user": velero.source_user}


def operators(settings: RunnerSettings) -> list[str]:
    """The principals that may take the runner's roles, as the settings name them."""
    return [known(arn, f"runner.operators[{index}]") for index, arn in enumerate(settings.operators)]


def state_backend(settings: RunnerSettings) -> tuple[str | None, str | None]:
    """The bucket's name and the key's ARN of Pulumi's state, where the settings name them."""
    bucket, key = settings.state_bucket, settings.state_key
    return (
        None if bucket is None else known(bucket, "runner.state_bucket"),
        None if key is None else known(key, "runner.state_key"),
    )
