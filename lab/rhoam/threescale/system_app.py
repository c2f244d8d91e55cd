"""system-app: the API of the master and of each tenant, and the portals, on the system database.

Which account is meant is told by the request's host, as in 3scale. One process serves what 3scale serves with
three containers (master, provider, developer), on the three ports.
"""

from __future__ import annotations

import base64
import logging
import os
import secrets
import sys
import urllib.parse
import urllib.request
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import redis

from lab.rhoam.threescale import backend_keys
from lab.rhoam.threescale.accounts import Accounts, shown
from lab.rhoam.threescale.identity import Identity, token_of
from lab.rhoam.threescale.portal import Portal
from lab.rhoam.threescale.store import FAILURES, Row, Store
from lab.rhoam.threescale.tokens import Tokens
from lab.rhoam.threescale.web import Answer, HttpError, Request, Route, Server, serve
from lab.services.variables import Variables

log = logging.getLogger(__name__)

PORTS = {"provider": 3000, "developer": 3001, "master": 3002}
CALL_SECONDS = 5.0
PER_PAGE = 500
ACCOUNT = ("id", "org_name", "state", "created_at", "updated_at")
APPLICATION = ("id", "name", "state", "user_key", "application_id", "service_id", "plan_id", "created_at")
PLAN = ("id", "name", "system_name", "state", "setup_fee", "cost_per_month", "trial_period_days")


class Backend:
    """The backend's internal API: what the system tells it."""

    def __init__(self, url: str, user: str, password: str) -> None:
        self._url = url.rstrip("/")
        self._basic = base64.b64encode(f"{user}:{password}".encode()).decode()

    def save_app(self, app: backend_keys.App) -> None:
        """Raises OSError."""
        self._put(
            f"services/{app.service_id}/applications/{app.app_id}",
            user_key=app.user_key,
            state=app.state,
            plan_id=str(app.plan_id),
            plan_name=app.plan_name,
            keys=",".join(app.keys),
        )

    def save_token(self, service: int, token: str) -> None:
        """Raises OSError."""
        self._put(f"service_tokens/{service}", token=token)

    def _put(self, path: str, **fields: str) -> None:
        request = urllib.request.Request(  # noqa: S310 - the cluster's own service
            f"{self._url}/internal/{path}",
            data=urllib.parse.urlencode(fields).encode(),
            headers={"Authorization": f"Basic {self._basic}"},
            method="PUT",
        )
        with urllib.request.urlopen(request, timeout=CALL_SECONDS):  # noqa: S310
            pass


