"""All of the second plan's lab as one thing: brought up, installed into, reached, and ended."""

from __future__ import annotations

import base64
import json
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3

from lab import topology
from lab.clouds.cluster import Cluster
from lab.clouds.internet import module
from lab.clouds.workstation import Workstation
from lab.database import Login, Tls
from lab.kubernetes.certificates import Authority, KeyPair, write_private
from lab.kubernetes.control_plane import write_kubeconfig
from lab.rhoam import places
from lab.rhoam.api import ApiError, Web
from lab.rhoam.definitions import (
    api_manager,
    definitions,
    namespace,
    operator_role,
    rhoam_operator,
    subscription,
)
from lab.rhoam.images import images
from lab.rhoam.internet import RhoamInternet, check_store
from lab.rhoam.openshift import OPERATOR
from lab.rhoam.operators.loop import secret
from lab.rhoam.places import API_NAME, DESTINATION, MIGRATION, REGION, SITES, SOURCE, STORES, WORKSPACE, Site
from lab.rhoam.stores import Machine, MySql, Postgres, Redis, administrator
from lab.rhoam.upgrades import UPGRADES, Upgrades
from lab.setup import Tools
from lab.supervisor import Supervisor
from lab.world import WORLD, LabError, World

THREESCALE = "3scale"
"""3scale's namespace on the source and on the migration cluster."""
RHOAM_OPERATOR, RHOAM_3SCALE = "redhat-rhoam-operator", "redhat-rhoam-3scale"
TENANTS = ("customer", "partner")
SOURCE_VERSION = "2.13"
READY_SECONDS = 180.0
_POLL_SECONDS = 0.5
_POPULATE_SECONDS = 60.0
OLD = "5.7"

Progress = Callable[[str], None]


