"""Selectors of Services that landfall did not create."""

from collections.abc import Mapping, Sequence

import pulumi
from pulumi_kubernetes.core.v1 import ServicePatch

from components.patching import patch_metadata, patch_options


class ServiceSelectors(pulumi.ComponentResource):
    """States which pods existing Services send to.

    A selector's labels keep their keys and change their values alone: server-side apply cannot take away a
    key that another field manager owns too.

    Args:
        selectors: by namespace and Service name, the whole selector.
        after: what must run before a Service sends to it.
    """

    def __init__(
        self,
        name: str,
        selectors: Mapping[tuple[str, str], Mapping[str, str]],
        *,
        after: Sequence[pulumi.Resource] = (),
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("landfall:kubernetes:ServiceSelectors", name, None, opts)
        for (namespace, service), selector in selectors.items():
            ServicePatch(
                f"{namespace}/{service}",
                metadata=patch_metadata(namespace, service),
                spec={"selector": dict(selector)},
                opts=patch_options(self, after),
            )
        self.register_outputs({})