class System:
    """The API."""

    def __init__(
        self,
        accounts: Accounts,
        stats: redis.Redis,
        jobs: redis.Redis,
        backend: Backend,
        superdomain: str,
    ) -> None:
        """`superdomain`: new tenants are served below it."""
        self._who = Identity(accounts)
        self._accounts = accounts
        self._store = accounts.store
        self._stats = stats
        self._jobs = jobs
        self._backend = backend
        self._superdomain = superdomain
        api = "/admin/api"
        self.routes = (
            Route("GET", "/status", self._status),
            Route("GET", f"{api}/accounts.json", self._get_accounts),
            Route("GET", f"{api}/accounts/{{id}}.json", self._get_account),
            Route("POST", f"{api}/signup.json", self._sign_up),
            Route("GET", f"{api}/accounts/{{id}}/users.json", self._get_users),
            Route("PUT", f"{api}/accounts/{{id}}/users/{{user}}/activate.json", self._activate),
            Route("GET", f"{api}/accounts/{{id}}/applications.json", self._get_applications),
            Route("POST", f"{api}/accounts/{{id}}/applications.json", self._create_application),
            Route("PUT", f"{api}/accounts/{{id}}/applications/{{app}}/change_plan.json", self._change_plan),
            Route("GET", f"{api}/accounts/{{id}}/applications/{{app}}/keys.json", self._get_keys),
            Route("POST", f"{api}/accounts/{{id}}/applications/{{app}}/keys.json", self._create_key),
            Route("GET", f"{api}/services.json", self._get_services),
            Route("GET", f"{api}/services/{{id}}/application_plans.json", self._get_plans),
            Route(
                "PUT", f"{api}/services/{{id}}/application_plans/{{plan}}/default.json", self._default_plan
            ),
            Route("GET", "/stats/services/{id}/usage.json", self._usage_of_service),
            Route("GET", "/stats/applications/{id}/usage.json", self._usage_of_application),
            Route("POST", "/master/api/providers.json", self._create_tenant),
            Route("GET", "/master/api/proxy/configs/production.json", self._gateway_config),
        )

    def _account(self, request: Request) -> Row:
        return self._who.account(request)

    def _status(self, _: Request) -> Answer:
        self._store.row("SELECT 1 AS one")
        self._jobs.ping()
        return Answer({"status": "ok"})

    # --- accounts ---

    def _get_accounts(self, request: Request) -> Answer:
        account = self._account(request)
        per_page = min(PER_PAGE, int(request.fields.get("per_page", PER_PAGE)))
        page = max(1, int(request.fields.get("page", 1)))
        found = self._store.rows(
            "SELECT * FROM accounts WHERE provider_account_id = %s AND buyer = %s AND id <> %s ORDER BY id "
            "LIMIT %s OFFSET %s",
            account["id"],
            True,
            account["id"],
            per_page,
            (page - 1) * per_page,
        )
        return Answer({"accounts": [{"account": _account(row)} for row in found]})

    def _get_account(self, request: Request) -> Answer:
        return Answer({"account": _account(self._buyer(request))})

    def _buyer(self, request: Request) -> Row:
        account = self._account(request)
        found = self._store.row(
            "SELECT * FROM accounts WHERE id = %s AND provider_account_id = %s",
            request.path["id"],
            account["id"],
        )
        if found is None:
            raise HttpError(404, f"there is no account {request.path['id']}")
        return found

    def _sign_up(self, request: Request) -> Answer:
        account = self._account(request)
        buyer = self._accounts.create_buyer(account, request.field("org_name"), request.field("username"))
        row = self._store.row("SELECT * FROM accounts WHERE id = %s", buyer)
        return Answer({"account": _account(row or {})}, 201)

    def _get_users(self, request: Request) -> Answer:
        buyer = self._buyer(request)
        found = self._store.rows("SELECT * FROM users WHERE account_id = %s ORDER BY id", buyer["id"])
        names = ("id", "username", "email", "role", "state")
        return Answer({"users": [{"user": shown(row, *names)} for row in found]})

    def _activate(self, request: Request) -> Answer:
        buyer = self._buyer(request)
        statement = "UPDATE users SET state = %s WHERE id = %s AND account_id = %s"
        self._store.run(statement, "active", request.path["user"], buyer["id"])
        found = self._store.row("SELECT * FROM users WHERE id = %s", request.path["user"])
        if found is None:
            raise HttpError(404, f"there is no user {request.path['user']}")
        return Answer({"user": shown(found, "id", "username", "state")})

    # --- applications ---

    def _get_applications(self, request: Request) -> Answer:
        buyer = self._buyer(request)
        found = self._store.rows(
            "SELECT * FROM cinstances WHERE user_account_id = %s ORDER BY id", buyer["id"]
        )
        return Answer({"applications": [{"application": shown(row, *APPLICATION)} for row in found]})

    def _create_application(self, request: Request) -> Answer:
        buyer = self._buyer(request)
        plan = self._plan(request.field("plan_id"), self._account(request))
        made = self._accounts.application(int(buyer["id"]), plan, request.field("name"))
        self._backend.save_app(self._accounts.app(made["id"]))
        self._enqueue("IndexWorker", made["id"])
        return Answer({"application": made}, 201)

    def _application(self, request: Request) -> Row:
        buyer = self._buyer(request)
        found = self._store.row(
            "SELECT * FROM cinstances WHERE id = %s AND user_account_id = %s",
            request.path["app"],
            buyer["id"],
        )
        if found is None:
            raise HttpError(404, f"there is no application {request.path['app']}")
        return found

    def _change_plan(self, request: Request) -> Answer:
        application = self._application(request)
        plan = self._plan(request.field("plan_id"), self._account(request))
        statement = "UPDATE cinstances SET plan_id = %s WHERE id = %s"
        self._store.run(statement, plan["id"], application["id"])
        self._backend.save_app(self._accounts.app(int(application["id"])))
        return Answer({"application_plan": shown(plan, *PLAN)})

    def _get_keys(self, request: Request) -> Answer:
        application = self._application(request)
        found = self._store.rows(
            "SELECT * FROM application_keys WHERE application_id = %s ORDER BY id", application["id"]
        )
        return Answer({"keys": [{"key": shown(row, "value", "created_at")} for row in found]})

    def _create_key(self, request: Request) -> Answer:
        application = self._application(request)
        key = request.fields.get("key") or secrets.token_hex(16)
        self._accounts.add_key(application, key)
        self._backend.save_app(self._accounts.app(int(application["id"])))
        return Answer({"application": shown(application, *APPLICATION), "key": key}, 201)

    # --- services and plans ---

    def _service(self, request: Request) -> Row:
        account = self._account(request)
        found = self._store.row(
            "SELECT * FROM services WHERE id = %s AND account_id = %s", request.path["id"], account["id"]
        )
        if found is None:
            raise HttpError(404, f"there is no service {request.path['id']}")
        return found

    def _plan(self, plan: str, account: Row) -> Row:
        found = self._store.row(
            "SELECT plans.* FROM plans JOIN services ON services.id = plans.issuer_id WHERE plans.id = %s "
            "AND plans.type = %s AND services.account_id = %s",
            plan,
            "ApplicationPlan",
            account["id"],
        )
        if found is None:
            raise HttpError(404, f"there is no application plan {plan}")
        return found

    def _get_services(self, request: Request) -> Answer:
        account = self._account(request)
        found = self._store.rows("SELECT * FROM services WHERE account_id = %s ORDER BY id", account["id"])
        names = ("id", "name", "system_name", "state", "backend_version", "deployment_option")
        return Answer({"services": [{"service": shown(row, *names)} for row in found]})

    def _get_plans(self, request: Request) -> Answer:
        service = self._service(request)
        found = self._store.rows(
            "SELECT * FROM plans WHERE issuer_id = %s AND type = %s ORDER BY id",
            service["id"],
            "ApplicationPlan",
        )
        default = service["default_application_plan_id"]
        plans = [{**shown(row, *PLAN), "default": row["id"] == default} for row in found]
        return Answer({"plans": [{"application_plan": plan} for plan in plans]})

    def _default_plan(self, request: Request) -> Answer:
        service = self._service(request)
        plan = self._plan(request.path["plan"], self._account(request))
        self._accounts.set_default_plan(int(service["id"]), int(plan["id"]))
        return Answer({"application_plan": {**shown(plan, *PLAN), "default": True}})

    # --- usage ---

    def _usage_of_service(self, request: Request) -> Answer:
        return self._usage(request, int(self._service(request)["id"]), None)

    def _usage_of_application(self, request: Request) -> Answer:
        account = self._account(request)
        found = self._store.row(
            "SELECT cinstances.* FROM cinstances JOIN services ON services.id = cinstances.service_id "
            "WHERE cinstances.id = %s AND services.account_id = %s",
            request.path["id"],
            account["id"],
        )
        if found is None:
            raise HttpError(404, f"there is no application {request.path['id']}")
        return self._usage(request, int(found["service_id"]), str(found["application_id"]))

    def _usage(self, request: Request, service: int, app: str | None) -> Answer:
        since = _day(request, "since")
        until = _day(request, "until") if "until" in request.fields else datetime.now(UTC).date()
        days = [since + timedelta(days=number) for number in range(max(0, (until - since).days) + 1)]
        metric = request.field("metric_name")
        values = backend_keys.usage_by_day(self._stats, service, app, metric, days)
        return Answer({"metric": {"system_name": metric}, "total": sum(values), "values": values})

    # --- the master's own, and the gateway's ---

    def _create_tenant(self, request: Request) -> Answer:
        self._who.master(request)
        name = request.field("org_name")
        subdomain = "".join(letter if letter.isalnum() else "-" for letter in name.lower()).strip("-")
        made = self._accounts.create_tenant(
            name,
            f"{subdomain}.{self._superdomain}",
            f"{subdomain}-admin.{self._superdomain}",
            request.field("username"),
            request.field("password"),
            active=False,
        )
        row = self._store.row("SELECT * FROM accounts WHERE id = %s", made["id"]) or {}
        self._enqueue("ZyncWorker", made["id"])
        token = {"value": made["access_token"]}
        return Answer({"signup": {"account": _account(row), "access_token": token}}, 201)

    def _gateway_config(self, request: Request) -> Answer:
        """What the gateway needs to know of the service at a host."""
        if not self._accounts.of_token(token_of(request))["master"]:
            raise HttpError(403, "the gateway's access token is invalid")
        found = self._store.row(
            "SELECT proxies.*, service_tokens.value AS token FROM proxies JOIN service_tokens "
            "ON service_tokens.service_id = proxies.service_id WHERE proxies.endpoint = %s",
            f"https://{request.field('host')}:443",
        )
        if found is None:
            raise HttpError(404, f"no service is served at {request.field('host')}")
        return Answer(shown(found, "service_id", "api_backend", "auth_user_key", "token"))

    def _enqueue(self, worker: str, subject: int) -> None:
        backend_keys.enqueue_sidekiq(self._jobs, worker, subject)


