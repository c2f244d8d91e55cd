"""What stands in the internet of a lab: the APIs of AWS and Cloudflare, and public DNS."""

from __future__ import annotations

import json
import secrets
import socket
import sys
from pathlib import Path

from lab import topology
from lab.cloudflare.directory import NAME_SERVERS
from lab.kubernetes.certificates import write_private
from lab.replication import dms_tasks
from lab.supervisor import Supervisor
from lab.topology import AWS, HUAWEI
from lab.velero import Storage

ACCOUNT = "123456789012"
"""The account of whoever asks the lab's AWS."""
REGION = "ap-southeast-1"
ZONE = "truewatch.com"
DOMAIN = "bill.truewatch.com"
DOMAINS = (DOMAIN, "corestone.truewatch.com")
TTL_SECONDS = 300
CLOUDFLARE_CONTROL_PORT = 8081
"""On the loopback of the internet's host: the lab's own way into its Cloudflare."""


class Internet:
    """AWS, Cloudflare and DNS. `record_ids`: those of the records of `DOMAINS`, by name."""

    def __init__(
        self, folder: Path, supervisor: Supervisor, *, ttl_divisor: int, region: str = REGION
    ) -> None:
        self._folder = folder
        self._supervisor = supervisor
        self._ttl_divisor = ttl_divisor
        self.region = region
        self.aws_variables: dict[str, str] = {}
        """Further variables of what serves AWS's APIs."""
        self._token = secrets.token_urlsafe(30)
        self.zone_id = secrets.token_hex(16)
        self.record_ids = {domain: secrets.token_hex(16) for domain in DOMAINS}

    @property
    def aws_endpoint(self) -> str:
        """The URL of every AWS API."""
        return f"http://{topology.AWS_API}:{topology.AWS_API_PORT}"

    @property
    def environment(self) -> dict[str, str]:
        """The standard variables by which clients find AWS and Cloudflare."""
        return {
            "AWS_ENDPOINT_URL": self.aws_endpoint,
            "AWS_ACCESS_KEY_ID": "lab",
            "AWS_SECRET_ACCESS_KEY": "lab",
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "CLOUDFLARE_BASE_URL": f"http://{topology.CLOUDFLARE_API}:{topology.CLOUDFLARE_PORT}/client/v4",
            "CLOUDFLARE_API_TOKEN": self._token,
        }

    def storage(self, bucket: str) -> Storage:
        """A bucket of the lab's S3, for Velero."""
        return Storage(bucket, self.aws_endpoint, self.region, access_key="lab", secret_key="lab")

    def start_aws(self) -> None:
        """Serve the APIs of AWS. Raises LabError."""
        argv = [
            *module("lab.aws"),
            *("--host", topology.AWS_API, "--port", str(topology.AWS_API_PORT)),
            *("--elastic-ips", topology.ELASTIC_IPS),
        ]
        self._supervisor.start(
            "aws-api",
            argv,
            env={dms_tasks.HOST: AWS.host, **self.aws_variables},
            ready=lambda: listens(topology.AWS_API, topology.AWS_API_PORT),
        )

    def start_cloudflare(self) -> None:
        """Serve Cloudflare's API and public DNS. Raises LabError."""
        zones = self._folder / "zones.json"
        zones.write_text(json.dumps(self.zones()))
        token = self._folder / "cloudflare-token"
        write_private(token, self._token.encode())
        argv = [
            *module("lab.cloudflare"),
            *("--listen", topology.CLOUDFLARE_API, "--port", str(topology.CLOUDFLARE_PORT)),
            *("--dns", topology.PUBLIC_DNS, "--zones", str(zones)),
            *("--ttl-divisor", str(self._ttl_divisor), "--token-file", str(token)),
            *("--control-port", str(CLOUDFLARE_CONTROL_PORT)),
        ]
        self._supervisor.start(
            "cloudflare", argv, ready=lambda: listens(topology.CLOUDFLARE_API, topology.CLOUDFLARE_PORT)
        )

    def start_huawei_resolver(self) -> None:
        """Serve the resolver of Huawei's private network, which alone knows the database's internal name."""
        internal = self._folder / "huawei-names.json"
        internal.write_text(
            json.dumps({"records": [{"name": topology.DATABASE_NAME, "content": topology.DATABASE_INTERNAL}]})
        )
        resolver = [*module("lab.dns"), "--listen", HUAWEI.node, "--records", str(internal)]
        self._supervisor.start(
            "huawei-resolver", [*resolver, "--upstream", topology.PUBLIC_DNS], host=HUAWEI.host
        )

    def zones(self) -> dict[str, object]:
        """What Cloudflare and public DNS know, as the file that they are started with."""
        records = [
            {
                "id": number,
                "name": domain,
                "type": "A",
                "content": topology.HUAWEI_INGRESS,
                "ttl": TTL_SECONDS,
                "proxied": False,
            }
            for domain, number in self.record_ids.items()
        ]
        names: list[dict[str, object]] = [
            {"name": server, "content": topology.PUBLIC_DNS, "ttl": 86400} for server in NAME_SERVERS
        ]
        # public DNS resolves an instance's name, to its private address
        names.append({"name": topology.TARGET_DATABASE_NAME, "content": topology.TARGET_DATABASE, "ttl": 5})
        return {"zones": [{"id": self.zone_id, "name": ZONE, "records": records}], "names": names}


def module(name: str) -> list[str]:
    """The arguments that run a module of the lab."""
    return [sys.executable, "-m", name]


def listens(address: str, port: int) -> bool:
    """Whether something accepts connections there."""
    try:
        socket.create_connection((address, port), timeout=1.0).close()
    except OSError:
        return False
    return True
