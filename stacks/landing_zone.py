"""`<environment>`: the landing zone that services move to."""

import pulumi
from pulumi_aws import Provider

from components.eks import Cluster
from components.network import Network
from stacks.settings import Environment


def landing_zone(environment: Environment) -> None:
    """Declares the network and the EKS cluster.

    Stack outputs:
        vpc_id, public_subnet_ids, private_subnet_ids: ids.
        nat_addresses: public addresses that the cluster's requests come from; the source side lets them in.
        ingress_addresses: public addresses of the ingress's load balancer, one a zone.
            DNS points at the first.
        ingress_allocation_ids: what the ingress's Service names them by.
        cluster_name, cluster_endpoint, cluster_certificate_authority: how the cluster is reached.
    """
    aws = Provider("aws", region=environment.region, default_tags={"tags": environment.tags})
    opts = pulumi.ResourceOptions(provider=aws)
    network = Network(environment.name, environment.network, opts=opts)
    cluster = Cluster(environment.name, environment.cluster, subnet_ids=network.private_subnet_ids, opts=opts)
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
    }.items():
        pulumi.export(name, value)
