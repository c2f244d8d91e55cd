"""`<environment>`: the landing zone that services move to."""

import pulumi

from components.cluster_access import Access, ClusterAccess, Grant
from components.cluster_addons import ClusterAddons
from components.eks import Cluster
from components.flow_logs import FlowLogs
from components.load_balancer_controller import LoadBalancerController
from components.network import Network
from components.pod_identity import PodIdentity
from components.vpc_endpoints import VpcEndpoints
from stacks.aws import aws_options
from stacks.data_stores import DataStores
from stacks.helpers import Helpers
from stacks.notifications import declare_notifications
from stacks.protection import protection
from stacks.settings import Environment, NetworkSettings, known


def landing_zone(environment: Environment) -> None:
    """Declares the network, the EKS cluster, and the databases, caches and helpers that the settings name.

    Stack outputs, always:
        vpc_id, public_subnet_ids, private_subnet_ids: ids.
        nat_addresses: public addresses that the cluster's requests come from; the source side lets them in.
        ingress_addresses: public addresses of the ingress's load balancer, one a zone.
            DNS points at the first.
        ingress_allocation_ids: what the ingress's Service names them by.
        cluster_name, cluster_endpoint, cluster_certificate_authority: how the cluster is reached.
        protection: whether the stack refuses to be destroyed, and how it is destroyed on purpose.
    With the sections that the settings have:
        notifications_topic_arn: where alarms and the databases' events go.
        database_address, database_port, database_identifier, database_secret_arn (of the master password),
            database_security_group_id: the database on RDS.
        cache_address, cache_port, cache_secret_arn: the Redis on ElastiCache.
        workspace_instance_id, journal_table, runner_role_arns (by phase): what the cutover runs with.
        velero_bucket, velero_source_user: what Velero needs on both clusters.
    """
    opts = aws_options(environment.region, environment.tags, environment.account)
    network = declare_network(environment.name, environment.network, environment.protected, opts)
    cluster = Cluster(
        environment.name,
        environment.cluster,
        subnet_ids=network.private_subnet_ids,
        tags=environment.tags,
        protected=environment.protected,
        opts=opts,
    )
    ClusterAddons(environment.name, cluster_name=cluster.cluster_name, nodes=cluster.node_group, opts=opts)
    LoadBalancerController(environment.name, cluster_name=cluster.cluster_name, opts=opts)
    _pod_roles(environment, cluster, opts)
    notifications = declare_notifications(environment, environment.name, opts)
    storage = DataStores(environment, network, cluster, notifications, opts)
    helpers = Helpers(environment, network, cluster, storage, opts)
    _access(environment, cluster, helpers, opts)
    for name, value in {
        "vpc_id": network.vpc_id,
        "public_subnet_ids": network.public_subnet_ids,
        "private_subnet_ids": network.private_subnet_ids,
        "nat_addresses": network.nat_addresses,
        "ingress_addresses": network.ingress_addresses,
        "ingress_allocation_ids": network.ingress_allocation_ids,
        "cluster_name": cluster.cluster_name,
        "cluster_endpoint": cluster.endpoint,
        "cluster_certificate_authority": cluster.certificate_authority,
        "protection": protection(environment),
        **({"notifications_topic_arn": notifications.topic_arn} if notifications else {}),
        **storage.outputs,
        **helpers.outputs,
    }.items():
        pulumi.export(name, value)


def declare_network(
    name: str, settings: NetworkSettings, protected: bool, opts: pulumi.ResourceOptions
) -> Network:
    """A network with its flow logs and its ways to AWS."""
    network = Network(name, settings, protected=protected, opts=opts)
    FlowLogs(name, vpc_id=network.vpc_id, retention_days=settings.flow_logs_retention_days, opts=opts)
    VpcEndpoints(
        name,
        region=settings.region,
        vpc_id=network.vpc_id,
        cidr=str(settings.cidr),
        subnet_ids=network.private_subnet_ids,
        route_table_ids=network.private_route_table_ids,
        interfaces=settings.interface_endpoints,
        opts=opts,
    )
    return network


def _pod_roles(environment: Environment, cluster: Cluster, opts: pulumi.ResourceOptions) -> None:
    for role in environment.cluster.pod_roles:
        PodIdentity(
            f"{environment.name}-{role.namespace}-{role.service_account}",
            cluster_name=cluster.cluster_name,
            namespace=role.namespace,
            service_account=role.service_account,
            policies=role.managed_policies,
            opts=opts,
        )


def _access(
    environment: Environment, cluster: Cluster, helpers: Helpers, opts: pulumi.ResourceOptions
) -> None:
    """The people of the settings, and the runner: it sees the whole cluster and works in its namespaces."""
    entries = [
        Access(
            entry.name,
            known(entry.principal, f"cluster.access[{entry.name}].principal"),
            (Grant(entry.policy, entry.namespaces),),
        )
        for entry in environment.cluster.access
    ]
    view = Grant("view")
    for phase, arn in helpers.runner_role_arns.items():
        works = (Grant("admin", environment.namespaces),) if phase != "preflight" else ()
        entries.append(Access(f"runner-{phase}", arn, (view, *works)))
    ClusterAccess(environment.name, cluster_name=cluster.cluster_name, entries=entries, opts=opts)
