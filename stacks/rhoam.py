"""`<environment>` and `<environment>-migration` of the second document: where 3scale's data goes."""

from dataclasses import dataclass

import pulumi
from pulumi_aws import get_caller_identity_output, vpc

from components.bucket import Bucket
from components.cache import Cache
from components.journal import Journal
from components.network import Network
from components.peering import Peering
from components.relational_database import RelationalDatabase
from components.runner_roles import RunnerRoles
from components.workspace import Workspace
from stacks.aws import aws_options
from stacks.helpers import ACCESS_LOG_DAYS, operators
from stacks.landing_zone import declare_network
from stacks.notifications import declare_notifications
from stacks.protection import protection
from stacks.references import text_output
from stacks.rhoam_phases import DESTINATION, conversion_statements, destination_statements, looking_statements
from stacks.settings import (
    MigrationStores,
    RelationalDatabaseSettings,
    RhoamEnvironment,
    ThreescaleStores,
    known,
)


@dataclass(frozen=True)
class _Stores:
    """What one 3scale works on."""

    network: Network
    databases: dict[str, RelationalDatabase]
    caches: dict[str, Cache]

    @property
    def all(self) -> dict[str, RelationalDatabase | Cache]:
        """Databases and caches by their kind."""
        return {**self.databases, **self.caches}


def destination(environment: RhoamEnvironment) -> None:
    """Declares, in the destination's account, the databases of RHOAM's 3scale, and the runner's role.

    Comes after `<environment>-migration`, whose workspace instance takes that role.

    Stack outputs:
        vpc_id, peering_connection_id.
        protection: whether the stack refuses to be destroyed, and how it is destroyed on purpose.
        system_database_address, system_database_secret_arn: the PostgreSQL.
        backend_redis_address, backend_redis_secret_arn, system_redis_address, system_redis_secret_arn.
        runner_role_arn.
    """
    stores = environment.destination
    opts = aws_options(stores.network.region, environment.tags, stores.account)
    made = _declare(environment, environment.name, stores, {"system-database": stores.system_database}, opts)
    migration = pulumi.StackReference(f"organization/{pulumi.get_project()}/{environment.name}-migration")
    secrets = _secrets(made)
    roles = RunnerRoles(
        environment.name,
        phases={DESTINATION: secrets.apply(destination_statements)},
        workspace_role=text_output(migration, "workspace_role_arn"),
        operators=operators(environment.runner),
        session_seconds=environment.runner.session_minutes * 60,
        named=True,
        opts=opts,
    )
    pulumi.export("runner_role_arn", roles.arns[DESTINATION])


def migration(environment: RhoamEnvironment) -> None:
    """Declares, in the migration cluster's account, the standalone VPC with all that the conversion takes.

    Stack outputs:
        vpc_id, peering_connection_id.
        protection: whether the stack refuses to be destroyed, and how it is destroyed on purpose.
        system_database_address, system_database_secret_arn: of the source's type and version.
        conversion_database_address, conversion_database_secret_arn: the PostgreSQL that it is converted into,
            where there is one.
        backend_redis_address, backend_redis_secret_arn, system_redis_address, system_redis_secret_arn.
        dump_bucket: for secrets and dumps.
        workspace_instance_id, workspace_role_arn, journal_table, runner_role_arns (by phase).
    """
    stores = environment.migration
    name = f"{environment.name}-migration"
    opts = aws_options(stores.network.region, environment.tags, stores.account)
    databases = {"system-database": stores.system_database}
    if stores.conversion_database is not None:
        databases["conversion-database"] = stores.conversion_database
    made = _declare(environment, name, stores, databases, opts)
    account = get_caller_identity_output(opts=pulumi.InvokeOutputOptions(provider=opts.provider)).account_id
    logs = Bucket(
        f"{name}-access-logs",
        retention_days=ACCESS_LOG_DAYS,
        log_bucket=None,
        logs_of=account,
        protected=environment.protected,
        opts=opts,
    )
    dumps = Bucket(
        f"{name}-dumps",
        retention_days=stores.dump_retention_days,
        log_bucket=logs.bucket,
        protected=environment.protected,
        opts=opts,
    )
    pulumi.export("dump_bucket", dumps.bucket)
    _workspace(environment, made, dumps, opts)


