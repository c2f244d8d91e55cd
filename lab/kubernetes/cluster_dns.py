"""`python -m lab.kubernetes.cluster_dns`: the DNS of a cluster, inside the cluster's host.

Answers the names of Services and of pods behind headless ones (the Kubernetes DNS specification) from what
the API says at the moment, and asks the private network's resolver for everything else. It listens on an
address of the host and publishes that as the endpoint of the Service `kube-system/kube-dns`.
"""

from __future__ import annotations

import argparse
import asyncio
import ipaddress
import logging
import signal
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

from lab.dns.forward import Forwarder
from lab.dns.server import Answer, DnsServer, Lookup, Question
from lab.kubernetes.node.api import Api, ApiError, Informer, Object, load_kubeconfig

log = logging.getLogger(__name__)

DOMAIN = "cluster.local"
TTL_SECONDS = 5
_SERVICE = ("kube-system", "kube-dns")
_SLICES = "/apis/discovery.k8s.io/v1"
_RETRY_SECONDS = 0.5


@dataclass(frozen=True)
class Names:
    """What the API says at the moment; both by (namespace, name) of the object."""

    services: Mapping[tuple[str, str], Object]
    slices: Mapping[tuple[str, str], Object]
    namespaces: Mapping[tuple[str, str], Object]

    def answer(self, question: Question) -> Answer | None:
        """The answer for a name of the cluster domain, None for any other name.

        The target of an ExternalName Service is left to the caller: only its CNAME is given.
        """
        name = question.text.lower()
        if name != DOMAIN and not name.endswith(f".{DOMAIN}"):
            return None
        labels = name.removesuffix(DOMAIN).rstrip(".").split(".")
        match labels:
            case [*first, service, namespace, "svc"]:
                return self._service(question, first, self.services.get((namespace, service)))
            case [address, namespace, "pod"] if ("", namespace) in self.namespaces:
                return _addresses(question, [address.replace("-", ".")])
            case ["svc" | "pod" | ""] | [_, "svc" | "pod"] if _exists(labels, self.namespaces):
                return _records(question)
        return _no_such_name()

    def _service(self, question: Question, first: Sequence[str], service: Object | None) -> Answer:
        if service is None:
            return _no_such_name()
        spec = service["spec"]
        if spec.get("type") == "ExternalName":
            return (
                _records(question, "CNAME", [spec["externalName"].rstrip(".") + "."])
                if not first
                else _no_such_name()
            )
        headless = spec.get("clusterIP") in (None, "", "None")
        if len(first) == 2 and all(label.startswith("_") for label in first):
            return self._port(question, service, first[0][1:], first[1][1:], headless=headless)
        if not headless:
            return _addresses(question, [spec["clusterIP"]]) if not first else _no_such_name()
        endpoints = list(self._endpoints(service))
        if len(first) > 1:
            return _no_such_name()
        found = [address for host, address in endpoints if not first or host == first[0]]
        return _addresses(question, found) if found or not first else _no_such_name()

    def _port(
        self, question: Question, service: Object, port: str, protocol: str, *, headless: bool
    ) -> Answer:
        metadata, spec = service["metadata"], service["spec"]
        own = f"{metadata['name']}.{metadata['namespace']}.svc.{DOMAIN}."
        hosts = [f"{host}.{own}" for host, _ in self._endpoints(service)] if headless else [own]
        for declared in spec.get("ports") or []:
            if declared.get("name") == port and declared.get("protocol", "TCP").lower() == protocol:
                return _records(question, "SRV", [f"0 100 {declared['port']} {host}" for host in hosts])
        return _no_such_name()

    def _endpoints(self, service: Object) -> Iterable[tuple[str, str]]:
        """Host label and address of each endpoint that is ready (or published although it is not)."""
        metadata = service["metadata"]
        unready = service["spec"].get("publishNotReadyAddresses")
        for (namespace, _), item in self.slices.items():
            labels = item["metadata"].get("labels") or {}
            if namespace != metadata["namespace"]:
                continue
            if labels.get("kubernetes.io/service-name") != metadata["name"]:
                continue
            for endpoint in item.get("endpoints") or []:
                if unready or (endpoint.get("conditions") or {}).get("ready", True):
                    for address in endpoint["addresses"]:
                        yield endpoint.get("hostname") or address.replace(".", "-"), address


def _exists(labels: Sequence[str], namespaces: Mapping[tuple[str, str], Object]) -> bool:
    return len(labels) == 1 or ("", labels[0]) in namespaces


