"""The volumes of a pod: folders under the pod's own, which containers get bound to.

ConfigMaps, Secrets, projected and downward API volumes follow their sources while the pod runs, all keys at
once by the swap of one symbolic link, as the kubelet does it. What a container mounted by subPath does not.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.kubernetes.node.api import Object
from lab.kubernetes.node.environment import (
    ConfigError,
    Fetch,
    entries,
    expand,
    field_value,
    resource_value,
)

Token = Callable[[str | None, int], Awaitable[str]]
"""Asks for a service account token: audience (None for the API's own) and lifetime in seconds."""

Claim = Callable[[str], Awaitable[Path]]
"""Gives the folder of a PersistentVolumeClaim by its name. Raises ConfigError while it is not bound."""

_DEFAULT_MODE = 0o644
_TOKEN_SECONDS = 3600
_FOLLOWING = ("configMap", "secret", "projected", "downwardAPI")


@dataclass(frozen=True)
class File:
    """One file of a volume."""

    content: bytes
    mode: int


@dataclass(frozen=True)
class Mount:
    """A volume in a container: `source` outside, `target` inside."""

    source: Path
    target: str
    read_only: bool


@dataclass(frozen=True)
class Sources:
    """Where the content of a pod's volumes comes from."""

    fetch: Fetch
    token: Token
    claim: Claim
    facts: Mapping[str, str]


class PodVolumes:
    """The volumes that one pod declares, below `folder`."""

    def __init__(self, folder: Path, pod: Object, sources: Sources) -> None:
        self._folder = folder
        self._pod = pod
        self._sources = sources
        self._renewed = time.monotonic()
        self._claims: dict[str, Path] = {}

    async def prepare(self) -> None:
        """Make every volume. Raises ConfigError for one that cannot be made yet."""
        for volume in self._pod["spec"].get("volumes") or []:
            await self._prepare(volume)

    async def _prepare(self, volume: Object) -> None:
        folder = self._folder / volume["name"]
        if any(kind in volume for kind in _FOLLOWING):
            folder.mkdir(parents=True, exist_ok=True)
            write_atomically(folder, await self._content(volume))
        elif "persistentVolumeClaim" in volume:
            claim = volume["persistentVolumeClaim"]["claimName"]
            self._claims[volume["name"]] = await self._sources.claim(claim)
        elif "hostPath" in volume:
            _host_path(volume["hostPath"])
        elif "emptyDir" in volume:
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o777)
        else:
            kinds = ", ".join(key for key in volume if key != "name")
            raise ConfigError(f'volume "{volume["name"]}": the lab\'s node agent has no {kinds} volumes')

    async def refresh(self, pod: Object) -> None:
        """Bring the volumes that follow a source up to date. Raises ConfigError where one is gone."""
        self._pod = pod
        for volume in pod["spec"].get("volumes") or []:
            if any(kind in volume for kind in _FOLLOWING):
                write_atomically(self._folder / volume["name"], await self._content(volume))
        self._renewed = time.monotonic()

    @property
    def stale(self) -> bool:
        """Whether a token is so old that it must be renewed."""
        return time.monotonic() - self._renewed > _TOKEN_SECONDS / 2

    def mounts(self, container: Object, environment: Mapping[str, str]) -> list[Mount]:
        """What a container mounts, outer targets first. Raises ConfigError for a volume nobody declared."""
        volumes = {volume["name"]: volume for volume in self._pod["spec"].get("volumes") or []}
        found: list[Mount] = []
        for item in container.get("volumeMounts") or []:
            volume = volumes.get(item["name"])
            if volume is None:
                raise ConfigError(f'no volume named "{item["name"]}" in the pod')
            source = self._source(volume)
            within = item.get("subPath") or expand(item.get("subPathExpr", ""), environment)
            if within:
                source = _below(source, within)
            read_only = bool(item.get("readOnly")) or any(kind in volume for kind in _FOLLOWING)
            found.append(Mount(source, item["mountPath"], read_only))
        return sorted(found, key=lambda mount: mount.target.count("/"))

    def _source(self, volume: Object) -> Path:
        if "hostPath" in volume:
            return Path(str(volume["hostPath"]["path"]))
        name: str = volume["name"]
        return self._claims.get(name, self._folder / name)

    async def _content(self, volume: Object) -> dict[str, File]:
        if "projected" in volume:
            mode = volume["projected"].get("defaultMode", _DEFAULT_MODE)
            files: dict[str, File] = {}
            for source in volume["projected"].get("sources") or []:
                files |= await self._source_content(source, mode)
            return files
        kind = next(kind for kind in _FOLLOWING if kind in volume)
        return await self._source_content(volume, volume[kind].get("defaultMode", _DEFAULT_MODE))

    async def _source_content(self, source: Object, mode: int) -> dict[str, File]:
        if "configMap" in source:
            return await self._keys("configmaps", source["configMap"], mode)
        if "secret" in source:
            return await self._keys("secrets", source["secret"], mode)
        if "serviceAccountToken" in source:
            wanted = source["serviceAccountToken"]
            seconds = wanted.get("expirationSeconds", _TOKEN_SECONDS)
            token = await self._sources.token(wanted.get("audience"), seconds)
            return {wanted["path"]: File(token.encode(), mode)}
        if "downwardAPI" in source:
            return {
                item["path"]: File(self._downward(item).encode(), item.get("mode", mode))
                for item in source["downwardAPI"].get("items") or []
            }
        raise ConfigError(f"the lab's node agent projects no {', '.join(source)}")

    async def _keys(self, kind: str, source: Object, mode: int) -> dict[str, File]:
        name = source.get("secretName") or source["name"]
        found = await self._sources.fetch(kind, name)
        if found is None and not source.get("optional"):
            raise ConfigError(f'{kind.removesuffix("s")} "{name}" not found')
        content = entries(found) if found else {}
        if not source.get("items"):
            return {key: File(value, mode) for key, value in content.items()}
        chosen: dict[str, File] = {}
        for item in source["items"]:
            if item["key"] in content:
                chosen[item["path"]] = File(content[item["key"]], item.get("mode", mode))
            elif not source.get("optional"):
                raise ConfigError(f'{kind.removesuffix("s")} "{name}" has no key "{item["key"]}"')
        return chosen

    def _downward(self, item: dict[str, Any]) -> str:
        if "fieldRef" in item:
            return field_value(self._pod, item["fieldRef"]["fieldPath"], self._sources.facts)
        return resource_value(self._pod, {}, item["resourceFieldRef"])


