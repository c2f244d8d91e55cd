"""Probes and hooks of containers, performed from the node."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass

import aiohttp

from lab.kubernetes.node.api import Object
from lab.kubernetes.node.environment import ConfigError
from lab.kubernetes.node.processes import Result

Execute = Callable[[Sequence[str], float], Awaitable[Result]]
"""Runs a command in the container, at most so many seconds; raises TimeoutError."""


class ProbeError(Exception):
    """A probe or hook that did not succeed; the text says why."""


@dataclass(frozen=True)
class Target:
    """The container that a probe is for."""

    address: str
    container: Object
    session: aiohttp.ClientSession
    execute: Execute


async def perform(action: Object, target: Target, timeout: float) -> None:
    """Carry out a handler (`exec`, `httpGet`, `tcpSocket` or `sleep`) once; raises ProbeError."""
    try:
        async with asyncio.timeout(timeout):
            if "exec" in action:
                result = await target.execute(action["exec"].get("command") or [], timeout)
                if result.code != 0:
                    raise ProbeError(f"command ended with {result.code}: {result.output.strip()}")
            elif "httpGet" in action:
                await _http(action["httpGet"], target)
            elif "tcpSocket" in action:
                where = action["tcpSocket"]
                host = where.get("host") or target.address
                _, writer = await asyncio.open_connection(host, port_number(target.container, where["port"]))
                writer.close()
            elif "sleep" in action:
                await asyncio.sleep(action["sleep"]["seconds"])
            else:
                raise ProbeError(f"the lab's node agent has no such handler: {', '.join(action)}")
    except TimeoutError as error:
        raise ProbeError(f"no answer within {timeout:g} s") from error
    except (aiohttp.ClientError, OSError, ConfigError) as error:
        raise ProbeError(str(error) or type(error).__name__) from error


async def _http(action: Object, target: Target) -> None:
    scheme = action.get("scheme", "HTTP").lower()
    host = action.get("host") or target.address
    port = port_number(target.container, action["port"])
    url = f"{scheme}://{host}:{port}/{action.get('path', '/').removeprefix('/')}"
    headers = {item["name"]: item["value"] for item in action.get("httpHeaders") or []}
    request = target.session.get(url, headers=headers, ssl=False, allow_redirects=False)
    async with request as response:
        if not 200 <= response.status < 400:
            raise ProbeError(f"GET {url} answered {response.status}")


def port_number(container: Object, port: int | str) -> int:
    """A port given by number or by the name it has in the container. Raises ConfigError."""
    if isinstance(port, int):
        return port
    for declared in container.get("ports") or []:
        if declared.get("name") == port:
            return int(declared["containerPort"])
    raise ConfigError(f'the container has no port named "{port}"')


class Verdict:
    """Counts results of a probe until a threshold is reached in a row (kubelet's prober worker)."""

    def __init__(self, probe: Object) -> None:
        self._thresholds: dict[bool, int] = {
            True: probe.get("successThreshold", 1),
            False: probe.get("failureThreshold", 3),
        }
        self._last: bool | None = None
        self._run = 0

    def take(self, result: bool) -> bool:
        """Count a result; whether that reached its threshold (again)."""
        self._run = self._run + 1 if result == self._last else 1
        self._last = result
        return self._run >= self._thresholds[result]


async def supervise(
    probe: Object,
    target: Target,
    *,
    until: Collection[bool] = (),
    decided: Callable[[bool, str], None] = lambda _good, _why: None,
) -> tuple[bool, str]:
    """Repeat a probe; `decided(good, why)` is called whenever a threshold is reached in a row.

    Returns the first such verdict that is in `until`; without it, goes on for ever.
    """
    verdict = Verdict(probe)
    period, timeout = probe.get("periodSeconds", 10), probe.get("timeoutSeconds", 1)
    await asyncio.sleep(probe.get("initialDelaySeconds", 0))
    while True:
        why = ""
        try:
            await perform(probe, target, timeout)
        except ProbeError as error:
            why = str(error) or "no reason given"
        good = not why
        if verdict.take(good):
            decided(good, why)
            if good in until:
                return good, why
        await asyncio.sleep(period)
