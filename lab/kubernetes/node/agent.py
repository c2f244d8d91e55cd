"""The agent of one node: its Node object, the binding of pods to it, and what becomes of them."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lab.kubernetes.node.api import Api, ApiError, Informer, Object
from lab.kubernetes.node.container import Container
from lab.kubernetes.node.kubelet_api import FEATURE, PORT
from lab.kubernetes.node.pod import Node, Pod
from lab.kubernetes.node.status import timestamp

log = logging.getLogger(__name__)

_LEASE_SECONDS = 40
_HEARTBEAT_SECONDS = 10.0
_NODE_STATUS_SECONDS = 240.0
_FORCED_GRACE_SECONDS = 1.0
_LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
_VOLUME_KINDS = {"configmaps": "configMap", "secrets": "secret"}


class Agent:
    """Scheduler and kubelet of the only node of a cluster."""

    def __init__(self, node: Node, api: Api, services: Informer) -> None:
        self._node = node
        self._api = api
        self._services = services
        self._pods: dict[str, Pod] = {}
        self._unbound: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Serve until cancelled; then end every pod's processes at once."""
        await self._register()
        watched = [
            self._services,
            Informer(self._api, "/api/v1/pods", self._pod_changed),
            *(
                Informer(self._api, f"/api/v1/{kind}", self._source_changed(volume_kind))
                for kind, volume_kind in _VOLUME_KINDS.items()
            ),
        ]
        await self._node.network.prepare()
        first = asyncio.ensure_future(self._services.run())
        await self._services.synced.wait()  # before the first container: its environment names services
        try:
            await asyncio.gather(
                first,
                *(informer.run() for informer in watched[1:]),
                self._heartbeat(),
                self._renew_status(),
                self._node.storage.run(),
            )
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def find(self, namespace: str, pod_name: str, name: str) -> Container | None:
        """A container of a pod that runs here."""
        for pod in self._pods.values():
            if (pod.namespace, pod.name) == (namespace, pod_name):
                return pod.container(name)
        return None

    # --- pods ---

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        if new is None:
            self._pod_gone(old or {})
            return
        uid, assigned = new["metadata"]["uid"], new["spec"].get("nodeName")
        if uid in self._pods:
            self._pods[uid].update(new)
        elif assigned == self._node.name:
            self._adopt(new)
        elif not assigned and uid not in self._unbound and self._schedulable(new):
            self._start(self._bind(new))

    def _adopt(self, declared: Object) -> None:
        uid = declared["metadata"]["uid"]
        pod = Pod(self._node, declared)
        self._pods[uid] = pod
        self._unbound.discard(uid)
        pod.update(declared)
        self._start(self._keep(uid, pod))

    async def _keep(self, uid: str, pod: Pod) -> None:
        try:
            await pod.run()
        finally:
            self._pods.pop(uid, None)

    def _pod_gone(self, old: Object) -> None:
        """Deleted by force, or by us at its end."""
        uid = old["metadata"]["uid"]
        self._unbound.discard(uid)
        if uid in self._pods:
            self._pods[uid].stop(_FORCED_GRACE_SECONDS)

    def _schedulable(self, pod: Object) -> bool:
        spec = pod["spec"]
        if spec.get("schedulingGates") or pod["metadata"].get("deletionTimestamp"):
            return False
        if spec.get("schedulerName", "default-scheduler") != "default-scheduler":
            return False
        labels = node_labels(self._node.name)
        return all(labels.get(key) == value for key, value in (spec.get("nodeSelector") or {}).items())

    async def _bind(self, pod: Object) -> None:
        metadata = pod["metadata"]
        self._unbound.add(metadata["uid"])
        path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}/binding"
        target = {"apiVersion": "v1", "kind": "Node", "name": self._node.name}
        named = {"name": metadata["name"], "uid": metadata["uid"]}
        binding = {"apiVersion": "v1", "kind": "Binding", "metadata": named, "target": target}
        while metadata["uid"] in self._unbound:
            try:
                await self._node.storage.choose_node(pod, self._node.name)
                await self._api.create(path, binding)
            except ApiError as error:
                if error.status in (404, 409):  # gone, or bound by an attempt whose answer was lost
                    return
                log.warning("%s", error)
                await asyncio.sleep(1.0)
            else:
                return

    def _source_changed(self, kind: str) -> Any:
        def changed(old: Object | None, new: Object | None) -> None:
            if old is None or new is None:
                return  # pods that wait for a new one ask by themselves; one that is gone changes nothing
            metadata = new["metadata"]
            for pod in self._pods.values():
                if pod.namespace == metadata["namespace"] and pod.refers_to(kind, metadata["name"]):
                    self._start(pod.refresh())

        return changed

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("a task failed", exc_info=error)

    # --- the node ---

    async def _register(self) -> None:
        name = self._node.name
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": node_labels(name)}}
        while True:
            try:
                try:
                    await self._api.create("/api/v1/nodes", node)
                except ApiError as error:
                    if error.status != 409:
                        raise
                await self._send_status()
                await self._send_lease()
            except ApiError as error:
                log.warning("the node cannot be registered yet: %s", error)
                await asyncio.sleep(0.3)
            else:
                log.info("node %s is registered", name)
                return

    async def _send_status(self) -> None:
        await self._api.merge(
            f"/api/v1/nodes/{self._node.name}/status",
            {"status": node_status(self._node.address, datetime.now(UTC))},
        )

    async def _send_lease(self) -> None:
        name = self._node.name
        renewed = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        spec = {"holderIdentity": name, "leaseDurationSeconds": _LEASE_SECONDS, "renewTime": renewed}
        lease = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": name, "namespace": "kube-node-lease"},
            "spec": spec,
        }
        try:
            await self._api.merge(f"{_LEASES}/{name}", {"spec": spec})
        except ApiError as error:
            if error.status != 404:
                raise
            await self._api.create(_LEASES, lease)

    async def _heartbeat(self) -> None:
        while True:
            await asyncio.sleep(_HEARTBEAT_SECONDS)
            try:
                await self._send_lease()
            except ApiError as error:
                log.warning("heartbeat: %s", error)

    async def _renew_status(self) -> None:
        while True:
            await asyncio.sleep(_NODE_STATUS_SECONDS)
            try:
                await self._send_status()
            except ApiError as error:
                log.warning("node status: %s", error)


