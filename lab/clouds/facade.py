"""All clouds as one thing: brought up, deployed to, reached, and ended."""

from __future__ import annotations

import json
import secrets
import subprocess
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import yaml

from lab import topology
from lab.clouds.calls import failed_calls
from lab.clouds.cluster import Cluster
from lab.clouds.internet import ACCOUNT, DOMAINS, REGION, ZONE, Internet
from lab.clouds.workloads import DEPLOYED, Workloads
from lab.clouds.workstation import Workstation
from lab.database import HuaweiDatabase, Tls, connect
from lab.kubernetes.certificates import Authority, write_private
from lab.kubernetes.control_plane import write_kubeconfig
from lab.project import Overlay
from lab.services.accounts import create_accounts
from lab.setup import Tools
from lab.supervisor import Supervisor
from lab.target_database import AwsDatabase
from lab.topology import AWS, HUAWEI, PLACES, Place
from lab.world import WORLD, LabError, World

AUTHORITY_FILE = "certificates/databases.pem"
"""Below a project's folder."""

Progress = Callable[[str], None]


class Clouds:
    """The source cloud, the target cloud, the callers' clusters, and an operator's place to reach them from.

    `folder` is the lab's own; `ttl_divisor` shortens the TTLs that DNS answers, and the soaks.
    """

    def __init__(self, folder: Path, tools: Tools, *, ttl_divisor: int, progress: Progress) -> None:
        self.folder = folder
        self.tools = tools
        self.world = World(folder)
        self.supervisor = Supervisor(self.world)
        self._progress = progress
        self._web_authority = Authority("landfall lab web")
        self._database_authority = Authority("landfall lab database")
        self.web_ca = folder / "web-ca.crt"
        self.database_ca = folder / "database-ca.crt"
        self._trusted = folder / "trusted.crt"
        self.accounts = folder / "accounts.json"
        """Users' passwords for BOSS and Corestone, as JSON."""
        self.kubeconfig = folder / "kubeconfig"
        self.database = HuaweiDatabase(
            self.world, self.supervisor, tools, folder / "huawei-rds", self._database_tls()
        )
        self._ttl_divisor = ttl_divisor
        self.target_database = AwsDatabase(
            self.world, self.supervisor, tools, folder / "aws-rds", self._target_database_tls()
        )
        self.internet = Internet(folder, self.supervisor, ttl_divisor=ttl_divisor)
        self.workloads = Workloads(self.database, self._web_authority, self._database_authority.certificate)
        self.clusters = {place: self._cluster(place) for place in PLACES}
        self.workstation = Workstation(
            folder,
            self.world,
            self.supervisor,
            tools,
            self.internet,
            kubeconfig=self.kubeconfig,
            trusted=self._trusted,
            passphrase=folder / "passphrase",
            secrets={
                "LANDFALL_SOURCE_DATABASE_USER": self.database.administrator.user,
                "LANDFALL_SOURCE_DATABASE_PASSWORD": self.database.administrator.password,
            },
        )
        self.nat_addresses: tuple[str, ...] = ()
        self.ingress_addresses: tuple[str, ...] = ()
        self._attaching: list[Future[None]] = []
        self.forgotten: set[str] = set()
        """NAT addresses that the owner of the database forgets to let in: a fault."""

    def _database_tls(self) -> Tls:
        names = [topology.DATABASE_NAME, topology.DATABASE_EIP, topology.DATABASE_INTERNAL]
        pair = self._database_authority.server(topology.DATABASE_NAME, names)
        return Tls(*pair.write(self.folder, "huawei-rds"), self.database_ca)

    def _target_database_tls(self) -> Tls:
        pair = self._database_authority.server(topology.TARGET_DATABASE_NAME, [topology.TARGET_DATABASE_NAME])
        return Tls(*pair.write(self.folder, "aws-rds"), self.database_ca)

    def _cluster(self, place: Place) -> Cluster:
        upstream = HUAWEI.node if place is HUAWEI else topology.PUBLIC_DNS
        folder = self.folder / "clusters"
        return Cluster(place, self.tools, self.world, self.supervisor, folder=folder, upstream=upstream)

    def start(self) -> None:
        """Bring everything up; returns once the services serve on the source and the target is empty."""
        self._progress("network: hosts and links")
        topology.build(self.world)
        self._write_files()
        self._progress(f"AWS, Cloudflare, DNS, database, the control planes of {len(PLACES)} clusters")
        internet = self.internet
        with ThreadPoolExecutor(max_workers=len(PLACES) + 4) as pool:
            first: list[Callable[[], None]] = [
                internet.start_cloudflare,
                internet.start_huawei_resolver,
                self._start_database,
                internet.start_aws,
            ]
            first += [self._starting(place) for place in PLACES]
            _all(pool.submit(part) for part in first)
            write_kubeconfig(self.kubeconfig, [self.clusters[place].control_plane for place in PLACES])
            self._progress("the services on the source, and those who call them")
            deploying = [pool.submit(self._deploying(place)) for place in DEPLOYED]
            deploying.append(pool.submit(self.workstation.start_providers))
            _all(deploying)
        self.world.resolver(WORLD, topology.PUBLIC_DNS)

    def _write_files(self) -> None:
        web, database = self._web_authority.certificate, self._database_authority.certificate
        self.web_ca.write_bytes(web)
        self.database_ca.write_bytes(database)
        self._trusted.write_bytes(web + database)
        write_private(self.folder / "passphrase", secrets.token_urlsafe(32).encode())
        write_private(self.accounts, json.dumps(self.workloads.accounts).encode())

    def _start_database(self) -> None:
        self.database.start()
        with connect(self.database.operator) as connection:
            for login in (self.database.application, self.database.corestone):
                create_accounts(connection, login.name, self.workloads.accounts)

    def _starting(self, place: Place) -> Callable[[], None]:
        return lambda: self.clusters[place].start(self._web_authority.certificate)

    def _deploying(self, place: Place) -> Callable[[], None]:
        def deploy() -> None:
            cluster = self.clusters[place]
            if place is HUAWEI:
                cluster.start_ingress([topology.HUAWEI_INGRESS])
            self.workloads.deploy(cluster)

        return deploy

    def use_engine(self, engine: str) -> str:
        """See Workstation."""
        return self.workstation.use_engine(engine)

    def overlay(self, settings_file: Path) -> Overlay:
        """The lab's facts over an environment's settings, for the domains that the file declares."""
        settings = yaml.safe_load(settings_file.read_text())["config"]["landfall:environment"]
        found: dict[tuple[str | int, ...], object] = {
            ("cloudflare", "zones", ZONE): self.internet.zone_id,
            ("database", "source", "eip"): topology.DATABASE_EIP,
            ("cutover", "soak_seconds"): settings["cutover"]["soak_seconds"] / self._ttl_divisor,
            ("cutover", "source_quiet_seconds"): settings["cutover"]["source_quiet_seconds"]
            / self._ttl_divisor,
        }
        for index, domain in enumerate(settings["domains"]):
            found["domains", index, "record_id"] = self.internet.record_ids[domain["name"]]
            found["domains", index, "source"] = topology.HUAWEI_INGRESS
        asked: dict[tuple[str | int, ...], object] = {
            ("account",): ACCOUNT,
            ("notifications", "emails", 0): "alarms@example.com",
            ("replication", "certificates", "source"): AUTHORITY_FILE,
            ("replication", "certificates", "target"): AUTHORITY_FILE,
        }
        return found | {keys: fact for keys, fact in asked.items() if _is_placeholder(settings, keys)}

    def write_authority(self, project: Path) -> None:
        """Put the authority of the databases where the overlaid settings of a project say that it is."""
        path = project / AUTHORITY_FILE
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(self.database_ca.read_bytes())

    def sessions(self, domains: Sequence[str]) -> list[str]:
        """The load generator's words for users with sessions; none where Corestone does not move."""
        corestone = DOMAINS[1]
        if corestone not in domains:
            return []
        return ["--corestone", corestone, "--accounts", str(self.accounts)]

    def calls(self, *, since: float) -> dict[str, int]:
        """How many calls of each caller of the services failed after `since` (seconds since the epoch)."""
        return failed_calls(self.folder / "clusters", since)

    def attach(self, outputs: Mapping[str, Any]) -> None:
        """Bring to life what `pulumi up` of the environment declared, by that stack's outputs.

        The AWS side gets its addresses and an ingress on them; where the stack has a bucket for it, Velero
        runs beside both clusters, once `attached` returns. Raises LabError.
        """
        if bucket := outputs.get("velero_bucket"):
            storage = self.internet.storage(str(bucket))
            pool = ThreadPoolExecutor(thread_name_prefix="velero")
            self._attaching = [
                pool.submit(self.clusters[place].start_velero, storage) for place in (HUAWEI, AWS)
            ]
            pool.shutdown(wait=False)
        self._attach_addresses()
        if address := outputs.get("database_address"):
            self._attach_database(str(address), str(outputs["database_secret_arn"]))

    def _attach_database(self, address: str, secret_arn: str) -> None:
        if address != topology.TARGET_DATABASE_NAME:
            raise LabError(
                f"RDS answers at {address}, and the lab's DNS knows {topology.TARGET_DATABASE_NAME}"
            )
        secret = json.loads(
            self._client("secretsmanager").get_secret_value(SecretId=secret_arn)["SecretString"]
        )
        self.target_database.start(secret["username"], secret["password"])

    def _client(self, service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.internet.aws_endpoint,
            region_name=REGION,
            aws_access_key_id="lab",
            aws_secret_access_key="lab",
        )

    def attached(self) -> None:
        """Wait for what `attach` has begun. Raises LabError."""
        _all(self._attaching)

    def _attach_addresses(self) -> None:
        ec2 = self._client("ec2")
        found: dict[str, list[str]] = {"nat": [], "ingress": []}
        for address in ec2.describe_addresses()["Addresses"]:
            tags = {tag["Key"]: tag["Value"] for tag in address.get("Tags", [])}
            if tags.get("landfall:role") in found:
                found[tags["landfall:role"]].append(address["PublicIp"])
        missing = [role for role, addresses in found.items() if not addresses]
        if missing:
            raise LabError(f"`pulumi up` made no Elastic IP tagged landfall:role={' or '.join(missing)}")
        self.nat_addresses, self.ingress_addresses = tuple(found["nat"]), tuple(found["ingress"])
        topology.attach_aws(self.world, found["nat"][0], found["ingress"])
        self.clusters[AWS].start_ingress(found["ingress"])

    def open_database(self) -> None:
        """What the owner of the Huawei account does: bind the EIP, let in the target's NAT addresses.

        An address in `forgotten` is not let in.
        """
        self.database.bind_eip()
        for address in self.nat_addresses:
            if address not in self.forgotten:
                self.database.allow(address)

    def operator(
        self,
        argv: Sequence[str],
        *,
        cwd: Path,
        capture: bool = True,
        timeout: float = 900.0,
        extra: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command at the workspace instance, in the AWS network. `timeout` in seconds."""
        return self.workstation.run(argv, cwd=cwd, capture=capture, timeout=timeout, extra=extra)

    def operator_process(
        self, argv: Sequence[str], *, cwd: Path, extra: Mapping[str, str]
    ) -> subprocess.Popen[bytes]:
        """Start a command at the workspace instance; it writes to this terminal."""
        return self.workstation.start(argv, cwd=cwd, extra=extra)

    def kubectl(self, place: Place, *arguments: str, stdin: str | None = None) -> str:
        """Run kubectl against a cluster; gives its output. Raises LabError."""
        return self.clusters[place].control_plane.kubectl(*arguments, stdin=stdin or "")

    def stop(self) -> None:
        """End every process of the lab, last started first."""
        self.supervisor.stop_all()


def _is_placeholder(settings: Any, keys: tuple[str | int, ...]) -> bool:
    """Whether the settings leave that place to the owner of an environment."""
    found = settings
    for key in keys:
        try:
            found = found[key]
        except (KeyError, IndexError, TypeError):
            return False
    return isinstance(found, dict) and "placeholder" in found


def _all(parts: Any) -> None:
    """Wait for all parts; raises what the first of them raised."""
    waiting: list[Future[Any]] = list(parts)
    for part in waiting:
        part.result()
