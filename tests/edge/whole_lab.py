"""Run in a world by test_whole_lab: all clouds, what their services do, and what each fault makes of it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lab import faults, topology
from lab.cloudflare.faults import Fault
from lab.clouds import DOMAIN, DOMAINS, SERVICES_NAMESPACE, Clouds
from lab.database import connect
from lab.people import redirect_exporter
from lab.setup import find_tools
from lab.topology import AUTOMATA, AWS, HUAWEI, TRUEWATCH_1, TRUEWATCH_2, Place

KODO = ("-n", "kodo")
INNER_APP = "http://inner-app.forethought-inner-app/login-check"
NAT, INGRESS = "203.0.113.64", "203.0.113.65"
WAIT_SECONDS = 60.0
CLIENT = """
import json, ssl, sys, urllib.error, urllib.request
method, url, body, ca = sys.argv[1:]
context = ssl.create_default_context(cafile=ca)
request = urllib.request.Request(url, body.encode() or None, method=method)
try:
    with urllib.request.urlopen(request, timeout=10, context=context) as answer:
        print(answer.status)
except urllib.error.HTTPError as error:
    print(error.code)
except urllib.error.URLError as error:
    print(error.reason)
"""
CONNECT = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], 3306), timeout=2).close()
    print("connected")
except OSError as error:
    print(type(error).__name__)
"""


class Lab:
    """The clouds under test, and what is asked of them."""

    def __init__(self, clouds: Clouds) -> None:
        self.clouds = clouds

    def ask(self, method: str, path: str, body: object = None, domain: str = DOMAIN) -> str:
        """Status of an answer over https, or why there was none."""
        text = "" if body is None else json.dumps(body)
        url = f"https://{domain}{path}"
        argv = [sys.executable, "-c", CLIENT, method, url, text, str(self.clouds.web_ca)]
        return self._run("world", argv)

    def _run(self, host: str, argv: list[str]) -> str:
        command = self.clouds.world.command(host, argv)
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout.strip()

    def in_pod(self, place: Place, namespace: str, workload: str, url: str) -> dict[str, Any]:
        """What a URL answers within a cluster."""
        fetch = ("exec", "-n", namespace, workload, "--", "busybox", "wget", "-qO-", url)
        found: dict[str, Any] = json.loads(self.clouds.kubectl(place, *fetch))
        return found

    def report(self, name: str) -> list[str]:
        """What a run of Kodo's schedule, made by hand, says of each try."""
        kubectl = self.clouds.kubectl
        kubectl(TRUEWATCH_1, "create", "job", *KODO, name, "--from=cronjob/kodo-billing-report")
        kubectl(TRUEWATCH_1, "wait", *KODO, "--for=condition=complete", f"job/{name}", "--timeout=60s")
        lines = kubectl(TRUEWATCH_1, "logs", *KODO, f"job/{name}").splitlines()
        return [line.partition(", ")[2] for line in lines]

    def query(self, statement: str) -> Any:
        """The first row of an answer of the database."""
        with connect(self.clouds.database.operator) as connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchone()

    def reach_database(self) -> str:
        """Whether a connection from the AWS side to the database's public address comes about."""
        return self._run(AWS.host, [sys.executable, "-c", CONNECT, topology.DATABASE_EIP])

    def waiting_usage(self) -> int:
        """How many items wait in BOSS's lists, those that a pod has taken among them."""
        pod = self.clouds.kubectl(
            HUAWEI,
            "get",
            "pod",
            "-n",
            "middleware",
            "-l",
            "app=redis-basis",
            "-o",
            "jsonpath={.items[0]..podIP}",
        ).split()[0]
        script = (
            "import redis, sys; r = redis.Redis(sys.argv[1]);"
            "print(sum(r.llen(key) for key in r.scan_iter('boss:usage*')))"
        )
        return int(self._run(HUAWEI.host, [sys.executable, "-c", script, pod]))

    def log(self, selector: str, namespace: str) -> list[dict[str, Any]]:
        """The access log of pods by their labels."""
        lines = self.clouds.kubectl(HUAWEI, "logs", "-n", namespace, "-l", selector, "--tail=2000")
        return [json.loads(line) for line in lines.splitlines() if line.startswith("{")]


