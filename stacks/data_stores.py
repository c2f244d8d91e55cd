"""The landing zone's database and cache."""

import pulumi

from components.cache import Cache
from components.eks import Cluster
from components.network import Network
from components.notifications import Notifications
from components.relational_database import RelationalDatabase
from stacks.settings import Environment


class DataStores:
    """What the settings name of a database on RDS and a Redis on ElastiCache.

    Pods connect from the nodes' addresses, so that both let in the cluster's security group. The workspace
    instance is let in by `stacks.helpers`.
    """

    def __init__(
        self,
        environment: Environment,
        network: Network,
        cluster: Cluster,
        notifications: Notifications | None,
        opts: pulumi.ResourceOptions,
    ) -> None:
        self.database: RelationalDatabase | None = None
        self.cache: Cache | None = None
        self.outputs: dict[str, pulumi.Output[object]] = {}
        if notifications is None:  # and so neither a database nor a cache: the settings' checks say so
            return
        topic_arn = notifications.topic_arn
        allowed = {"cluster": cluster.security_group_id}
        if environment.database.target is not None:
            database = self.database = RelationalDatabase(
                f"{environment.name}-database",
                environment.database.target,
                vpc_id=network.vpc_id,
                subnet_ids=network.private_subnet_ids,
                allowed=allowed,
                notify=topic_arn,
                protected=environment.protected,
                opts=opts,
            )
            self.outputs |= {
                "database_address": database.address,
                "database_port": database.port,
                "database_identifier": database.identifier,
                "database_secret_arn": database.secret_arn,
                "database_security_group_id": database.security_group_id,
            }
        if environment.cache is not None:
            cache = self.cache = Cache(
                f"{environment.name}-cache",
                environment.cache,
                vpc_id=network.vpc_id,
                subnet_ids=network.private_subnet_ids,
                allowed=allowed,
                notify=topic_arn,
                protected=environment.protected,
                opts=opts,
            )
            self.outputs |= {
                "cache_address": cache.address,
                "cache_port": cache.port,
                "cache_secret_arn": cache.secret_arn,
            }