def _day(request: Request, name: str) -> date:
    try:
        return date.fromisoformat(request.field(name)[:10])
    except ValueError as error:
        raise HttpError(400, f"{name} must be a day such as 2026-01-31") from error


def _account(row: Mapping[str, Any]) -> dict[str, Any]:
    hosts = {"admin_domain": row.get("self_domain"), "domain": row.get("domain")}
    return {**shown(row, *ACCOUNT), **(hosts if row.get("provider") else {})}


def main(environment: Mapping[str, str] = os.environ) -> int:
    """Run system-app. The database is migrated to this version first, and seeded where it was empty."""
    variables = Variables(environment)
    url = variables.text("DATABASE_URL")
    stats = backend_keys.connect(variables.text("BACKEND_REDIS_URL"))
    jobs = backend_keys.connect(variables.text("REDIS_URL"))
    backend = Backend(
        variables.text("BACKEND_URL"),
        variables.text("CONFIG_INTERNAL_API_USER"),
        variables.text("CONFIG_INTERNAL_API_PASSWORD"),
    )
    key, superdomain = variables.text("SECRET_KEY_BASE"), variables.text("THREESCALE_SUPERDOMAIN")
    version = variables.text("AMP_RELEASE")
    seed = {name: variables.text(name) for name in SEED}
    variables.check()
    accounts = Accounts(Store(url))
    try:
        if accounts.store.migrate(version):
            _seed(accounts, seed, superdomain, jobs)
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    system = System(accounts, stats, jobs, backend, superdomain)
    routes = (*system.routes, *Portal(accounts, key).routes, *Tokens(accounts).routes)
    failures = (*FAILURES, *backend_keys.FAILURES)
    offset = int(environment.get("LISTEN_PORT") or PORTS["provider"]) - PORTS["provider"]
    return serve([Server(port + offset, routes, failures) for port in PORTS.values()])


