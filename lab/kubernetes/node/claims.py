"""PersistentVolumeClaims: where the data of a bound one lies."""

from __future__ import annotations

from pathlib import Path

from lab.kubernetes.node.api import Api
from lab.kubernetes.node.environment import ConfigError


class Claims:
    """Finds the folder behind a claim."""

    def __init__(self, api: Api, folder: Path) -> None:
        self._api = api
        self._folder = folder

    async def folder(self, namespace: str, name: str) -> Path:
        """The folder of the volume that the claim is bound to. Raises ConfigError while it is not."""
        claim = await self._api.find(f"/api/v1/namespaces/{namespace}/persistentvolumeclaims/{name}")
        if claim is None:
            raise ConfigError(f'persistentvolumeclaim "{name}" not found')
        volume_name = claim["spec"].get("volumeName")
        if not volume_name or (claim.get("status") or {}).get("phase") != "Bound":
            raise ConfigError(f'persistentvolumeclaim "{name}" is not bound')
        volume = await self._api.get(f"/api/v1/persistentvolumes/{volume_name}")
        if "hostPath" not in volume["spec"]:
            raise ConfigError(f'persistentvolume "{volume_name}": the lab has hostPath volumes alone')
        path = Path(volume["spec"]["hostPath"]["path"])
        path.mkdir(parents=True, exist_ok=True)
        return path
