"""What 3scale's API answers from a database in memory: the paths that the plan asks for, as in porta."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from cutover.ports import ApiAnswer, ApiRequest
from tests.rhoam.rhoam_names import CANARY, MASTER_TOKEN, NAMESPACES, TOKENS, WILDCARDS

if TYPE_CHECKING:
    from tests.rhoam.rhoam_world import FakeCluster, RhoamWorld


def content(wildcard: str) -> dict[str, Any]:
    """What a system database holds: the rows that the API tells, and the usage that is in Redis."""
    tenants = {}
    for number, name in enumerate(("acme", "globex"), 2):
        tenants[name] = {
            "id": number,
            "self_domain": f"{name}-admin.{wildcard}",
            "domain": f"{name}.{wildcard}",
            "accounts": [{"id": number * 10, "org_name": f"dev of {name}", "state": "approved"}],
            "services": [{"id": number * 100, "name": "API", "system_name": "api"}],
            "plans": [{"id": number * 1000, "name": "Basic", "system_name": "basic", "default": True}],
            "applications": [{"id": number * 7, "plan_id": number * 1000, "user_key": f"{CANARY}-{name}"}],
            "keys": [f"{CANARY}-key-{name}"],
            "sso": [],
            "users": [],
        }
    return {"master": f"master.{wildcard}", "tenants": tenants, "plan": "basic", "tokens": dict(TOKENS)}


PROVIDER_KEY = f"{CANARY}-provider"
"""The key of the default tenant's application at the master account."""