def _declare(
    environment: RhoamEnvironment,
    name: str,
    stores: ThreescaleStores,
    databases: dict[str, RelationalDatabaseSettings],
    opts: pulumi.ResourceOptions,
) -> _Stores:
    network = declare_network(name, stores.network, environment.protected, opts)
    peer = stores.peer
    place = f"{'migration' if isinstance(stores, MigrationStores) else 'destination'}.peer"
    peer_cidr = str(known(peer.cidr, f"{place}.cidr"))
    peering = Peering(
        f"{name}-cluster",
        vpc_id=network.vpc_id,
        cidr=str(stores.network.cidr),
        route_table_ids=network.private_route_table_ids,
        zones=stores.network.zones,
        peer_vpc_id=known(peer.vpc_id, f"{place}.vpc_id"),
        peer_cidr=peer_cidr,
        peer_owner=None if peer.owner is None else known(peer.owner, f"{place}.owner"),
        peer_route_table_ids=[
            known(table, f"{place}.route_table_ids[{index}]")
            for index, table in enumerate(peer.route_table_ids)
        ],
        opts=opts,
    )
    notifications = declare_notifications(environment, name, opts)
    if notifications is None:
        raise AssertionError("the settings of kind rhoam require notifications")
    allowed = {"cluster": peer_cidr}
    made = _Stores(
        network,
        {
            kind: RelationalDatabase(
                f"{name}-{kind}",
                settings,
                vpc_id=network.vpc_id,
                subnet_ids=network.private_subnet_ids,
                allowed={},
                allowed_networks=allowed,
                notify=notifications.topic_arn,
                protected=environment.protected,
                opts=opts,
            )
            for kind, settings in databases.items()
        },
        {
            kind: Cache(
                f"{name}-{kind}",
                settings,
                vpc_id=network.vpc_id,
                subnet_ids=network.private_subnet_ids,
                allowed={},
                allowed_networks=allowed,
                notify=notifications.topic_arn,
                protected=environment.protected,
                opts=opts,
            )
            for kind, settings in (
                ("backend-redis", stores.backend_redis),
                ("system-redis", stores.system_redis),
            )
        },
    )
    pulumi.export("vpc_id", network.vpc_id)
    pulumi.export("protection", protection(environment))
    pulumi.export("peering_connection_id", peering.connection_id)
    for kind, store in made.all.items():
        pulumi.export(f"{kind.replace('-', '_')}_address", store.address)
        pulumi.export(f"{kind.replace('-', '_')}_secret_arn", store.secret_arn)
    return made


def _workspace(
    environment: RhoamEnvironment,
    made: _Stores,
    dumps: Bucket,
    opts: pulumi.ResourceOptions,
) -> None:
    name = f"{environment.name}-migration"
    workspace = Workspace(
        f"{name}-workspace",
        environment.migration.workspace,
        vpc_id=made.network.vpc_id,
        subnet_id=made.network.private_subnet_ids[0],
        tags=environment.tags,
        opts=opts,
    )
    journal = Journal(name, protected=environment.protected, opts=opts)
    anchors = environment.cutover.journal.anchor
    arns = pulumi.Output.all(
        journal=journal.arn,
        journal_key=journal.key_arn,
        bucket=dumps.arn,
        bucket_key=dumps.key_arn,
        customers_bucket=known(environment.threescale.bucket, "threescale.bucket"),
        database=made.databases["system-database"].arn,
        secrets=_secrets(made),
    )
    roles = RunnerRoles(
        name,
        phases={
            "preflight": arns.apply(
                lambda found: looking_statements(found["journal"], found["journal_key"], anchors)
            ),
            "conversion": arns.apply(lambda found: conversion_statements(**found, anchors=anchors)),
        },
        workspace_role=workspace.role_arn,
        operators=operators(environment.runner),
        session_seconds=environment.runner.session_minutes * 60,
        opts=opts,
    )
    account = known(environment.destination.account, "destination.account")
    workspace.may_assume(
        [*roles.arns.values(), f"arn:aws:iam::{account}:role/{environment.name}-runner-{DESTINATION}"]
    )
    for kind, store in made.all.items():
        vpc.SecurityGroupIngressRule(
            f"{name}-{kind}-from-workspace",
            description="from the workspace instance",
            security_group_id=store.security_group_id,
            referenced_security_group_id=workspace.security_group_id,
            ip_protocol="tcp",
            from_port=store.port,
            to_port=store.port,
            opts=opts,
        )
    pulumi.export("workspace_instance_id", workspace.instance_id)
    pulumi.export("workspace_role_arn", workspace.role_arn)
    pulumi.export("journal_table", journal.table)
    pulumi.export("runner_role_arns", dict(roles.arns))


def _secrets(made: _Stores) -> pulumi.Output[dict[str, list[str]]]:
    """ARNs of the databases' and caches' credentials and of the keys that they are under."""
    stores = made.all.values()
    secrets = pulumi.Output.all(*(store.secret_arn for store in stores))
    keys = pulumi.Output.all(*(store.key_arn for store in stores))
    return pulumi.Output.all(secrets=secrets, keys=keys)
