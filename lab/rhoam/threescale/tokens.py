"""Access tokens over the API: made with an account's provider key for any user, or kept by their owners."""

from __future__ import annotations

import json
import secrets

from lab.rhoam.threescale.accounts import Accounts
from lab.rhoam.threescale.identity import Identity, token_of
from lab.rhoam.threescale.store import Row
from lab.rhoam.threescale.web import LIST_SEPARATOR, Answer, HttpError, Request, Route

PERMISSIONS = ("ro", "rw")
ALLOWED = ("finance", "account_management", "stats", "cms", "policy_registry")
"""The scopes that a tenant's user may ask for."""
_BYTES = 48


class Tokens:
    """The routes."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts
        self._store = accounts.store
        self._who = Identity(accounts)
        own = "/admin/api/personal/access_tokens"
        self.routes = (
            Route("POST", "/admin/api/users/{user}/access_tokens.json", self._create),
            Route("GET", f"{own}.json", self._list),
            Route("DELETE", f"{own}/{{id}}.json", self._delete),
        )

    def _create(self, request: Request) -> Answer:
        account = self._by_provider_key(request)
        user = self._store.row(
            "SELECT id FROM users WHERE id = %s AND account_id = %s", request.path["user"], account["id"]
        )
        if user is None:
            raise HttpError(404, f"there is no user {request.path['user']}")
        scopes = request.field("scopes[]").split(LIST_SEPARATOR)
        if request.field("permission") not in PERMISSIONS or not set(scopes) <= set(ALLOWED):
            raise HttpError(422, "the permission or a scope is invalid")
        value = secrets.token_hex(_BYTES)
        made = self._store.insert(
            "access_tokens",
            owner_id=user["id"],
            name=request.field("name"),
            value=value,
            permission=request.field("permission"),
            scopes=json.dumps(scopes),
            tenant_id=account["id"],
        )
        return Answer({"access_token": {"id": made, "name": request.field("name"), "value": value}}, 201)

    def _by_provider_key(self, request: Request) -> Row:
        """The account of a request's host, whose key the request has: that of its application at the master.

        3scale lets an access token in too, for its own user alone; nobody here asks by one.
        """
        account, which = self._accounts.by_host(request.host)
        found = self._store.row(
            "SELECT user_key FROM cinstances WHERE user_account_id = %s ORDER BY id LIMIT 1", account["id"]
        )
        if which != "admin" or found is None or found["user_key"] != token_of(request):
            raise HttpError(403, "the provider key is invalid")
        return account

    def _list(self, request: Request) -> Answer:
        found = self._store.rows(
            "SELECT id, name, permission FROM access_tokens WHERE owner_id = %s ORDER BY id",
            self._owner(request),
        )
        return Answer({"access_tokens": [{"access_token": dict(row)} for row in found]})

    def _delete(self, request: Request) -> Answer:
        owner = self._owner(request)
        parts = (request.path["id"], owner)
        if self._store.row("SELECT id FROM access_tokens WHERE id = %s AND owner_id = %s", *parts) is None:
            raise HttpError(404, f"there is no access token {request.path['id']}")
        self._store.run("DELETE FROM access_tokens WHERE id = %s AND owner_id = %s", *parts)
        return Answer("")

    def _owner(self, request: Request) -> int:
        """The user whose token a request has. Raises HttpError."""
        self._who.account(request)
        found = self._store.row("SELECT owner_id FROM access_tokens WHERE value = %s", token_of(request))
        if found is None:
            raise HttpError(403, "access token is invalid")
        return int(found["owner_id"])
