"""Keeps a pod's status on the API in line with what the agent knows."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from lab.kubernetes.node.api import Api, ApiError, Object

log = logging.getLogger(__name__)

_TRY_AGAIN_SECONDS = 1.0
_OWN_CONDITIONS = {"PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"}


class Reporter:
    """Sends the status of one pod whenever it changed, changes in quick succession as one."""

    def __init__(self, api: Api, pod: Object, status: Callable[[Sequence[Object]], Object]) -> None:
        """`status` works out the status, given the conditions that the API has."""
        metadata = pod["metadata"]
        self.path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"
        self._uid = metadata["uid"]
        self._api = api
        self._status = status
        self._conditions: list[Object] = (pod.get("status") or {}).get("conditions") or []
        self._sent: Object = {}
        self._dirty = asyncio.Event()

    def seen(self, pod: Object) -> None:
        """Take over the conditions that others have set; our own may be older there than here."""
        given: list[Object] = (pod.get("status") or {}).get("conditions") or []
        own = [condition for condition in self._conditions if condition["type"] in _OWN_CONDITIONS]
        self._conditions = [*own, *(each for each in given if each["type"] not in _OWN_CONDITIONS)]
        self._dirty.set()

    def changed(self) -> None:
        """Something that the status shows is different now."""
        self._dirty.set()

    async def run(self) -> None:
        """Report until cancelled."""
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            if not await self._send():
                await asyncio.sleep(_TRY_AGAIN_SECONDS)
                self._dirty.set()

    async def finish(self) -> None:
        """Report the last status, and remove the pod from the API."""
        while not await self._send():
            await asyncio.sleep(_TRY_AGAIN_SECONDS)
        body = {"gracePeriodSeconds": 0, "preconditions": {"uid": self._uid}}
        while True:
            try:
                await self._api.delete(self.path, body)
            except ApiError as error:
                if error.status != 409:
                    log.warning("%s", error)
                    await asyncio.sleep(_TRY_AGAIN_SECONDS)
                    continue
            return

    async def _send(self) -> bool:
        """Whether the API now has the status, or has no such pod any more."""
        status = self._status(self._conditions)
        if status == self._sent:
            return True
        try:
            body = {"metadata": {"uid": self._uid}, "status": status}
            await self._api.merge(f"{self.path}/status", body)
        except ApiError as error:
            if error.status in (404, 409):
                return True  # gone, perhaps another has its name: nobody to tell
            log.warning("%s", error)
            return False
        self._sent = status
        self._conditions = status["conditions"]
        return True
