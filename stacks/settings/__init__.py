"""The typed settings of an environment and of its small stacks. Reading them imports no Pulumi package."""

from components.settings.access import NotificationSettings, RunnerSettings, VeleroSettings, WorkspaceSettings
from components.settings.base import Model, Placeholder, PlaceholderError, known
from components.settings.cache import CacheSettings
from components.settings.cluster import ClusterSettings, NodeGroupSettings
from components.settings.exceptions import ControlException
from components.settings.network import NetworkSettings
from components.settings.relational import RelationalDatabaseSettings
from components.settings.replication import ReplicationSettings
from stacks.settings.base import EnvironmentBase
from stacks.settings.cutover import CutoverSettings, DeadlineSettings, HealthCheckSettings, TimeoutSettings
from stacks.settings.environment import Environment
from stacks.settings.errors import Problem, SettingsError
from stacks.settings.files import (
    load_any_environment,
    load_environment,
    load_flips,
    load_rhoam_environment,
    stack_file,
    write_flips,
)
from stacks.settings.flips import CallerFlips, EdgeFlips, Flips, SourceFlips, TargetFlips, check_flips
from stacks.settings.moving import (
    AcceptedCaller,
    CallerEntry,
    CallerSettings,
    CronJobReport,
    HttpCheck,
    HttpInCluster,
    MovedNamespace,
    MoveSettings,
    RedisCopy,
    SourceIngress,
    VeleroMove,
    Verification,
)
from stacks.settings.parts import (
    CloudflareSettings,
    ConfigEntry,
    DatabaseSettings,
    DomainSettings,
    KubernetesSettings,
    RecordSettings,
    RedisListBuffer,
    WorkloadName,
    WorkloadSettings,
)
from stacks.settings.problems import CrossCheckError
from stacks.settings.rhoam import MigrationStores, PeerSettings, RhoamEnvironment, ThreescaleStores

AnyEnvironment = Environment | RhoamEnvironment
"""An environment of either kind."""

__all__ = [
    "AcceptedCaller",
    "AnyEnvironment",
    "CacheSettings",
    "CallerEntry",
    "CallerFlips",
    "CallerSettings",
    "CloudflareSettings",
    "ClusterSettings",
    "ConfigEntry",
    "ControlException",
    "CronJobReport",
    "CrossCheckError",
    "CutoverSettings",
    "DatabaseSettings",
    "DeadlineSettings",
    "DomainSettings",
    "EdgeFlips",
    "Environment",
    "EnvironmentBase",
    "Flips",
    "HealthCheckSettings",
    "HttpCheck",
    "HttpInCluster",
    "KubernetesSettings",
    "MigrationStores",
    "Model",
    "MoveSettings",
    "MovedNamespace",
    "NetworkSettings",
    "NodeGroupSettings",
    "NotificationSettings",
    "PeerSettings",
    "Placeholder",
    "PlaceholderError",
    "Problem",
    "RecordSettings",
    "RedisCopy",
    "RedisListBuffer",
    "RelationalDatabaseSettings",
    "ReplicationSettings",
    "RhoamEnvironment",
    "RunnerSettings",
    "SettingsError",
    "SourceFlips",
    "SourceIngress",
    "TargetFlips",
    "ThreescaleStores",
    "TimeoutSettings",
    "VeleroMove",
    "VeleroSettings",
    "Verification",
    "WorkloadName",
    "WorkloadSettings",
    "WorkspaceSettings",
    "check_flips",
    "known",
    "load_any_environment",
    "load_environment",
    "load_flips",
    "load_rhoam_environment",
    "stack_file",
    "write_flips",
]