def _records(question: Question, kind: str = "A", content: Sequence[str] = ()) -> Answer:
    """These records if the question's type asks for them, a CNAME always; else the name without records."""
    wanted = kind == "CNAME" or question.rdtype in (dns.rdatatype.from_text(kind), dns.rdatatype.ANY)
    if not content or not wanted:
        return Answer(authority=(_authority(),), authoritative=True, recursion=True)
    record = dns.rrset.from_text_list(question.name, TTL_SECONDS, "IN", kind, list(content))
    return Answer(records=(record,), authoritative=True, recursion=True)


def _addresses(question: Question, addresses: Sequence[str]) -> Answer:
    try:
        parsed = sorted({ipaddress.IPv4Address(address) for address in addresses})
    except ValueError:
        return _no_such_name()
    return _records(question, "A", [str(address) for address in parsed])


def _no_such_name() -> Answer:
    return Answer(authority=(_authority(),), rcode=dns.rcode.NXDOMAIN, authoritative=True, recursion=True)


def _authority() -> dns.rrset.RRset:
    start = f"ns.dns.{DOMAIN}. hostmaster.{DOMAIN}. 1 7200 1800 86400 {TTL_SECONDS}"
    return dns.rrset.from_text(dns.name.from_text(DOMAIN), TTL_SECONDS, "IN", "SOA", start)


def lookup(names: Names, elsewhere: Lookup) -> Lookup:
    """Answers from the cluster's names; the rest, and the targets of ExternalNames, from elsewhere."""

    async def answer(question: Question) -> Answer:
        found = names.answer(question)
        if found is None:
            return await elsewhere(question)
        if found.records and found.records[0].rdtype == dns.rdatatype.CNAME:
            target = Question(found.records[0][0].target.canonicalize(), question.rdtype)
            inside = names.answer(target)
            rest = inside or await elsewhere(target)
            return Answer(records=(*found.records, *rest.records), rcode=rest.rcode, recursion=True)
        return found

    return answer


async def publish(api: Api, address: str, port: int) -> None:
    """Make `address` the endpoint of the cluster DNS Service; tried until the API takes it."""
    namespace, service = _SERVICE
    name = f"{service}-landfall"
    ports = [
        {"name": "dns", "port": port, "protocol": "UDP"},
        {"name": "dns-tcp", "port": port, "protocol": "TCP"},
    ]
    endpoints = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": name, "namespace": namespace, "labels": {"kubernetes.io/service-name": service}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
        "ports": ports,
    }
    path = f"{_SLICES}/namespaces/{namespace}/endpointslices/{name}"
    while True:
        try:
            await api.apply(path, endpoints, "landfall-cluster-dns")
        except ApiError as error:
            log.warning("%s", error)
            await asyncio.sleep(_RETRY_SECONDS)
        else:
            return


async def serve(options: argparse.Namespace) -> None:
    """Serves until SIGTERM or SIGINT. Raises OSError where the address is not to be had."""
    forwarder = Forwarder(options.upstream)
    await forwarder.start()
    async with Api(load_kubeconfig(options.kubeconfig, options.context)) as api:
        informers = [
            Informer(api, path)
            for path in ("/api/v1/services", f"{_SLICES}/endpointslices", "/api/v1/namespaces")
        ]
        following = [asyncio.ensure_future(informer.run()) for informer in informers]
        names = Names(*(informer.objects for informer in informers))
        server = DnsServer(lookup(names, forwarder.lookup), options.listen, options.port)
        await server.start()
        ended = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, ended.set)
        for informer in informers:
            await informer.synced.wait()
        await publish(api, options.listen, server.port)
        log.info("listening on %s:%s, upstream %s", options.listen, server.port, options.upstream)
        await ended.wait()
        await server.stop()
        for task in following:
            task.cancel()
    await forwarder.stop()


def main() -> int:
    """Reads the command line; exit code 1 with one line for what cannot work."""
    parser = argparse.ArgumentParser(prog="lab.kubernetes.cluster_dns", description=__doc__)
    parser.add_argument("--kubeconfig", type=Path, required=True)
    parser.add_argument("--context", help="context of the kubeconfig, if not its current one")
    parser.add_argument("--listen", required=True, help="address of this host to listen on, UDP and TCP")
    parser.add_argument("--port", type=int, default=53)
    parser.add_argument("--upstream", required=True, help="resolver that is asked for other names")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        asyncio.run(serve(options))
    except (ValueError, OSError) as error:
        print(f"lab.kubernetes.cluster_dns: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
