"""The network of pods: a namespace each, joined to the node's by a pair of devices.

A pod has one /32 address and a default route to a link-local gateway that is the node's end of the pair; both
ends have fixed hardware addresses, so nothing depends on ARP. The node routes by /32; an address of the pod
range that no pod has is refused at once instead of travelling on.
"""

from __future__ import annotations

import ipaddress
import os
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from lab.kubernetes.node.processes import Result, new_network_namespace, run

GATEWAY = "169.254.1.1"
_GATEWAY_HARDWARE = "ee:ee:ee:ee:ee:ee"
_DEVICE_PREFIX = "pod"
_COMMAND_SECONDS = 20.0


class NetworkError(Exception):
    """A pod could not be connected."""


class AddressPool:
    """The pod range. An address that was given back is the last to be given out again."""

    def __init__(self, cidr: str) -> None:
        self._free = deque(str(address) for address in ipaddress.ip_network(cidr).hosts())

    def take(self) -> str:
        """A free address. Raises NetworkError where there is none."""
        if not self._free:
            raise NetworkError("the pod range has no free address left")
        return self._free.popleft()

    def give_back(self, address: str) -> None:
        """An address that its pod needs no more."""
        self._free.append(address)


@dataclass(frozen=True)
class PodNetwork:
    """A pod's place in the network; `namespace` is the descriptor that keeps it alive."""

    address: str
    device: str
    namespace: int


class Network:
    """Connects pods to the node's network namespace, the one that this process runs in."""

    def __init__(self, cidr: str) -> None:
        self._cidr = cidr
        self._pool = AddressPool(cidr)
        self._made = 0

    async def prepare(self) -> None:
        """Forwarding on, what an earlier agent left removed, unused addresses refused."""
        Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
        left = [path.name for path in Path("/sys/class/net").glob(f"{_DEVICE_PREFIX}[0-9]*")]
        lines = [f"link delete {device}" for device in left]
        await _batch([*lines, f"route replace unreachable {self._cidr} metric 4096"], force=True)

    async def connect(self) -> PodNetwork:
        """A new namespace with an address of the range. Raises NetworkError."""
        address = self._pool.take()
        self._made += 1
        device = f"{_DEVICE_PREFIX}{self._made}"
        namespace = new_network_namespace()
        try:
            await _batch(
                [
                    f"link add {device} address {_GATEWAY_HARDWARE} type veth "
                    f"peer name eth0 netns /proc/{os.getpid()}/fd/{namespace}",
                    f"link set {device} up",
                    f"route replace {address}/32 dev {device}",
                ]
            )
            await _batch(
                [
                    "link set lo up",
                    "link set eth0 up",
                    f"address add {address}/32 dev eth0",
                    f"neighbour replace {GATEWAY} lladdr {_GATEWAY_HARDWARE} dev eth0 nud permanent",
                    f"route add {GATEWAY} dev eth0 scope link",
                    f"route add default via {GATEWAY} dev eth0",
                ],
                namespace=namespace,
            )
        except BaseException:  # a pod that is deleted meanwhile cancels this: nothing of it may stay
            os.close(namespace)
            self._pool.give_back(address)
            raise
        return PodNetwork(address, device, namespace)

    async def disconnect(self, pod: PodNetwork) -> None:
        """Take a pod's devices, routes and namespace away. Raises NetworkError."""
        os.close(pod.namespace)
        # the namespace, and with it the pair, may be gone by itself already
        await _batch([f"link delete {pod.device}"], force=True)
        self._pool.give_back(pod.address)


async def _batch(lines: list[str], *, namespace: int | None = None, force: bool = False) -> Result:
    """One `ip` for many changes; with `force` a line that fails does not stop the others."""
    batch = os.memfd_create("batch", 0)
    try:
        os.pwrite(batch, "".join(f"{line}\n" for line in lines).encode(), 0)
        enter = [] if namespace is None else ["nsenter", f"--net=/proc/{os.getpid()}/fd/{namespace}"]
        forced = ["-force"] if force else []
        argv = [*enter, "ip", *forced, "-batch", f"/proc/{os.getpid()}/fd/{batch}"]
        result = await run(argv, timeout=_COMMAND_SECONDS)
    except TimeoutError as error:
        raise NetworkError(f"`ip` did not end within {_COMMAND_SECONDS:.0f} s") from error
    finally:
        os.close(batch)
    if result.code != 0 and not force:
        what = "; ".join(lines)
        raise NetworkError(f"`ip` failed with code {result.code}: {result.output.strip()} ({what})")
    return result