def until(holds: Callable[[], object], what: str) -> None:
    """Wait for something; raises where it does not come."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not holds():
        if time.monotonic() > deadline:
            raise RuntimeError(f"not within {WAIT_SECONDS:.0f} s: {what}")
        time.sleep(0.3)


def services(lab: Lab) -> dict[str, Any]:
    """What works before anything is moved."""
    clouds = lab.clouds
    automata, exporter = "deploy/automata", "deploy/invoice-exporter"
    seen: dict[str, Any] = {
        "healthy": [lab.ask("GET", "/healthz", domain=domain) for domain in DOMAINS],
        "automata": lab.in_pod(AUTOMATA, "automata", automata, "http://automata.automata/state")["base"],
        "inner apps": [
            lab.in_pod(place, "forethought-inner-app", "deploy/inner-app", INNER_APP)["problem"]
            for place in (TRUEWATCH_1, TRUEWATCH_2)
        ],
        "report": lab.report("first"),
        "reports": lab.query("SELECT COUNT(*) FROM boss.reports"),
        "encrypted": lab.query("SHOW GLOBAL STATUS LIKE 'Ssl_accepts'")[1] != "0",
    }
    until(lambda: lab.query("SHOW TABLES FROM boss LIKE 'settlements'"), "a settlement")
    until(lambda: lab.query("SELECT COUNT(*) FROM boss.settlements")[0], "a settlement")
    seen["ingress log"] = sorted(
        {
            (line["host"], line["agent"])
            for line in lab.log("app.kubernetes.io/name=ingress-nginx", "ingress-nginx")
            if not line["agent"].startswith("Python-urllib")
        }
    )
    seen["boss log"] = sorted(
        {
            (line["host"], line["agent"])
            for line in lab.log("app=boss", SERVICES_NAMESPACE)
            if not line["forwarded_for"]
        }
    )
    began = time.time()
    redirect_exporter(clouds)
    state = lab.in_pod(HUAWEI, "ops-tools", exporter, "http://127.0.0.1:8080/state")
    seen["redirected"] = state["base"]
    seen["failed calls"] = sum(clouds.calls(since=began).values())
    return seen


def faulty(lab: Lab) -> dict[str, Any]:
    """What each fault does, and that it ends."""
    clouds = lab.clouds
    seen: dict[str, Any] = {}

    with faults.failing_ingress(clouds, HUAWEI, path="/reports", count=1):
        seen["kodo tries again"] = lab.report("second")
    with faults.failing_ingress(clouds, HUAWEI, status=500):
        seen["failing"] = [lab.ask("GET", "/healthz", domain=domain) for domain in DOMAINS]
    seen["no longer failing"] = lab.ask("GET", "/healthz")

    with faults.never_committed(clouds):
        item = {"id": "00000000-0000-4000-8000-000000000001", "amount": "1.00"}
        seen["usage"] = lab.ask("POST", "/usage", item)
        time.sleep(3.0)
        seen["waiting"] = lab.waiting_usage()
    until(lambda: lab.waiting_usage() == 0, "the usage to be committed")
    seen["committed"] = lab.query("SELECT COUNT(*) FROM boss.usage_records")[0]

    with faults.expired_certificate(clouds, HUAWEI):
        until(lambda: "certificate has expired" in lab.ask("GET", "/healthz"), "an expired certificate")
    until(lambda: lab.ask("GET", "/healthz") == "200", "the old certificate")

    topology.attach_aws(clouds.world, NAT, [INGRESS])
    clouds.nat_addresses = (NAT,)
    with faults.forgotten_nat_address(clouds) as address:
        clouds.open_database()
        seen["forgotten"] = (address, lab.reach_database())
    clouds.open_database()
    seen["let in"] = lab.reach_database()

    label = "jsonpath={.metadata.labels}"
    shown = ("get", "secret", "-n", SERVICES_NAMESPACE, "boss-database", "-o", label)
    with faults.left_out_of_backup(clouds, SERVICES_NAMESPACE, "secret/boss-database"):
        seen["left out"] = json.loads(clouds.kubectl(HUAWEI, *shown))
    seen["not left out"] = clouds.kubectl(HUAWEI, *shown)

    there = ("get", "configmap", "-n", SERVICES_NAMESPACE, "boss-config", "--ignore-not-found", "-o")
    with faults.in_the_way(clouds, SERVICES_NAMESPACE, "boss-config", {"DATABASE_HOST": "nowhere"}):
        seen["in the way"] = clouds.kubectl(AWS, *there, "jsonpath={.data.DATABASE_HOST}")
    seen["out of the way"] = clouds.kubectl(AWS, *there, "name")

    api = clouds.internet.environment
    zone = f"{api['CLOUDFLARE_BASE_URL']}/zones/{clouds.internet.zone_id}"
    header = f"Authorization: Bearer {api['CLOUDFLARE_API_TOKEN']}"
    status = ("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-H", header, zone)
    with faults.cloudflare_goes_wrong(Fault(kind="rate_limit", seconds=1.0)):
        seen["limited"] = lab._run("world", list(status))
    seen["not limited"] = lab._run("world", list(status))
    faults.somebody_changes_record(content="203.0.113.99")
    resolve = "import socket; print(socket.gethostbyname(sys.argv[1]))"
    seen["changed"] = lab._run("world", [sys.executable, "-c", f"import sys; {resolve}", DOMAIN])
    return seen


def main(folder: Path) -> None:
    """Print what was seen as one line of JSON."""
    clouds = Clouds(folder, find_tools(), ttl_divisor=300, progress=lambda _: None)
    clouds.start()
    try:
        lab = Lab(clouds)
        seen = {**services(lab), **faulty(lab)}
        clouds.supervisor.check()
    finally:
        clouds.stop()
    sys.stdout.write(json.dumps(seen) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
