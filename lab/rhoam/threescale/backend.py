"""The backend: its listener, its worker and its cron, each a pod of its own."""

from __future__ import annotations

import base64
import json
import logging
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass

import redis

from lab.rhoam.threescale import backend_keys
from lab.rhoam.threescale.backend_keys import App
from lab.rhoam.threescale.web import Answer, HttpError, Request, Route, Server, serve
from lab.services.variables import Variables

log = logging.getLogger(__name__)

LISTENER_PORT = 3000
WAIT_SECONDS = 1
RETRY_SECONDS = 0.5
CRON_SECONDS = 10.0


@dataclass(frozen=True)
class Stores:
    """The counters and applications, and the queues: two databases of the backend's Redis."""

    storage: redis.Redis
    queues: redis.Redis

    @classmethod
    def read(cls, variables: Variables) -> Stores:
        """From the pod's environment. Raises SettingsError."""
        storage, queues = variables.text("CONFIG_REDIS_PROXY"), variables.text("CONFIG_QUEUES_MASTER_NAME")
        variables.check()
        return cls(backend_keys.connect(storage), backend_keys.connect(queues))


class Listener:
    """Authorizes and takes reports; what it took is a job before it answers."""

    def __init__(self, stores: Stores, user: str, password: str) -> None:
        self._client = stores.storage
        self._queues = stores.queues
        self._basic = base64.b64encode(f"{user}:{password}".encode()).decode()
        self.routes = (
            Route("GET", "/status", self._status),
            Route("*", "/transactions/authrep.xml", self._authrep),
            Route("GET", "/transactions/authorize.xml", self._authorize),
            Route("PUT", "/internal/services/{service}/applications/{app}", self._save_app),
            Route("PUT", "/internal/service_tokens/{service}", self._save_token),
            Route("GET", "/internal/check.json", self._check),
        )

    def _status(self, _: Request) -> Answer:
        self._client.ping()
        self._queues.ping()
        return Answer({"status": "ok"})

    def _authorize(self, request: Request) -> Answer:
        self._application(request)
        return Answer(_status_xml(True))

    def _authrep(self, request: Request) -> Answer:
        service, app = self._application(request)
        count = int(request.fields.get("usage[hits]", "1"))
        backend_keys.push(self._queues, "priority", backend_keys.report_job(service, app, "hits", count))
        return Answer(_status_xml(True), headers=(("Content-Type", "application/vnd.3scale-v2.0+xml"),))

    def _application(self, request: Request) -> tuple[str, str]:
        service = request.field("service_id")
        if not backend_keys.has_token(self._client, service, request.field("service_token")):
            raise HttpError(403, "service token is invalid")
        app = request.fields.get("app_id")
        if not app:
            app = backend_keys.app_of_key(self._client, service, request.field("user_key"))
        state = None if app is None else backend_keys.app_state(self._client, service, app)
        if app is None or state is None:
            raise HttpError(403, "user key is invalid")
        if state != "active":
            raise HttpError(409, "application is not active")
        return service, app

    def _internal(self, request: Request) -> None:
        given = request.headers.get("Authorization", "")
        if given != f"Basic {self._basic}":
            raise HttpError(401, "the internal API wants the credentials of backend-internal-api")

    def _check(self, request: Request) -> Answer:
        self._internal(request)
        return Answer({"status": "ok"})

    def _save_app(self, request: Request) -> Answer:
        self._internal(request)
        fields = request.fields
        app = App(
            int(request.path["service"]),
            request.path["app"],
            request.field("user_key"),
            request.field("state"),
            int(request.field("plan_id")),
            request.field("plan_name"),
            tuple(filter(None, fields.get("keys", "").split(","))),
        )
        backend_keys.save_app(self._client, app)
        return Answer({"status": "modified"})

    def _save_token(self, request: Request) -> Answer:
        self._internal(request)
        backend_keys.save_token(self._client, int(request.path["service"]), request.field("token"))
        return Answer({"status": "modified"})


def listener(environment: Mapping[str, str] = os.environ) -> int:
    """Run the listener."""
    variables = Variables(environment)
    user, password = (variables.text(f"CONFIG_INTERNAL_API_{name}") for name in ("USER", "PASSWORD"))
    stores = Stores.read(variables)
    port = int(environment.get("LISTEN_PORT") or LISTENER_PORT)
    return serve([Server(port, Listener(stores, user, password).routes, backend_keys.FAILURES)])


def work(stores: Stores, ended: threading.Event) -> None:
    """Takes jobs until it is told to end; one whose counting failed goes back to its queue."""
    names = [backend_keys.queue(name) for name in backend_keys.QUEUES]
    while not ended.is_set():
        try:
            found = stores.queues.blpop(names, timeout=WAIT_SECONDS)
        except backend_keys.FAILURES as error:
            log.warning("no jobs can be had: %s", error)
            ended.wait(RETRY_SECONDS)
            continue
        if found is None:
            continue
        name, text = map(str, found)
        try:
            backend_keys.count(stores.storage, json.loads(text))
        except backend_keys.FAILURES as error:
            log.warning("a job could not be worked: %s", error)
            _give_back(stores.queues, name, text, ended)


def _give_back(client: redis.Redis, name: str, text: str, ended: threading.Event) -> None:
    while True:
        try:
            client.lpush(name, text)
        except backend_keys.FAILURES as error:
            log.warning("a job cannot be given back: %s", error)
            if ended.wait(RETRY_SECONDS):
                return
        else:
            return


def worker(environment: Mapping[str, str] = os.environ) -> int:
    """Run the worker."""
    stores = Stores.read(Variables(environment))
    ended = threading.Event()
    thread = threading.Thread(target=work, args=(stores, ended))
    thread.start()
    code = serve([_probed(stores.queues, environment)], ended)
    thread.join()
    return code


def cron(environment: Mapping[str, str] = os.environ) -> int:
    """Run the cron, which puts jobs that failed for a while back into the queue."""
    stores = Stores.read(Variables(environment))
    ended = threading.Event()

    def rescue() -> None:
        while not ended.wait(CRON_SECONDS):
            try:
                while stores.queues.lmove("resque:failed", backend_keys.queue("main"), "LEFT", "RIGHT"):
                    log.info("a failed job is tried again")
            except backend_keys.FAILURES as error:
                log.warning("failed jobs cannot be had: %s", error)

    thread = threading.Thread(target=rescue)
    thread.start()
    code = serve([_probed(stores.queues, environment)], ended)
    thread.join()
    return code


def _probed(client: redis.Redis, environment: Mapping[str, str]) -> Server:
    """What a pod without an API of its own answers its probes with."""

    def status(_: Request) -> Answer:
        client.ping()
        return Answer({"status": "ok"})

    port = int(environment.get("LISTEN_PORT") or 9421)
    return Server(port, [Route("GET", "/status", status)], backend_keys.FAILURES)


def _status_xml(authorized: bool) -> str:
    return f"<status><authorized>{str(authorized).lower()}</authorized></status>"
