"""One pod: network, volumes, init containers, containers, its status on the API, and its end."""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import aiohttp

from lab.kubernetes.node.api import Api, ApiError, Object
from lab.kubernetes.node.container import Container
from lab.kubernetes.node.environment import ConfigError, container_environment, service_links
from lab.kubernetes.node.grace import Grace
from lab.kubernetes.node.images import Images
from lab.kubernetes.node.network import Network, NetworkError, PodNetwork
from lab.kubernetes.node.place import Place, name_files
from lab.kubernetes.node.report import Reporter
from lab.kubernetes.node.status import Record, Records, Surroundings, first_record, pod_status
from lab.kubernetes.node.storage import Storage
from lab.kubernetes.node.volumes import PodVolumes, Sources

log = logging.getLogger(__name__)

_Made = TypeVar("_Made")

_TRY_AGAIN_SECONDS = 1.0
_TOKEN_CHECK_SECONDS = 60.0


@dataclass(frozen=True)
class Node:
    """What all pods of a node share. `folder` holds the pods' files, `logs` what containers print."""

    name: str
    address: str
    cluster_dns: str
    folder: Path
    logs: Path
    applets: Path
    file_systems: Sequence[str]
    backoff: float
    api: Api
    images: Images
    network: Network
    session: aiohttp.ClientSession
    services: Callable[[], Sequence[Object]]
    storage: Storage