def _below(source: Path, within: str) -> Path:
    path = source / within
    if ".." in Path(within).parts or Path(within).is_absolute():
        raise ConfigError(f'subPath "{within}" must stay within its volume')
    if not path.exists():
        path.mkdir(parents=True)
    return path.resolve()  # the file as it is now: later swaps of the link do not reach it


def _host_path(declared: Object) -> None:
    path, kind = Path(declared["path"]), declared.get("type") or ""
    if kind == "DirectoryOrCreate":
        path.mkdir(parents=True, exist_ok=True)
    elif kind == "FileOrCreate":
        path.touch()
    if not path.exists():
        raise ConfigError(f"hostPath {path} does not exist")


def write_atomically(folder: Path, files: Mapping[str, File]) -> None:
    """Make `folder` hold `files`, all changed at the same moment.

    The files lie in a hidden folder that the link `..data` points to; each name is a link through `..data`.
    Nothing happens where they are the same already.
    """
    current = folder / "..data"
    if current.exists() and _read(current) == dict(files):
        return
    fresh = folder / f"..{time.time_ns()}"
    fresh.mkdir(mode=0o755)
    for name, file in files.items():
        path = fresh / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.content)
        path.chmod(file.mode)
    previous = current.readlink() if current.is_symlink() else None
    swap = folder / "..data_tmp"
    swap.unlink(missing_ok=True)
    swap.symlink_to(fresh.name)
    swap.rename(current)
    wanted = {Path(name).parts[0] for name in files}
    present = {path.name for path in folder.iterdir() if not path.name.startswith("..")}
    for name in wanted - present:
        (folder / name).symlink_to(Path("..data", name))
    for name in present - wanted:
        (folder / name).unlink()
    if previous is not None:
        shutil.rmtree(folder / previous)


def _read(folder: Path) -> dict[str, File]:
    found: dict[str, File] = {}
    for root, _, names in os.walk(folder.resolve()):
        for name in names:
            path = Path(root, name)
            relative = str(path.relative_to(folder.resolve()))
            found[relative] = File(path.read_bytes(), path.stat().st_mode & 0o777)
    return found
