"""Logging in: SSO integrations, impersonation by the master, and the pages behind them."""

from __future__ import annotations

import hashlib
import hmac
import time
import urllib.parse
from collections.abc import Mapping
from typing import Any

from lab.rhoam.threescale.accounts import Accounts, shown
from lab.rhoam.threescale.identity import Identity
from lab.rhoam.threescale.store import Row
from lab.rhoam.threescale.web import Answer, HttpError, Request, Route

_PROVIDER = ("kind", "name", "client_id", "client_secret", "site", "system_name")


class Portal:
    """The routes."""

    def __init__(self, accounts: Accounts, key: str) -> None:
        """`key`: what sessions are signed with."""
        self._accounts = accounts
        self._store = accounts.store
        self._who = Identity(accounts)
        self._key = key.encode()
        providers = "/admin/api/account/authentication_providers"
        self.routes = (
            Route("GET", f"{providers}.json", self._get_providers),
            Route("POST", f"{providers}.json", self._create_provider),
            Route("PUT", f"{providers}/{{id}}.json", self._change_provider),
            Route("POST", "/admin/api/sso_tokens/provider_create.json", self._create_sso),
            Route("GET", "/p/sso", self._enter),
            Route("GET", "/p/admin", self._admin_page),
            Route("GET", "/auth/{name}/callback", self._sso_login),
            Route("GET", "/", self._portal),
        )

    def _get_providers(self, request: Request) -> Answer:
        account = self._who.account(request)
        found = self._store.rows(
            "SELECT * FROM authentication_providers WHERE account_id = %s ORDER BY id", account["id"]
        )
        return Answer(
            {"authentication_providers": [{"authentication_provider": _provider(row)} for row in found]}
        )

    def _create_provider(self, request: Request) -> Answer:
        account = self._who.account(request)
        fields = {name: request.field(name) for name in _PROVIDER}
        published = request.fields.get("published", "") == "true"
        made = self._accounts.add_sso(int(account["id"]), fields, published=published)
        row = self._store.row("SELECT * FROM authentication_providers WHERE id = %s", made)
        return Answer({"authentication_provider": _provider(row or {})}, 201)

    def _change_provider(self, request: Request) -> Answer:
        account = self._who.account(request)
        self._store.run(
            "UPDATE authentication_providers SET published = %s WHERE id = %s AND account_id = %s",
            request.field("published") == "true",
            request.path["id"],
            account["id"],
        )
        row = self._store.row("SELECT * FROM authentication_providers WHERE id = %s", request.path["id"])
        if row is None:
            raise HttpError(404, f"there is no authentication provider {request.path['id']}")
        return Answer({"authentication_provider": _provider(row)})

    def _sso_login(self, request: Request) -> Answer:
        """Where the SSO's server sends somebody who has logged in there."""
        account, _ = self._accounts.by_host(request.host)
        found = self._store.row(
            "SELECT * FROM authentication_providers WHERE account_id = %s AND system_name = %s",
            account["id"],
            request.path["name"],
        )
        if found is None:
            raise HttpError(404, f"{account['org_name']} has no SSO integration {request.path['name']}")
        return Answer("logged in\n", 302, (("Location", "/p/admin"), ("Set-Cookie", self._session(account))))

    def _create_sso(self, request: Request) -> Answer:
        self._who.master(request)
        tenant = self._store.row("SELECT * FROM accounts WHERE id = %s", request.field("provider_id"))
        if tenant is None or not tenant["provider"]:
            raise HttpError(404, f"there is no tenant {request.field('provider_id')}")
        expires = int(time.time()) + int(request.fields.get("expires_in", "600"))
        token = self._sign(f"sso:{tenant['id']}:{expires}")
        query = urllib.parse.urlencode({"token": token, "expires_at": expires})
        url = f"https://{tenant['self_domain']}/p/sso?{query}"
        return Answer({"sso_token": {"token": token, "sso_url": url}}, 201)

    def _enter(self, request: Request) -> Answer:
        account, _ = self._accounts.by_host(request.host)
        expires = int(request.field("expires_at"))
        expected = self._sign(f"sso:{account['id']}:{expires}")
        if expires < time.time() or not hmac.compare_digest(expected, request.field("token")):
            raise HttpError(403, "the token does not let you in")
        return Answer("logged in\n", 302, (("Location", "/p/admin"), ("Set-Cookie", self._session(account))))

    def _admin_page(self, request: Request) -> Answer:
        account, _ = self._accounts.by_host(request.host)
        cookie = request.headers.get("Cookie", "").removeprefix("user_session=")
        if not hmac.compare_digest(cookie, self._sign(f"session:{account['id']}")):
            return Answer("log in first\n", 302, (("Location", "/p/login"),))
        return Answer(f"<h1>{account['org_name']}</h1>\n", headers=(("Content-Type", "text/html"),))

    def _session(self, account: Row) -> str:
        session = self._sign(f"session:{account['id']}")
        return f"user_session={session}; Path=/; Secure; HttpOnly"

    def _sign(self, text: str) -> str:
        return hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()

    def _portal(self, request: Request) -> Answer:
        account, which = self._accounts.by_host(request.host)
        if which == "admin":
            return Answer("log in\n", 302, (("Location", "/p/login"),))
        return Answer(
            f"<h1>{account['org_name']}: developer portal</h1>\n", headers=(("Content-Type", "text/html"),)
        )


def _provider(row: Mapping[str, Any]) -> dict[str, Any]:
    found = shown(row, "id", "kind", "name", "system_name", "client_id", "site", "account_type")
    return {**found, "published": bool(row.get("published"))}
