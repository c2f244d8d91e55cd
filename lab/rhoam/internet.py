"""The internet of the second plan's lab: AWS, Cloudflare and DNS, with the names of clusters and stores."""

from __future__ import annotations

import secrets
from pathlib import Path

from lab import topology
from lab.cloudflare.directory import NAME_SERVERS
from lab.clouds.internet import Internet, listens, module
from lab.rhoam.places import API_ADDRESS, API_NAME, REGION, SITES, SOURCE_NAMES, STORES, ZONE
from lab.supervisor import Supervisor
from lab.world import LabError

TTL_SECONDS = 60
CUSTOMER_DOMAIN = "api.example.com"
"""The customer's own name for an API at the gateway."""


class RhoamInternet(Internet):
    """See Internet."""

    def __init__(self, folder: Path, supervisor: Supervisor, *, ttl_divisor: int) -> None:
        super().__init__(folder, supervisor, ttl_divisor=ttl_divisor, region=REGION)
        self.record_ids = {CUSTOMER_DOMAIN: secrets.token_hex(16)}

    def zones(self) -> dict[str, object]:
        """See Internet."""
        addresses = {f"*.{site.apps}": site.router for site in SITES}
        addresses |= {**SOURCE_NAMES, API_NAME: API_ADDRESS, CUSTOMER_DOMAIN: SITES[0].router}
        records = [
            {
                "id": self.record_ids.get(name, secrets.token_hex(16)),
                "name": name,
                "type": "A",
                "content": address,
                "ttl": TTL_SECONDS,
                "proxied": False,
            }
            for name, address in addresses.items()
        ]
        names: list[dict[str, object]] = [
            {"name": server, "content": topology.PUBLIC_DNS, "ttl": 86400} for server in NAME_SERVERS
        ]
        names += [{"name": name, "content": address, "ttl": 5} for name, address in STORES.items()]
        return {"zones": [{"id": self.zone_id, "name": ZONE, "records": records}], "names": names}

    def start_api(self) -> None:
        """Serve the customer's own API. Raises LabError."""
        argv = [*module("http.server"), "80", "--bind", API_ADDRESS, "--directory", str(self._api())]
        self._supervisor.start("customers-api", argv, ready=lambda: listens(API_ADDRESS, 80))

    def _api(self) -> Path:
        folder = self._folder / "customers-api"
        folder.mkdir()
        (folder / "index.html").write_text("the API answers\n")
        return folder


def check_store(name: str, address: str) -> str:
    """Where a store stands that AWS's API gives this name. Raises LabError for one that DNS lacks."""
    if address not in STORES:
        raise LabError(f"AWS's API says that the {name} is at {address}, which the lab's DNS does not know")
    return STORES[address]
