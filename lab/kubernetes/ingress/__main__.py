"""`python -m lab.kubernetes.ingress`: the ingress controller of a cluster, inside the cluster's host."""

from __future__ import annotations

import argparse
import asyncio
import base64
import logging
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from lab.kubernetes.certificates import write_private
from lab.kubernetes.ingress.nginx import Nginx, NginxError
from lab.kubernetes.ingress.rules import Cluster, Table, as_lua, is_ours, routing_table
from lab.kubernetes.node.api import Api, ApiError, Informer, Object, load_kubeconfig

log = logging.getLogger(__name__)

_SETTLE_SECONDS = 0.01  # changes in quick succession are taken together
_RETRY_SECONDS = 1.0
_NETWORKING = "/apis/networking.k8s.io/v1"


class Controller:
    """Keeps nginx's routing table, and the status of Ingresses, in line with the cluster."""

    def __init__(
        self, api: Api, nginx: Nginx, ingress_class: str, addresses: Sequence[str], folder: Path
    ) -> None:
        self._api = api
        self._nginx = nginx
        self._class = ingress_class
        self._addresses = addresses
        self._folder = folder
        self._changed = asyncio.Event()
        self._routes = ""
        self._problems: list[str] = []
        self._ingresses = self._informer(f"{_NETWORKING}/ingresses")
        self._services = self._informer("/api/v1/services")
        self._slices = self._informer("/apis/discovery.k8s.io/v1/endpointslices")
        self._secrets = self._informer("/api/v1/secrets", {"fieldSelector": "type=kubernetes.io/tls"})

    def _informer(self, path: str, parameters: dict[str, str] | None = None) -> Informer:
        return Informer(self._api, path, lambda _old, _new: self._changed.set(), parameters)

    async def run(self) -> None:
        """Serve until cancelled. Raises NginxError where nginx ends or cannot start."""
        informers = [self._ingresses, self._services, self._slices, self._secrets]
        async with asyncio.TaskGroup() as group:
            for informer in informers:
                group.create_task(informer.run())
            for informer in informers:
                await informer.synced.wait()
            self._update()
            await self._nginx.start()
            log.info("serving on %s", ", ".join(self._addresses))
            group.create_task(self._follow())
            code = await self._nginx.ended()
            raise NginxError(f"nginx ended with code {code}")

    async def _follow(self) -> None:
        while True:
            await self._report()
            await self._changed.wait()
            await asyncio.sleep(_SETTLE_SECONDS)
            self._changed.clear()
            if self._update():
                await self._nginx.take_routes()

    def _update(self) -> bool:
        """Write the table; whether it is another one."""
        cluster = Cluster(
            list(self._ingresses.objects.values()),
            self._services.objects,
            list(self._slices.objects.values()),
        )
        table = routing_table(cluster, self._class)
        problems = list(table.problems)
        pems = self._write_certificates(table, problems)
        for problem in problems:
            if problem not in self._problems:
                log.warning("%s", problem)
        self._problems = problems
        hosts = {host: [asdict(path) for path in paths] for host, paths in table.hosts.items()}
        routes = as_lua({"hosts": hosts, "backends": table.backends, "pems": pems})
        if routes == self._routes:
            return False
        self._nginx.write_routes(routes)
        self._routes = routes
        log.info("routes: %s", "; ".join(f"{k} -> {v}" for k, v in sorted(table.backends.items())))
        return True

    def _write_certificates(self, table: Table, problems: list[str]) -> dict[str, str]:
        """The file with chain and key for each host; a renewed one has another name."""
        pems: dict[str, str] = {}
        for host, (namespace, name) in table.secrets.items():
            secret = self._secrets.objects.get((namespace, name))
            data = (secret or {}).get("data") or {}
            if secret is None or not {"tls.crt", "tls.key"} <= data.keys():
                problems.append(f"host {host}: there is no TLS Secret {namespace}/{name}")
                continue
            version = secret["metadata"]["resourceVersion"]
            path = self._folder / "tls" / f"{namespace}_{name}_{version}.pem"
            if not path.exists():
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                pair = [base64.b64decode(data[key]) for key in ("tls.crt", "tls.key")]
                write_private(path, b"\n".join(pair))
            pems[host] = str(path)
        return pems

    async def _report(self) -> None:
        """Tell each Ingress where it is served."""
        status = {"loadBalancer": {"ingress": [{"ip": address} for address in self._addresses]}}
        for ingress in list(self._ingresses.objects.values()):
            if is_ours(ingress, self._class) and not _says(ingress, self._addresses):
                metadata = ingress["metadata"]
                path = f"{_NETWORKING}/namespaces/{metadata['namespace']}/ingresses/{metadata['name']}/status"
                try:
                    await self._api.merge(path, {"status": status})
                except ApiError as error:
                    if error.status not in (404, 409):
                        log.warning("%s", error)
                        await asyncio.sleep(_RETRY_SECONDS)
                        self._changed.set()


def _says(ingress: Object, addresses: Sequence[str]) -> bool:
    given = ((ingress.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []
    return [entry.get("ip") for entry in given] == list(addresses)


async def _serve(options: argparse.Namespace) -> None:
    folder: Path = options.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    nginx = Nginx(options.listen, folder, options.access_log)
    async with Api(load_kubeconfig(options.kubeconfig, options.context)) as api:
        controller = Controller(api, nginx, options.ingress_class, options.listen, folder)
        main = asyncio.ensure_future(controller.run())
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, main.cancel)
        try:
            await main
        except asyncio.CancelledError:
            log.info("stopped")
        finally:
            nginx.stop()


def main() -> int:
    """Reads the command line and serves until SIGTERM; exit code 1 where nginx cannot."""
    parser = argparse.ArgumentParser(prog="lab.kubernetes.ingress", description=__doc__)
    parser.add_argument("--kubeconfig", type=Path, required=True)
    parser.add_argument("--context", help="context of the kubeconfig, if not its current one")
    parser.add_argument("--class", dest="ingress_class", default="nginx", help="ingress class that is served")
    parser.add_argument(
        "--listen", action="append", required=True, help="address to serve on; may be repeated"
    )
    parser.add_argument("--folder", type=Path, required=True, help="configuration, access.log")
    parser.add_argument("--access-log", type=Path, help="the access log, if not in the folder")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    problems: list[str] = []
    try:
        asyncio.run(_serve(options))
    except* (NginxError, ValueError, OSError) as group:
        problems += [str(error) for error in group.exceptions]
    for problem in problems:
        print(f"lab.kubernetes.ingress: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
