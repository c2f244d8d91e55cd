"""How objects are changed that landfall did not create: with the Patch types alone.

A patch states single fields under a field manager of landfall's own. Destroying it forgets them and changes
no live object. The provider does not wait for what a patch sets going: the cutover observes that itself, and
an `up` that waits could end as a failure whose effect goes on.
"""

from collections.abc import Sequence

import pulumi
from pulumi_kubernetes.meta.v1 import ObjectMetaPatchArgsDict

FIELD_MANAGER = "landfall"


def patch_metadata(namespace: str, name: str) -> ObjectMetaPatchArgsDict:
    """The metadata of a patch on `namespace/name`; stated values win over other field managers."""
    return {
        "namespace": namespace,
        "name": name,
        "annotations": {
            "pulumi.com/patchForce": "true",
            "pulumi.com/patchFieldManager": FIELD_MANAGER,
            "pulumi.com/skipAwait": "true",
        },
    }


def patch_options(
    parent: pulumi.Resource, depends_on: Sequence[pulumi.Resource] = ()
) -> pulumi.ResourceOptions:
    """The options of every patch."""
    return pulumi.ResourceOptions(parent=parent, retain_on_delete=True, depends_on=list(depends_on))
