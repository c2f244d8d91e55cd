"""`python -m lab.rhoam.traffic`: applications that call through the gateway, and people who change things.

Open loop: requests are begun at their times, whether or not earlier ones were answered. Each is written
down with its outcome before the next of its thread. It ends when its stop file is there, and what it began
with it.
"""

from __future__ import annotations

import argparse
import json
import queue
import random
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from lab.rhoam.api import Admin, ApiError, Web

THREADS = 4
WRITE_EVERY = 20
"""One request in so many is a change by the admin API."""


class Log:
    """One JSON object a line."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._lock = threading.Lock()

    def write(self, began: float, **fields: Any) -> None:
        """A line, on disk before this returns. `began` by the monotonic clock."""
        ms = round((time.monotonic() - began) * 1000, 1)
        with self._lock:
            self._file.write(json.dumps({"at": round(time.time(), 3), "ms": ms, **fields}) + "\n")
            self._file.flush()


class Users:
    """Who uses a customer's 3scale; `apps`: the wildcard domain that it is served at."""

    def __init__(self, customer: dict[str, Any], apps: str, log: Log) -> None:
        self._customer = customer
        self._apps = apps
        self._log = log

    def call(self, web: Web, chance: random.Random) -> None:
        """An application calls the API through the gateway."""
        key = chance.choice(self._customer["keys"])
        told = {"kind": "call", **{name: key[name] for name in ("tenant", "service_id", "app_id")}}
        began = time.monotonic()
        try:
            reply = web.call("GET", self._here(key["host"]), "/", {"user_key": key["user_key"]})
        except ApiError as error:
            self._log.write(began, **told, status=0, error=str(error))
        else:
            self._log.write(began, **told, status=reply.status)

    def change(self, web: Web, chance: random.Random) -> None:
        """Somebody adds an application with a key."""
        tenant = chance.choice(self._customer["tenants"])
        admin = Admin(web, self._here(tenant["admin"]), tenant["token"])
        told: dict[str, Any] = {"kind": "application", "tenant": tenant["name"]}
        name = f"made {time.time_ns()}"
        began = time.monotonic()
        try:
            buyers = admin.get("/admin/api/accounts.json")["accounts"]
            buyer = chance.choice(buyers)["account"]["id"]
            path = f"/admin/api/accounts/{buyer}/applications.json"
            made = admin.post(path, plan_id=str(tenant["plan"]), name=name)["application"]
            # the first answer acknowledges the application, the second its key
            self._log.write(began, **told, status=201, id=made["id"], name=name, user_key=made["user_key"])
            path = f"/admin/api/accounts/{buyer}/applications/{made['id']}/keys.json"
            began = time.monotonic()
            key = admin.post(path)["key"]
            self._log.write(began, kind="key", tenant=tenant["name"], status=201, id=made["id"], key=key)
        except ApiError as error:
            self._log.write(began, **told, status=0, error=str(error))

    def _here(self, host: str) -> str:
        return f"{host.partition('.')[0]}.{self._apps}"


def generate(users: Users, authority: Path, rate: float, seed: int, ended: Callable[[], bool]) -> None:
    """Begins `rate` requests a second until `ended`, and returns once all have their outcome."""
    waiting: queue.Queue[int | None] = queue.Queue()

    def work(number: int) -> None:
        web, chance = Web(authority), random.Random(f"{seed} {number}")
        while (turn := waiting.get()) is not None:
            (users.change if turn % WRITE_EVERY == 0 else users.call)(web, chance)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    began, turn = time.monotonic(), 0
    while not ended():
        turn += 1
        waiting.put(turn)
        time.sleep(max(0.0, began + turn / rate - time.monotonic()))
    for _ in threads:
        waiting.put(None)
    for thread in threads:
        thread.join()


def main() -> int:
    """Reads the command line and generates."""
    parser = argparse.ArgumentParser(prog="lab.rhoam.traffic", description=__doc__)
    parser.add_argument("--customer", type=Path, required=True, help="JSON of lab.rhoam.customer")
    parser.add_argument("--apps", required=True, help="the wildcard domain")
    parser.add_argument("--authority", type=Path, required=True)
    parser.add_argument("--rate", type=float, required=True, help="requests a second")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--stop-file", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    with options.out.open("a", encoding="utf-8") as file:
        users = Users(json.loads(options.customer.read_text()), options.apps, Log(file))
        generate(users, options.authority, options.rate, options.seed, options.stop_file.exists)
    return 0


if __name__ == "__main__":
    sys.exit(main())
