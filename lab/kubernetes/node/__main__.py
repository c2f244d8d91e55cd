"""`python -m lab.kubernetes.node`: the node agent of a cluster, inside the cluster's host."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import aiohttp

from lab.kubernetes.node.agent import Agent, separate_file_systems
from lab.kubernetes.node.api import Api, Informer, load_kubeconfig
from lab.kubernetes.node.images import Images
from lab.kubernetes.node.kubelet_api import Certificates, serve
from lab.kubernetes.node.network import Network
from lab.kubernetes.node.pod import Node
from lab.kubernetes.node.processes import CLONE_NEWNS, mount, unshare
from lab.kubernetes.node.storage import Storage

_PRIVATE = 1 << 18
_RECURSIVE = 1 << 14
_WGET = """\
#!/bin/sh
# The wget of Debian's busybox 1.35 crashes when it is given a time-out: here another applet keeps the time.
left=$#
while [ "$left" -gt 0 ]; do
    case $1 in
        -T | --timeout) seconds=$2; shift 2; left=$((left - 2)) ;;
        -T?*) seconds=${1#-T}; shift; left=$((left - 1)) ;;
        --timeout=*) seconds=${1#*=}; shift; left=$((left - 1)) ;;
        *) set -- "$@" "$1"; shift; left=$((left - 1)) ;;
    esac
done
exec ${seconds:+timeout "$seconds"} busybox wget "$@"
"""


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="lab.kubernetes.node", description=__doc__)
    parser.add_argument("--kubeconfig", type=Path, required=True)
    parser.add_argument("--context", help="context of the kubeconfig, if not its current one")
    parser.add_argument("--node", required=True, help="name of the node")
    parser.add_argument("--address", help="the node's address; else that of its first device")
    parser.add_argument("--pods", required=True, help="address range of pods, for example 192.0.2.0/25")
    parser.add_argument("--cluster-dns", required=True, help="nameserver of pods")
    parser.add_argument("--images", type=Path, required=True, help="JSON or YAML: what an image runs")
    parser.add_argument("--folder", type=Path, required=True, help="the agent's own: logs/, volumes/")
    parser.add_argument("--certificate", type=Path, help="for kubectl logs and exec; with --key, --authority")
    parser.add_argument("--key", type=Path)
    parser.add_argument("--authority", type=Path, help="authority of the API server's own client certificate")
    parser.add_argument("--backoff", type=float, default=10.0, help="first pause, in seconds, after a crash")
    options = parser.parse_args()
    serving = (options.certificate, options.key, options.authority)
    if any(serving) and not all(serving):
        parser.error("--certificate, --key and --authority go together")
    return options


def _first_address() -> str:
    """The address of the first device that is not the loopback; raises ValueError where there is none."""
    listing = subprocess.run(
        ["ip", "-json", "-4", "address"], check=True, capture_output=True, text=True, timeout=10
    )
    for device in json.loads(listing.stdout):
        for info in device["addr_info"]:
            if "LOOPBACK" not in device["flags"] and info.get("local"):
                return str(info["local"])
    raise ValueError("this host has no address: give --address")


def _prepare_folder(folder: Path) -> Path:
    """The folder of pods' files: in memory, seen by this agent and its pods alone, gone with them."""
    pods = folder / "pods"
    for needed in (pods, folder / "logs", folder / "volumes", folder / "applets"):
        needed.mkdir(parents=True, exist_ok=True)
    unshare(CLONE_NEWNS)
    mount("", Path("/"), "", flags=_PRIVATE | _RECURSIVE)
    mount("tmpfs", pods, "tmpfs", "mode=0700,size=50%")
    busybox = shutil.which("busybox")
    if busybox is None:
        raise ValueError("busybox is not installed")
    applets = folder / "applets"
    if not any(applets.iterdir()):
        subprocess.run([busybox, "--install", "-s", str(applets)], check=True, timeout=30)
        wget = applets / "wget"
        wget.unlink()
        wget.write_text(_WGET, encoding="utf-8")
        wget.chmod(0o755)
    return pods


async def _serve(options: argparse.Namespace) -> None:
    folder: Path = options.folder.resolve()
    pods = _prepare_folder(folder)
    mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8")
    async with (
        Api(load_kubeconfig(options.kubeconfig, options.context)) as api,
        # a probe must not find a connection that belongs to a container of before
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True, limit=0)) as session,
    ):
        services = Informer(api, "/api/v1/services")
        node = Node(
            name=options.node,
            address=options.address or _first_address(),
            cluster_dns=options.cluster_dns,
            folder=pods,
            logs=folder / "logs",
            applets=folder / "applets",
            file_systems=separate_file_systems(mounts, pods),
            backoff=options.backoff,
            api=api,
            images=Images(options.images),
            network=Network(options.pods),
            session=session,
            services=lambda: list(services.objects.values()),
            storage=Storage(api, folder / "volumes"),
        )
        agent = Agent(node, api, services)
        runner = None
        if options.certificate:
            certificates = Certificates(options.certificate, options.key, options.authority)
            runner = await serve(node.address, certificates, agent.find)
        main = asyncio.ensure_future(agent.run())
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, main.cancel)
        try:
            await main
        except asyncio.CancelledError:
            logging.getLogger(__name__).info("stopped")
        if runner is not None:
            await runner.cleanup()


def main() -> int:
    """Reads the command line and serves until SIGTERM; exit code 1 with one line for what cannot work."""
    options = _arguments()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    if os.geteuid() != 0:
        print("lab.kubernetes.node: needs root", file=sys.stderr)
        return 1
    try:
        asyncio.run(_serve(options))
    except (ValueError, OSError, subprocess.SubprocessError) as error:
        print(f"lab.kubernetes.node: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
