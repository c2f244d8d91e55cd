"""The objects of a cluster as somebody stated them, to be compared before and after."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from lab.clouds import Clouds
from lab.topology import Place

# what people and programs state; pods, ReplicaSets, Jobs and EndpointSlices are the controllers' own
_KINDS = (
    "deployments,statefulsets,daemonsets,cronjobs,configmaps,secrets,services,ingresses,serviceaccounts,"
    "roles,rolebindings,persistentvolumeclaims,poddisruptionbudgets,horizontalpodautoscalers"
)
_VOLATILE = ("resourceVersion", "generation", "managedFields")

Objects = Mapping[str, Mapping[str, Any]]
"""By `Kind namespace/name`; the uid is part of each, so that a replaced object shows."""


def stated(clouds: Clouds, place: Place, namespaces: Iterable[str]) -> Objects:
    """What namespaces of a cluster hold, without what the API server and controllers write by themselves."""
    return stated_by(lambda *words: clouds.kubectl(place, *words), namespaces)


def stated_by(kubectl: Callable[..., str], namespaces: Iterable[str], *, also: Iterable[str] = ()) -> Objects:
    """The same by a cluster's kubectl; `also`: further kinds, in the plural."""
    kinds = ",".join([_KINDS, *also])
    found: dict[str, Mapping[str, Any]] = {}
    for namespace in namespaces:
        listed = json.loads(kubectl("get", kinds, "-n", namespace, "-o", "json"))
        for item in listed["items"]:
            rest = {key: value for key, value in item.items() if key not in ("metadata", "status")}
            metadata = _metadata(item["metadata"])
            found[f"{item['kind']} {namespace}/{metadata['name']}"] = {**rest, "metadata": metadata}
    return found


def _metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    annotations = {
        key: value
        for key, value in metadata.get("annotations", {}).items()
        # a flip's word to the kubernetes provider (not to wait for a rollout); it does nothing, and stays
        if not key.startswith("pulumi.com/")
    }
    kept = {key: value for key, value in metadata.items() if key not in (*_VOLATILE, "annotations")}
    return {**kept, "annotations": annotations}


def differences(before: Objects, after: Objects) -> Iterator[str]:
    """Each difference as a line that names the object and the place in it. Secrets' values are not shown."""
    for name in sorted(before.keys() | after.keys()):
        if name not in after:
            yield f"{name} is gone"
        elif name not in before:
            yield f"{name} is new"
        else:
            for path in _paths(before[name], after[name], ""):
                yield f"{name} differs in {path}"


def _paths(before: Any, after: Any, path: str) -> Iterator[str]:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in sorted(before.keys() | after.keys()):
            yield from _paths(before.get(key), after.get(key), f"{path}.{key}" if path else key)
    elif before != after:
        yield path