class RhoamClouds:
    """The customer's cluster, the migration cluster and the destination cluster, with all that they stand on.

    `folder` is the lab's own; `ttl_divisor` shortens the TTLs that DNS answers.
    """

    def __init__(self, folder: Path, tools: Tools, *, ttl_divisor: int, progress: Progress) -> None:
        self.folder = folder
        self.tools = tools
        self.world = World(folder)
        self.supervisor = Supervisor(self.world)
        self._progress = progress
        self._web_authority = Authority("landfall lab web")
        self._database_authority = Authority("landfall lab database")
        self.web_ca, self.database_ca = folder / "web-ca.crt", folder / "database-ca.crt"
        self._trusted = folder / "trusted.crt"
        self.kubeconfig = folder / "kubeconfig"
        self.internet = RhoamInternet(folder, self.supervisor, ttl_divisor=ttl_divisor)
        self._upgrades = Upgrades(folder / "upgrades")
        self.internet.aws_variables[UPGRADES] = str(self._upgrades.folder)
        self._machine = Machine(self.world, self.supervisor, tools, folder)
        data = SOURCE.data
        self.source_database = MySql(self._machine, "source-mysql", data, places.SOURCE_DATABASE, 10)
        self.source_backend = Redis(self._machine, "source-backend-redis", data, places.SOURCE_BACKEND)
        self.source_system = Redis(self._machine, "source-system-redis", data, places.SOURCE_SYSTEM)
        self.migration_mysql = self._store(MySql, "rhoam-migration-system-database", 20)
        self.migration_postgres = self._store(Postgres, "rhoam-migration-conversion-database")
        self.migration_backend = self._store(Redis, "rhoam-migration-backend-redis")
        self.migration_system = self._store(Redis, "rhoam-migration-system-redis")
        self.destination_postgres = self._store(Postgres, "rhoam-system-database")
        self.destination_backend = self._store(Redis, "rhoam-backend-redis")
        self.destination_system = self._store(Redis, "rhoam-system-redis")
        self.clusters = {site: self._cluster(site) for site in SITES}
        self.customer: Mapping[str, Any] = {}
        """What the customer's 3scale holds: see lab.rhoam.customer."""
        self.secrets = _source_secrets()
        """The values of the source's Secrets, by name."""
        self.tokens = {name: secrets.token_hex(32) for name in TENANTS}
        """The tenants' access tokens, which the customer made."""
        self.workstation = Workstation(
            folder,
            self.world,
            self.supervisor,
            tools,
            self.internet,
            kubeconfig=self.kubeconfig,
            trusted=self._trusted,
            passphrase=folder / "passphrase",
            secrets={f"{name.upper()}_ACCESS_TOKEN": token for name, token in self.tokens.items()},
            host=WORKSPACE,
        )

    def _store(self, kind: Callable[..., Any], name: str, *further: int) -> Any:
        full = _address(name)
        host = MIGRATION.data if "migration" in name else DESTINATION.data
        return kind(self._machine, name, host, STORES[full], *further)

    def _cluster(self, site: Site) -> Cluster:
        web, database = self._web_authority.certificate, self._database_authority.certificate
        further = images((web + database).decode(), self.tools)
        folder = self.folder / "clusters"
        return Cluster(
            site.place,
            self.tools,
            self.world,
            self.supervisor,
            folder=folder,
            upstream=topology.PUBLIC_DNS,
            further=further,
        )

    # --- up ---

    def start(self) -> None:
        """Bring everything up; returns once the customer's 3scale serves on the source."""
        self._progress("network: hosts and links")
        places.build(self.world)
        web, database = self._web_authority.certificate, self._database_authority.certificate
        self.web_ca.write_bytes(web)
        self.database_ca.write_bytes(database)
        self._trusted.write_bytes(web + database)
        write_private(self.folder / "passphrase", secrets.token_urlsafe(32).encode())
        self._progress("AWS, Cloudflare, DNS, the source's databases, three clusters")
        with ThreadPoolExecutor(max_workers=8) as pool:
            first: list[Callable[[], None]] = [
                self.internet.start_cloudflare,
                self.internet.start_aws,
                self.internet.start_api,
                self._start_source_stores,
                *(self._starting(site) for site in SITES),
            ]
            _all(pool, first)
            planes = [self.clusters[site].control_plane for site in SITES]
            write_kubeconfig(self.kubeconfig, planes)
            self._progress("3scale on the source; RHOAM's operator on the destination")
            _all(pool, [self._install_source, self._prepare_destination, self.workstation.start_providers])
        self.wait("the tenants to answer", self._answer)
        self.world.resolver(WORLD, topology.PUBLIC_DNS)

    def _starting(self, site: Site) -> Callable[[], None]:
        def start() -> None:
            cluster = self.clusters[site]
            cluster.start(self._web_authority.certificate)
            cluster.apply([*definitions(), operator_role()])
            plane = cluster.control_plane
            names = [f"crd/{found['metadata']['name']}" for found in definitions()]
            plane.kubectl("wait", "--for=condition=Established", "--timeout=60s", *names)
            router = f"router-default.{site.apps}"
            pair = self._web_authority.server(router, [f"*.{site.apps}", router])
            certificate, key = pair.write(plane.folder, "router")
            argv = [
                *(*module("lab.rhoam.openshift"), "--kubeconfig", str(plane.kubeconfig("admin"))),
                *("--certificate", str(certificate), "--key", str(key), "--router", router),
            ]
            self.supervisor.start(f"{site.place.host}-openshift", argv, host=site.place.host)
            cluster.start_ingress([site.router])

        return start

    def _start_source_stores(self) -> None:
        login = self._source_login()
        self.source_database.start(OLD, administrator(login.user, login.password, "system"))
        self.source_backend.start()
        self.source_system.start()
        self._populate()

    def _source_login(self) -> Login:
        values = self.secrets["system-database"]
        return Login("mysql.source.example.com", 3306, "system", values["DB_USER"], values["DB_PASSWORD"])

    def _populate(self) -> None:
        """Fill the source's stores from inside its network, as the customer's people did over the years."""
        wanted = {
            "database": _at(self.secrets["system-database"]["URL"]),
            "storage": _at(self.secrets["backend-redis"]["REDIS_STORAGE_URL"]),
            "jobs": _at(self.secrets["system-redis"]["URL"]),
            "tokens": self.tokens,
            "seed": self.secrets["system-seed"],
            "gateway": self.secrets["system-master-apicast"]["ACCESS_TOKEN"],
            "superdomain": SOURCE.apps,
            "version": SOURCE_VERSION,
            "api": f"http://{API_NAME}",
        }
        command = self.world.command(SOURCE.data, [sys.executable, "-m", "lab.rhoam.customer"])
        result = subprocess.run(
            command,
            input=json.dumps(wanted),
            capture_output=True,
            text=True,
            check=False,
            timeout=_POPULATE_SECONDS,
        )
        if result.returncode != 0:
            raise LabError(f"the customer's 3scale could not be filled: {result.stderr[-2000:]}")
        self.customer = json.loads(result.stdout)

    def _install_source(self) -> None:
        cluster = self.clusters[SOURCE]
        cluster.apply([namespace(THREESCALE)])
        cluster.apply([secret(THREESCALE, name, values) for name, values in self.secrets.items()])
        self.install_threescale(SOURCE, f"threescale-{SOURCE_VERSION}", external=True)

    def install_threescale(self, site: Site, channel: str, *, external: bool) -> None:
        """3scale by its operator from that channel; returns once it is available. Raises LabError."""
        manager = api_manager(THREESCALE, site.apps, external=external)
        objects = [namespace(THREESCALE), subscription(THREESCALE, channel), manager]
        self.clusters[site].apply(objects)
        self.await_threescale(site, THREESCALE)

    def remove_threescale(self, site: Site) -> None:
        """Remove a 3scale with its operator, and what was made for them. Raises LabError."""
        for what in ("apimanager/3scale", "subscription/3scale-operator", f"deployment/{OPERATOR}"):
            self.kubectl(site, "delete", "-n", THREESCALE, what, "--ignore-not-found", "--cascade=foreground")
        self.kubectl(site, "delete", "-n", THREESCALE, "routes,secrets", "--all")

    def await_threescale(self, site: Site, where: str) -> None:
        """Wait until a cluster's 3scale is available. Raises LabError."""
        self.wait(f"3scale on {site.place.host} to be available", lambda: self._available(site, where))

    def _available(self, site: Site, where: str) -> bool:
        found = self.get(site, "apimanager/3scale", where)
        conditions = (found.get("status") or {}).get("conditions") or []
        return any(c["type"] == "Available" and c["status"] == "True" for c in conditions)

    def _answer(self) -> bool:
        """Whether every host of the tenants is served on the source."""
        web = Web(self.web_ca, SOURCE.router)
        hosts = [*(tenant["admin"] for tenant in self.customer["tenants"])]
        hosts += {key["host"] for key in self.customer["keys"]}
        try:
            # without a key a gateway refuses, and says so itself
            return all(web.call("GET", host, "/").status in (302, 403) for host in hosts)
        except ApiError:
            return False

    def _prepare_destination(self) -> None:
        self.clusters[DESTINATION].apply(rhoam_operator(RHOAM_OPERATOR))
        self.clusters[DESTINATION].rolled_out(RHOAM_OPERATOR, "deployment/rhmi-operator")

    # --- what `pulumi up` declared comes to life ---

    def attach(self, stack: str, outputs: Mapping[str, Any]) -> None:
        """Start the stores that a stack declared, each with the administrator that AWS keeps for it."""
        stores: dict[str, Any] = {
            name.removesuffix("_address"): outputs[name] for name in outputs if name.endswith("_address")
        }
        with ThreadPoolExecutor(max_workers=4) as pool:
            starts = [
                self._starting_store(stack, kind, str(address), str(outputs[f"{kind}_secret_arn"]))
                for kind, address in stores.items()
            ]
            _all(pool, starts)

    def _starting_store(self, stack: str, kind: str, name: str, secret_arn: str) -> Callable[[], None]:
        where = check_store(kind, name)
        found = {
            store.address: store
            for store in (
                self.migration_mysql,
                self.migration_postgres,
                self.migration_backend,
                self.migration_system,
                self.destination_postgres,
                self.destination_backend,
                self.destination_system,
            )
        }[where]

        def start() -> None:
            value = self.aws("secretsmanager").get_secret_value(SecretId=secret_arn)["SecretString"]
            login = json.loads(value)
            pair = self._database_authority.server(f"{stack} {kind}", [name])
            user, password = login["username"], login["password"]
            match found:
                case MySql():
                    tls = self._tls(pair, stack, kind)
                    found.start(OLD, administrator(user, password, "system"), tls)
                    self._upgrades.carry_out(name.partition(".")[0], found.upgrade)
                case Postgres():
                    found.start(user, password, "system", pair)
                case Redis():
                    found.start(user, password, self._tls(pair, stack, kind))

        return start

    def _tls(self, pair: KeyPair, stack: str, kind: str) -> Tls:
        return Tls(*pair.write(self.folder, f"{stack}-{kind}"), self.database_ca)

    # --- for whoever works with it ---

    def aws(self, service: str) -> Any:
        """A boto3 client of the lab's AWS."""
        return boto3.client(
            service,
            endpoint_url=self.internet.aws_endpoint,
            region_name=REGION,
            aws_access_key_id="lab",
            aws_secret_access_key="lab",
        )

    def kubectl(self, site: Site, *arguments: str, stdin: str = "") -> str:
        """The output of kubectl. Raises LabError."""
        return self.clusters[site].control_plane.kubectl(*arguments, stdin=stdin)

    def get(self, site: Site, what: str, where: str) -> dict[str, Any]:
        """One object; empty where it is not there."""
        text = self.kubectl(site, "get", what, "-n", where, "--ignore-not-found", "-o", "json")
        found: dict[str, Any] = json.loads(text) if text.strip() else {}
        return found

    def secret(self, site: Site, where: str, name: str) -> dict[str, str]:
        """The values of a Secret."""
        data = self.get(site, f"secret/{name}", where).get("data") or {}
        return {key: base64.b64decode(value).decode() for key, value in data.items()}

    def wait(self, what: str, holds: Callable[[], bool], seconds: float = READY_SECONDS) -> None:
        """Wait until it is so. Raises LabError."""
        deadline = time.monotonic() + seconds
        while not holds():
            self.supervisor.check()
            if time.monotonic() > deadline:
                raise LabError(f"waited {seconds:.0f} s for {what}")
            time.sleep(_POLL_SECONDS)

    def operator(
        self,
        argv: Sequence[str],
        *,
        cwd: Path,
        timeout: float = 900.0,
        extra: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command at the workspace instance. `timeout` in seconds."""
        return self.workstation.run(argv, cwd=cwd, timeout=timeout, extra=extra)

    def operator_process(
        self, argv: Sequence[str], *, cwd: Path, extra: Mapping[str, str]
    ) -> subprocess.Popen[bytes]:
        """Start a command at the workspace instance; it writes to this terminal."""
        return self.workstation.start(argv, cwd=cwd, extra=extra)

    def stop(self) -> None:
        """End every process of the lab, last started first."""
        self._upgrades.stop()
        self.supervisor.stop_all()


def _address(name: str) -> str:
    """The DNS name that AWS's API gives a store."""
    return next(full for full in STORES if full.removeprefix("master.").startswith(f"{name}."))


def _at(url: str) -> str:
    """A URL of the source's with the address in place of the name, for its own network."""
    for name, address in places.SOURCE_NAMES.items():
        url = url.replace(name, address)
    return url


def _source_secrets() -> dict[str, dict[str, str]]:
    """The customer's own Secrets, which the operator finds when it installs."""
    word = secrets.token_urlsafe
    gateway = secrets.token_hex(16)
    password = secrets.token_hex(12)
    database = f"mysql2://system:{password}@mysql.source.example.com:3306/system"
    backend = "redis://backend-redis.source.example.com:6379"
    return {
        "system-seed": {
            "MASTER_DOMAIN": "master",
            "MASTER_USER": "master",
            "MASTER_PASSWORD": word(9),
            "MASTER_ACCESS_TOKEN": secrets.token_hex(16),
            "TENANT_NAME": "3scale",
            "ADMIN_USER": "admin",
            "ADMIN_PASSWORD": word(9),
            "ADMIN_ACCESS_TOKEN": secrets.token_hex(16),
            "ADMIN_EMAIL": "admin@example.com",
        },
        "system-master-apicast": {
            "ACCESS_TOKEN": gateway,
            "BASE_URL": f"http://{gateway}@system-master:3000",
            "PROXY_CONFIGS_ENDPOINT": f"http://{gateway}@system-master:3000/master/api/proxy/configs",
        },
        "system-database": {"URL": database, "DB_USER": "system", "DB_PASSWORD": password},
        "system-redis": {"URL": "redis://system-redis.source.example.com:6379/1"},
        "backend-redis": {"REDIS_STORAGE_URL": f"{backend}/0", "REDIS_QUEUES_URL": f"{backend}/1"},
    }


def _all(pool: ThreadPoolExecutor, parts: Iterable[Callable[[], None]]) -> None:
    """Run all parts and wait for them; raises what the first of them raised."""
    for part in [pool.submit(part) for part in parts]:
        part.result()