SEED = (
    "MASTER_DOMAIN",
    "MASTER_USER",
    "MASTER_PASSWORD",
    "MASTER_ACCESS_TOKEN",
    "APICAST_ACCESS_TOKEN",
    "TENANT_NAME",
    "ADMIN_USER",
    "ADMIN_PASSWORD",
    "ADMIN_ACCESS_TOKEN",
)
"""What an empty database is seeded with, by the names in system-seed and system-master-apicast."""


def _seed(accounts: Accounts, seed: Mapping[str, str], superdomain: str, jobs: redis.Redis) -> None:
    master = accounts.create_master(
        f"{seed['MASTER_DOMAIN']}.{superdomain}",
        seed["MASTER_USER"],
        seed["MASTER_PASSWORD"],
        seed["MASTER_ACCESS_TOKEN"],
        seed["APICAST_ACCESS_TOKEN"],
    )
    name = seed["TENANT_NAME"]
    tenant = accounts.create_tenant(
        name,
        f"{name}.{superdomain}",
        f"{name}-admin.{superdomain}",
        seed["ADMIN_USER"],
        seed["ADMIN_PASSWORD"],
        token=seed["ADMIN_ACCESS_TOKEN"],
    )
    for account in (master, tenant["id"]):
        backend_keys.enqueue_sidekiq(jobs, "ZyncWorker", account)
