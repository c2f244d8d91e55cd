"""The typed settings of an environment and of its small stacks. Reading them imports no Pulumi package."""

from components.settings.base import Model, Placeholder, PlaceholderError, known
from components.settings.cluster import ClusterSettings, NodeGroupSettings
from components.settings.network import NetworkSettings
from stacks.settings.checks import CrossCheckError
from stacks.settings.cutover import CutoverSettings, DeadlineSettings, HealthCheckSettings, TimeoutSettings
from stacks.settings.environment import Environment
from stacks.settings.errors import Problem, SettingsError
from stacks.settings.files import load_environment, load_flips, stack_file, write_flips
from stacks.settings.flips import EdgeFlips, Flips, SourceFlips, TargetFlips, check_flips
from stacks.settings.parts import (
    CloudflareSettings,
    ConfigEntry,
    DatabaseSettings,
    DomainSettings,
    KubernetesSettings,
    RedisListBuffer,
    WorkloadName,
    WorkloadSettings,
)

__all__ = [
    "CloudflareSettings",
    "ClusterSettings",
    "ConfigEntry",
    "CrossCheckError",
    "CutoverSettings",
    "DatabaseSettings",
    "DeadlineSettings",
    "DomainSettings",
    "EdgeFlips",
    "Environment",
    "Flips",
    "HealthCheckSettings",
    "KubernetesSettings",
    "Model",
    "NetworkSettings",
    "NodeGroupSettings",
    "Placeholder",
    "PlaceholderError",
    "Problem",
    "RedisListBuffer",
    "SettingsError",
    "SourceFlips",
    "TargetFlips",
    "TimeoutSettings",
    "WorkloadName",
    "WorkloadSettings",
    "check_flips",
    "known",
    "load_environment",
    "load_flips",
    "stack_file",
    "write_flips",
]
