"""Persistent volumes: folders on this machine, made and removed as the claims on them are.

Stands in for every provisioner that a StorageClass may name. A claim is served once the volume controller
says so (by an annotation), as external provisioners do; for classes that wait for the first consumer it is
the scheduler, our agent, that chooses the node.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Mapping
from pathlib import Path

from lab.kubernetes.node.api import Api, ApiError, Informer, Object
from lab.kubernetes.node.environment import ConfigError

log = logging.getLogger(__name__)

_PROVISIONER = "volume.kubernetes.io/storage-provisioner"
_SELECTED_NODE = "volume.kubernetes.io/selected-node"
_PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
_RECLAIM = "persistentVolumeReclaimPolicy"
_TRY_AGAIN_SECONDS = 1.0


class Storage:
    """The volumes of a cluster, below `folder`."""

    def __init__(self, api: Api, folder: Path) -> None:
        self._api = api
        self._folder = folder
        self._work: asyncio.Queue[Object] = asyncio.Queue()
        self._claims = Informer(api, "/api/v1/persistentvolumeclaims", self._changed)
        self._volumes = Informer(api, "/api/v1/persistentvolumes", self._changed)

    def _changed(self, _old: Object | None, new: Object | None) -> None:
        if new is not None and (wants_volume(new) or is_released(new)):
            self._work.put_nowait(new)

    async def run(self) -> None:
        """Make and remove volumes until cancelled."""
        await asyncio.gather(self._claims.run(), self._volumes.run(), self._serve())

    async def _serve(self) -> None:
        while True:
            item = await self._work.get()
            try:
                if wants_volume(item):
                    await self._provision(item)
                else:
                    await self._remove(item)
            except ApiError as error:
                log.warning("%s", error)
                await asyncio.sleep(_TRY_AGAIN_SECONDS)
                self._work.put_nowait(item)

    async def _provision(self, claim: Object) -> None:
        class_name = claim["spec"].get("storageClassName", "")
        storage_class = await self._api.find(f"/apis/storage.k8s.io/v1/storageclasses/{class_name}")
        volume = volume_for(claim, storage_class or {}, self._folder)
        try:
            await self._api.create("/api/v1/persistentvolumes", volume)
        except ApiError as error:
            if error.status != 409:  # made before: the claim was not bound to it yet
                raise
        else:
            log.info("volume %s for claim %s", volume["metadata"]["name"], claim["metadata"]["name"])

    async def _remove(self, volume: Object) -> None:
        name = volume["metadata"]["name"]
        await asyncio.to_thread(shutil.rmtree, self._folder / name, ignore_errors=True)
        await self._api.delete(f"/api/v1/persistentvolumes/{name}")
        log.info("volume %s is removed", name)

    async def choose_node(self, pod: Object, node: str) -> None:
        """Say, before a pod is bound to `node`, where the volumes that it claims are wanted."""
        namespace = pod["metadata"]["namespace"]
        for declared in pod["spec"].get("volumes") or []:
            name = declared.get("persistentVolumeClaim", {}).get("claimName")
            path = f"/api/v1/namespaces/{namespace}/persistentvolumeclaims/{name}"
            claim = await self._api.find(path) if name else None
            if claim is not None and not claim["spec"].get("volumeName"):
                await self._api.merge(path, {"metadata": {"annotations": {_SELECTED_NODE: node}}})

    async def folder(self, namespace: str, name: str) -> Path:
        """The folder of the volume that a claim is bound to. Raises ConfigError while it is not."""
        claim = await self._api.find(f"/api/v1/namespaces/{namespace}/persistentvolumeclaims/{name}")
        if claim is None:
            raise ConfigError(f'persistentvolumeclaim "{name}" not found')
        if (claim.get("status") or {}).get("phase") != "Bound":
            raise ConfigError(f'persistentvolumeclaim "{name}" is not bound')
        volume = await self._api.get(f"/api/v1/persistentvolumes/{claim['spec']['volumeName']}")
        if "hostPath" not in volume["spec"]:
            raise ConfigError(f'persistentvolume "{volume["metadata"]["name"]}": the lab has hostPath alone')
        path = Path(str(volume["spec"]["hostPath"]["path"]))
        path.mkdir(parents=True, exist_ok=True)
        return path


def wants_volume(item: Object) -> bool:
    """Whether this is a claim that the volume controller has handed to a provisioner."""
    annotations: Mapping[str, str] = item["metadata"].get("annotations") or {}
    return _PROVISIONER in annotations and not item["spec"].get("volumeName")


def is_released(item: Object) -> bool:
    """Whether this is a volume of ours whose claim is gone, and which is to go with it."""
    annotations: Mapping[str, str] = item["metadata"].get("annotations") or {}
    released = (item.get("status") or {}).get("phase") == "Released"
    return released and _PROVISIONED_BY in annotations and item["spec"].get(_RECLAIM) == "Delete"


def volume_for(claim: Object, storage_class: Object, folder: Path) -> Object:
    """The PersistentVolume that satisfies a claim."""
    metadata, spec = claim["metadata"], claim["spec"]
    name = f"pvc-{metadata['uid']}"
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name, "annotations": {_PROVISIONED_BY: metadata["annotations"][_PROVISIONER]}},
        "spec": {
            "capacity": {"storage": spec["resources"]["requests"]["storage"]},
            "accessModes": spec["accessModes"],
            "volumeMode": spec.get("volumeMode", "Filesystem"),
            "storageClassName": spec.get("storageClassName", ""),
            _RECLAIM: storage_class.get("reclaimPolicy", "Delete"),
            "hostPath": {"path": str(folder / name), "type": "DirectoryOrCreate"},
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "namespace": metadata["namespace"],
                "name": metadata["name"],
                "uid": metadata["uid"],
            },
        },
    }
