"""Entries of ConfigMaps that landfall did not create."""

from collections.abc import Mapping

import pulumi
from pulumi_kubernetes.core.v1 import ConfigMapPatch

from components.patching import patch_metadata, patch_options


class ConfigEntries(pulumi.ComponentResource):
    """States entries of existing ConfigMaps; their other entries are left alone.

    Args:
        entries: by namespace and ConfigMap name, the entries' values.
    """

    def __init__(
        self,
        name: str,
        entries: Mapping[tuple[str, str], Mapping[str, pulumi.Input[str]]],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("landfall:kubernetes:ConfigEntries", name, None, opts)
        for (namespace, config_map), data in entries.items():
            ConfigMapPatch(
                f"{namespace}/{config_map}",
                metadata=patch_metadata(namespace, config_map),
                data=dict(data),
                opts=patch_options(self),
            )
        self.register_outputs({})