class Pod:
    """Runs one pod that is bound to this node, from its start until it is gone from the API."""

    def __init__(self, node: Node, declared: Object) -> None:
        metadata, spec = declared["metadata"], declared["spec"]
        status = declared.get("status") or {}
        self._node = node
        self._declared = declared
        self._folder = node.folder / metadata["uid"]
        self.namespace: str = metadata["namespace"]
        self.name: str = metadata["name"]
        self._title = f"{metadata['namespace']}_{metadata['name']}"
        self._surroundings = Surroundings(node.address, None, datetime.now(UTC))
        self._reporter = Reporter(node.api, declared, self._status)
        self._grace: Grace | None = None
        self._end = asyncio.Event()
        self._network: PodNetwork | None = None
        self._volumes: PodVolumes | None = None
        self._containers: list[Container] = []
        first = "PodInitializing" if spec.get("initContainers") else "ContainerCreating"
        before = status.get("initContainerStatuses") or []
        # init containers prepare what the new containers find: they run again
        self._inits = {
            item["name"]: first_record(item, before, "Always", "PodInitializing")
            for item in spec.get("initContainers") or []
        }
        before = status.get("containerStatuses") or []
        self._mains = {
            item["name"]: first_record(item, before, spec["restartPolicy"], first)
            for item in spec["containers"]
        }

    # --- what the agent tells it ---

    def update(self, declared: Object) -> None:
        """The pod as the API has it now."""
        self._declared = declared
        self._reporter.seen(declared)
        if declared["metadata"].get("deletionTimestamp"):
            self.stop(declared["metadata"].get("deletionGracePeriodSeconds") or 0)

    def stop(self, seconds: float) -> None:
        """End it within so many seconds; said again, it can only become sooner."""
        if self._grace is None:
            self._grace = Grace(seconds)
            self._end.set()
        else:
            self._grace.shorten(seconds)

    def container(self, name: str) -> Container | None:
        """One of its containers, if it has been made."""
        return next((each for each in self._containers if each.record.name == name), None)

    def refers_to(self, kind: str, name: str) -> bool:
        """Whether a volume of it shows this ConfigMap or Secret (`configMap` or `secret`)."""
        key = "name" if kind == "configMap" else "secretName"
        for volume in self._declared["spec"].get("volumes") or []:
            if volume.get(kind, {}).get(key) == name:
                return True
            for source in volume.get("projected", {}).get("sources") or []:
                if source.get(kind, {}).get("name") == name:
                    return True
        return False

    async def refresh(self) -> None:
        """Bring its volumes up to date with what they show."""
        if self._volumes is not None:
            try:
                await self._volumes.refresh(self._declared)
            except (ConfigError, ApiError) as error:
                log.warning("%s: volumes stay as they are: %s", self._title, error)

    # --- its life ---

    async def run(self) -> None:
        """Everything from the network to the pod's removal from the API."""
        reporting = asyncio.ensure_future(self._reporter.run())
        try:
            if (self._declared.get("status") or {}).get("phase") not in ("Succeeded", "Failed"):
                await self._live_and_stop()
                self._reporter.changed()
            await self._end.wait()
        finally:
            reporting.cancel()
        await self._reporter.finish()
        log.info("%s: gone", self._title)

    async def _live_and_stop(self) -> None:
        life = asyncio.ensure_future(self._live())
        end = asyncio.ensure_future(self._end.wait())
        seconds = self._declared["spec"].get("activeDeadlineSeconds")
        await asyncio.wait([life, end], timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        end.cancel()
        if not life.done():
            if not self._end.is_set():
                message = "Pod was active on the node longer than the specified deadline"
                self._surroundings = replace(self._surroundings, reason="DeadlineExceeded", message=message)
            await self._stop_containers()
            life.cancel()
        await asyncio.wait([life])
        if not life.cancelled() and (error := life.exception()):
            log.error("%s: the agent failed", self._title, exc_info=error)
            self._surroundings = replace(self._surroundings, reason="AgentError", message=repr(error))
        await self._tear_down()

    async def _live(self) -> None:
        place = await self._make_place()
        token_renewal = asyncio.ensure_future(self._renew_tokens())
        try:
            if await self._initialize(place):
                for name, record in self._mains.items():
                    if "PodInitializing" in str(record.state):
                        self._mains[name] = replace(
                            record, state={"waiting": {"reason": "ContainerCreating"}}
                        )
                declared = self._declared["spec"]["containers"]
                mains = [
                    self._container(item, place)
                    for item in declared
                    if not self._mains[item["name"]].finished
                ]
                await asyncio.gather(*(container.run() for container in mains))
            await self._stop_containers()  # sidecars
        finally:
            token_renewal.cancel()

    async def _initialize(self, place: Place) -> bool:
        """Run init containers one after another, leave sidecars running; whether all did their work."""
        sidecars: list[asyncio.Future[None]] = []
        for item in self._declared["spec"].get("initContainers") or []:
            container = self._container(item, place)
            if container.record.sidecar:
                sidecars.append(asyncio.ensure_future(container.run()))
                await container.settled.wait()
            else:
                await container.run()
                if not container.record.succeeded:
                    return False
        return True

    def _container(self, declared: Object, place: Place) -> Container:
        spec = self._declared["spec"]
        records = self._inits if declared["name"] in self._inits else self._mains
        policy = spec["restartPolicy"]
        if records is self._inits:
            # an init container that must succeed is tried again unless the pod says Never
            policy = declared.get("restartPolicy") or ("OnFailure" if policy == "Always" else policy)

        def changed(record: Record) -> None:
            records[record.name] = record
            self._reporter.changed()

        container = Container(
            declared,
            records[declared["name"]],
            policy,
            grace_seconds=spec.get("terminationGracePeriodSeconds", 30),
            place=place,
            changed=changed,
        )
        self._containers.append(container)
        return container

    async def _stop_containers(self) -> None:
        grace = self._grace or Grace(self._declared["spec"].get("terminationGracePeriodSeconds", 30))
        mains = [container for container in self._containers if not container.record.sidecar]
        await asyncio.gather(*(container.stop(grace) for container in mains))
        for container in reversed([each for each in self._containers if each.record.sidecar]):
            await container.stop(grace)

    async def _make_place(self) -> Place:
        spec, metadata, node = self._declared["spec"], self._declared["metadata"], self._node
        if not spec.get("hostNetwork"):
            self._network = await self._persist(node.network.connect, NetworkError)
        address = self._network.address if self._network else node.address
        self._surroundings = replace(self._surroundings, pod_address=address)
        self._reporter.changed()
        facts = {
            "status.podIP": address,
            "status.podIPs": address,
            "status.hostIP": node.address,
            "status.hostIPs": node.address,
        }
        volumes = PodVolumes(
            self._folder / "volumes", self._declared, Sources(self._fetch, self._token, self._claim, facts)
        )
        await self._persist(volumes.prepare, ConfigError)
        self._volumes = volumes
        hostname = spec.get("hostname") or metadata["name"]

        async def environment(container: Object) -> dict[str, str]:
            links = service_links(
                node.services(), metadata["namespace"], spec.get("enableServiceLinks", True) is not False
            )
            return await container_environment(self._declared, container, self._fetch, facts, links)

        return Place(
            title=self._title,
            folder=self._folder / "containers",
            logs=node.logs,
            address=address,
            network=self._network.namespace if self._network else None,
            hostname=hostname,
            files=name_files(self._declared, address, hostname, node.cluster_dns),
            file_systems=node.file_systems,
            applets=node.applets,
            images=node.images,
            backoff=node.backoff,
            session=node.session,
            environment=environment,
            mounts=volumes.mounts,
        )

    def _status(self, conditions: Sequence[Object]) -> Object:
        return pod_status(
            self._declared,
            Records(tuple(self._inits.values()), tuple(self._mains.values())),
            self._surroundings,
            conditions,
            datetime.now(UTC),
        )

    async def _persist(self, action: Callable[[], Awaitable[_Made]], expected: type[Exception]) -> _Made:
        """Try until it works: what a pod needs may come later."""
        while True:
            try:
                return await action()
            except (expected, ApiError) as error:
                log.info("%s: waits: %s", self._title, error)
                for name, record in self._mains.items():
                    state = {"waiting": {"reason": "ContainerCreating", "message": str(error)}}
                    self._mains[name] = replace(record, state=state)
                self._reporter.changed()
                await asyncio.sleep(_TRY_AGAIN_SECONDS)

    async def _fetch(self, kind: str, name: str) -> Object | None:
        namespace = self._declared["metadata"]["namespace"]
        return await self._node.api.find(f"/api/v1/namespaces/{namespace}/{kind}/{name}")

    async def _claim(self, name: str) -> Path:
        return await self._node.storage.folder(self._declared["metadata"]["namespace"], name)

    async def _token(self, audience: str | None, seconds: int) -> str:
        metadata, spec = self._declared["metadata"], self._declared["spec"]
        reference = {"apiVersion": "v1", "kind": "Pod", "name": metadata["name"], "uid": metadata["uid"]}
        answer = await self._node.api.create(
            f"/api/v1/namespaces/{metadata['namespace']}/serviceaccounts/{spec['serviceAccountName']}/token",
            {
                "apiVersion": "authentication.k8s.io/v1",
                "kind": "TokenRequest",
                "spec": {
                    "audiences": [audience] if audience else None,
                    "expirationSeconds": seconds,
                    "boundObjectRef": reference,
                },
            },
        )
        return str(answer["status"]["token"])

    async def _renew_tokens(self) -> None:
        while True:
            await asyncio.sleep(_TOKEN_CHECK_SECONDS)
            if self._volumes is not None and self._volumes.stale:
                await self.refresh()

    async def _tear_down(self) -> None:
        if self._network is not None:
            try:
                await self._node.network.disconnect(self._network)
            except NetworkError as error:
                log.warning("%s: %s", self._title, error)
            self._network = None
        shutil.rmtree(self._folder, ignore_errors=True)  # files of processes that end this moment may stay
