"""system-sidekiq: works the jobs that system-app leaves in Redis; and a rake task that people run there."""

from __future__ import annotations

import json
import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import redis

from lab.rhoam.threescale import backend_keys
from lab.rhoam.threescale.store import FAILURES, Store, stamps
from lab.rhoam.threescale.web import Answer, Request, Route, Server, serve
from lab.rhoam.threescale.zync import notify, wanted_routes
from lab.services.variables import Variables

log = logging.getLogger(__name__)

QUEUE = "queue:default"
RETRY = "retry"
WAIT_SECONDS = 1
RETRY_SECONDS = 5.0
PROBE_PORT = 9394
RESYNC = "zync:resync:domains"


@dataclass(frozen=True)
class Worker:
    """Carries out jobs."""

    store: Store
    zync_url: str
    zync_token: str

    @classmethod
    def read(cls, variables: Variables) -> Worker:
        """From the pod's environment."""
        store = Store(variables.text("DATABASE_URL"))
        return cls(store, variables.text("ZYNC_ENDPOINT"), variables.text("ZYNC_AUTHENTICATION_TOKEN"))

    def work(self, job: Mapping[str, object]) -> None:
        """One job. Raises one of the store's failures, or OSError."""
        arguments = job["args"]
        subject = int(arguments[0]) if isinstance(arguments, list) else 0
        match job["class"]:
            case "ZyncWorker":
                self.routes_of(subject)
            case "IndexWorker":
                changes = json.dumps({"job": job["jid"]})
                now = stamps()
                self.store.insert(
                    "audits",
                    kind="Cinstance",
                    auditable_id=subject,
                    action="create",
                    audited_changes=changes,
                    version=1,
                    created_at=now["created_at"],
                )
            case other:
                log.error("no worker is called %s: its job is dropped", other)

    def routes_of(self, account: int) -> None:
        """Has zync make the Routes of an account."""
        notify(self.zync_url, self.zync_token, account, wanted_routes(self.store, account))

    def resync(self) -> int:
        """Has zync make the Routes of every account; how many there are."""
        accounts = self.store.rows("SELECT id FROM accounts WHERE provider = %s ORDER BY id", True)
        for account in accounts:
            self.routes_of(int(account["id"]))
        return len(accounts)


class Process:
    """One process of Sidekiq: it says in Redis that it is there, and what it is at."""

    def __init__(self, client: redis.Redis, worker: Worker) -> None:
        self._client = client
        self._worker = worker
        self._identity = f"{socket.gethostname()}:{os.getpid()}:lab"

    def run(self, ended: threading.Event) -> None:
        """Work until told to end."""
        while not ended.is_set():
            try:
                self._once()
            except backend_keys.FAILURES as error:
                log.warning("no jobs can be had: %s", error)
                ended.wait(1.0)
        try:
            self._client.srem("processes", self._identity)
            self._client.delete(self._identity, f"{self._identity}:work")
        except backend_keys.FAILURES as error:
            log.warning("the end of this process cannot be told: %s", error)

    def _once(self) -> None:
        self._client.sadd("processes", self._identity)
        self._client.hset(self._identity, "beat", str(time.time()))
        self._client.expire(self._identity, 60)
        for due in self._client.zrangebyscore(RETRY, 0, time.time()):
            text = str(due)
            if self._client.zrem(RETRY, text):
                self._client.lpush(QUEUE, text)
        found = self._client.brpop([QUEUE], timeout=WAIT_SECONDS)
        if found is None:
            return
        text = str(found[1])
        self._client.hset(f"{self._identity}:work", "1", text)
        try:
            self._worker.work(json.loads(text))
        except FAILURES as error:
            log.warning("a job failed, and is tried again: %s", error)
            self._client.zadd(RETRY, {text: time.time() + RETRY_SECONDS})
        finally:
            self._client.hdel(f"{self._identity}:work", "1")


def main(environment: Mapping[str, str] = os.environ) -> int:
    """Run system-sidekiq."""
    variables = Variables(environment)
    worker = Worker.read(variables)
    client = backend_keys.connect(variables.text("REDIS_URL"))
    variables.check()

    def status(_: Request) -> Answer:
        client.ping()
        return Answer({"status": "ok"})

    ended = threading.Event()
    thread = threading.Thread(target=Process(client, worker).run, args=(ended,))
    thread.start()
    port = int(environment.get("LISTEN_PORT") or PROBE_PORT)
    code = serve([Server(port, [Route("GET", "/metrics", status)], backend_keys.FAILURES)], ended)
    thread.join()
    return code


def bundle(words: Sequence[str], environment: Mapping[str, str] = os.environ) -> int:
    """`bundle exec rake TASK`, for the tasks that there are; exit code 1 where it fails."""
    if list(words) != ["exec", "rake", RESYNC]:
        sys.stderr.write(f"bundle {' '.join(words)}: the stand-in has `bundle exec rake {RESYNC}` alone\n")
        return 1
    variables = Variables(environment)
    worker = Worker.read(variables)
    variables.check()
    try:
        count = worker.resync()
    except FAILURES as error:
        sys.stderr.write(f"rake aborted! {type(error).__name__}: {error}\n")
        return 1
    sys.stdout.write(f"{count} providers are synchronized\n")
    return 0
