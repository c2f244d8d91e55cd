"""Who asks: the account of a request's host, and whether its access token is of that account."""

from __future__ import annotations

import base64

from lab.rhoam.threescale.accounts import Accounts
from lab.rhoam.threescale.store import Row
from lab.rhoam.threescale.web import HttpError, Request


class Identity:
    """Checks requests of the admin API."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    def account(self, request: Request) -> Row:
        """The account that a request's host serves. Raises HttpError where its token is of another one."""
        account, which = self._accounts.by_host(request.host)
        if which != "admin":
            raise HttpError(404, "this host serves a developer portal")
        owner = self._accounts.of_token(token_of(request))
        if owner["id"] != account["id"]:
            raise HttpError(403, "access token is of another account")
        return account

    def master(self, request: Request) -> Row:
        """The master. Raises HttpError for any other account."""
        account = self.account(request)
        if not account["master"]:
            raise HttpError(404, "only the master has this")
        return account


def token_of(request: Request) -> str:
    """The access token: a field, or the password of HTTP Basic."""
    if token := request.fields.get("access_token"):
        return token
    kind, _, given = request.headers.get("Authorization", "").partition(" ")
    if kind == "Basic":
        try:
            return base64.b64decode(given).decode().partition(":")[2]
        except ValueError as error:
            raise HttpError(401, "the Authorization header cannot be read") from error
    raise HttpError(401, "an access token is needed")