@dataclass
class Answers:
    """What 3scale's API answers."""

    world: RhoamWorld

    def to(  # noqa: PLR0911 - a path each
        self, request: ApiRequest, cluster: FakeCluster, database: dict[str, Any]
    ) -> ApiAnswer:
        url = urlsplit(request.path)
        path = url.path
        if path == "/status":
            return ApiAnswer(200, b"{}")
        if path == "/p/sso":
            query = parse_qs(url.query)
            good = query.get("token") == ["sso-token"] and query.get("expires_at") == ["17"]
            return ApiAnswer(302, b"", {"location": "/p/admin" if good else "/p/login"})
        if request.host == database["master"]:
            seed = cluster.objects["secrets", NAMESPACES[cluster.name], "system-seed"]["data"]
            expected = base64.b64decode(seed["MASTER_ACCESS_TOKEN"]).decode()
            if request.token != expected or expected != MASTER_TOKEN:
                return ApiAnswer(401, b"unauthorized")
            answer = self._master(request, path, database)
            self.world.resync(cluster)  # zync hears of every account that changes
            return answer
        for name, tenant in database["tenants"].items():
            if request.host == tenant["self_domain"]:
                if "access_tokens" in path:
                    return self._access_tokens(request, path, tenant["access_tokens"])
                tokens = [database["tokens"].get(name), *tenant.get("access_tokens", {}).values()]
                if request.token not in tokens:
                    return ApiAnswer(401, b"unauthorized")
                return self._tenant(request, path, name, tenant)
        return ApiAnswer(404, b"")

    def _access_tokens(self, request: ApiRequest, path: str, tokens: dict[int, str]) -> ApiAnswer:
        """A tenant's own: made with its provider key for any user, seen and deleted by their owner."""
        if path == "/admin/api/users/9/access_tokens.json":
            if request.token != PROVIDER_KEY:
                return ApiAnswer(403, b"")
            assert request.form["scopes[]"] == ("account_management", "policy_registry")
            number = self._new_token(tokens)
            return _json(201, access_token={"id": number, "name": "Administration", "value": tokens[number]})
        if request.token not in tokens.values():
            return ApiAnswer(403, b"")
        if request.method == "DELETE":
            del tokens[int(re.findall(r"[0-9]+", path)[-1])]
            return ApiAnswer(200, b"")
        # the first is the one that the tenant was created with
        names = {number: "account management rw" if number == 1 else "Administration" for number in tokens}
        items = [{"access_token": {"id": number, "name": name}} for number, name in names.items()]
        return _json(access_tokens=items)

    def _new_token(self, tokens: dict[int, str]) -> int:
        number = max(tokens, default=0) + 1
        tokens[number] = f"{CANARY}-admin-{number}"
        return number

    def _master(  # noqa: PLR0911 - a path each
        self, request: ApiRequest, path: str, database: dict[str, Any]
    ) -> ApiAnswer:
        tenants: dict[str, dict[str, Any]] = database["tenants"]
        if request.method == "GET":
            if path == "/admin/api/accounts.json":
                return _json(
                    accounts=[
                        {
                            "account": {
                                "id": tenant["id"],
                                "org_name": name,
                                "state": "approved",
                                "admin_domain": tenant["self_domain"],
                                "domain": tenant["domain"],
                            }
                        }
                        for name, tenant in tenants.items()
                    ]
                )
            if path == "/admin/api/services.json":
                return _json(services=[{"service": {"id": 1, "system_name": "master_service"}}])
            if path.endswith("/application_plans.json"):
                plans = [
                    {
                        "application_plan": {
                            "id": number,
                            "system_name": name,
                            "default": name == database["plan"],
                        }
                    }
                    for number, name in enumerate(database.get("plans", ("basic", "enterprise")))
                ]
                return _json(plans=plans)
            if path == "/admin/api/accounts/50/applications.json":
                return _json(applications=[{"application": {"id": 70, "user_key": PROVIDER_KEY}}])
            if path.endswith("/users.json"):
                return _json(users=[{"user": {"id": 9, "username": "admin", "state": "pending"}}])
        if path.endswith("/default.json"):
            database["plan"] = "enterprise"
            return _json()
        if path.endswith("/provider_create.json"):
            url = "https://x.example.com/session?token=sso-token&expires_at=17"
            return _json(201, sso_token={"token": "sso-token", "sso_url": url})
        if path == "/master/api/providers.json":
            name = str(request.form["org_name"])
            wildcard = database["master"].partition(".")[2]
            tenants[name] = {
                "id": 50, "self_domain": f"{name}-admin.{wildcard}", "domain": f"{name}.{wildcard}",
                "accounts": [], "services": [], "plans": [], "applications": [], "keys": [], "sso": [],
                "access_tokens": {},
            }  # fmt: skip
            tokens = tenants[name]["access_tokens"]
            token = {"value": tokens[self._new_token(tokens)]}
            self.world.note(f"tenant {name} created")
            return _json(201, signup={"account": {"id": 50}, "access_token": token})
        if path.endswith("/activate.json"):
            self.world.note("admin activated")
            return _json()
        return ApiAnswer(404, b"")

    def _tenant(self, request: ApiRequest, path: str, name: str, tenant: dict[str, Any]) -> ApiAnswer:
        if request.method == "POST":
            tenant["sso"].append({**request.form, "id": 1, "published": False})
            return _json(201)
        for pattern, many, one in (
            (r"/admin/api/accounts\.json", "accounts", "account"),
            (r"/admin/api/services\.json", "services", "service"),
            (r"/admin/api/services/\d+/application_plans\.json", "plans", "application_plan"),
            (r"/admin/api/accounts/\d+/applications\.json", "applications", "application"),
        ):
            if re.fullmatch(pattern, path):
                items = [{one: {**item, "links": [request.host]}} for item in tenant[many]]
                return _listed(many, items)
        if path.endswith("/keys.json"):
            return _json(keys=[{"key": {"value": value}} for value in tenant["keys"]])
        if path.endswith("/usage.json"):
            counters = self.world.redis.get(_redis_of(request.host), {})
            return _json(total=counters.get(name, 0), values=[counters.get(name, 0)])
        if path.endswith("/authentication_providers.json"):
            return _json(
                authentication_providers=[{"authentication_provider": item} for item in tenant["sso"]]
            )
        return ApiAnswer(404, b"")


def _redis_of(host: str) -> str:
    return next(name for name, wildcard in WILDCARDS.items() if host.endswith(f".{wildcard}"))


def _listed(name: str, items: list[Any]) -> ApiAnswer:
    return ApiAnswer(200, json.dumps({name: items}).encode())


def _json(status: int = 200, **content: Any) -> ApiAnswer:
    return ApiAnswer(status, json.dumps(content).encode())