def node_labels(name: str) -> dict[str, str]:
    """The labels that every node has."""
    return {
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, "unknown"),
    }


def node_status(address: str, now: datetime) -> Object:
    """A NodeStatus: ready, with this machine's capacity."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 1024
    capacity = {"cpu": str(os.cpu_count() or 1), "memory": f"{memory}Ki", "pods": "110"}
    ready = {
        "type": "Ready",
        "status": "True",
        "reason": "KubeletReady",
        "message": "the lab's node agent is ready",
        "lastHeartbeatTime": timestamp(now),
    }
    others = [
        {"type": kind, "status": "False", "reason": "Sufficient", "lastHeartbeatTime": timestamp(now)}
        for kind in ("MemoryPressure", "DiskPressure", "PIDPressure")
    ]
    return {
        "declaredFeatures": [FEATURE],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": PORT}},
        "capacity": capacity,
        "allocatable": capacity,
        "addresses": [{"type": "InternalIP", "address": address}],
        "conditions": [*others, ready],
        "nodeInfo": {
            "architecture": os.uname().machine,
            "bootID": "",
            "containerRuntimeVersion": "landfall://1",
            "kernelVersion": os.uname().release,
            "kubeProxyVersion": "",
            "kubeletVersion": "v1.36.1",
            "machineID": "",
            "operatingSystem": "linux",
            "osImage": "landfall lab",
            "systemUUID": "",
        },
    }


def separate_file_systems(mounts: str, outside: Path) -> list[str]:
    """Mount points, besides `/`, of file systems that hold files, from /proc/self/mountinfo's text.

    Containers get an overlay of each. Those that hold `outside`, or lie under what a container has of its
    own, are left out.
    """
    kinds = {"ext2", "ext3", "ext4", "xfs", "btrfs", "overlay", "tmpfs", "f2fs", "zfs"}
    own = ("/proc", "/sys", "/dev", "/run")
    found: list[str] = []
    for line in mounts.splitlines():
        fields = line.split()
        point, kind = fields[4].encode().decode("unicode_escape"), fields[fields.index("-") + 1]
        covered = point == "/" or any(point == path or point.startswith(f"{path}/") for path in own)
        holds = outside == Path(point) or (Path(point) in outside.parents and kind == "tmpfs")
        if kind in kinds and not covered and not holds and Path(point).is_dir() and point not in found:
            found.append(point)
    return found
