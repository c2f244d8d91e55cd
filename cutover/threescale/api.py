"""3scale's HTTP API: the master account's, and a tenant's."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from cutover.context import Context
from cutover.errors import StepError
from cutover.ports import ApiAnswer, ApiRequest
from cutover.threescale.site import Site

PAGE = 500
_MOST_PAGES = 1000


@dataclass(frozen=True)
class Account:
    """A tenant, as the master account lists it."""

    id: int
    name: str
    state: str
    admin_domain: str
    domain: str


@dataclass(frozen=True)
class Client:
    """Asks one host with one token. Every method raises StepError, which names the host and the path."""

    context: Context
    host: str
    token: str = field(repr=False)
    address: str | None
    who: str
    """For people, such as `the master API of the source`."""

    def get(self, path: str) -> dict[str, Any]:
        """A JSON object."""
        return self._object("GET", path, {}, (200,))

    def send(
        self,
        method: Literal["POST", "PUT", "DELETE"],
        path: str,
        form: Mapping[str, str | tuple[str, ...]],
        expected: tuple[int, ...],
    ) -> dict[str, Any]:
        """Sends a form; the JSON object of the answer."""
        return self._object(method, path, form, expected)

    def raw(self, path: str) -> ApiAnswer:
        """An answer as it is, without a credential."""
        return self.context.call(ApiRequest(host=self.host, path=path, address=self.address))

    def listed(self, path: str, many: str, one: str) -> list[dict[str, Any]]:
        """All items of a list, over all of its pages."""
        found: list[dict[str, Any]] = []
        for page in range(1, _MOST_PAGES):
            mark = "&" if "?" in path else "?"
            answer = self.get(f"{path}{mark}page={page}&per_page={PAGE}")
            items = answer.get(many)
            if not isinstance(items, list):
                raise StepError(f"{self.who}: GET {path}: the answer lists no {many}")
            fresh = [
                item[one] for item in items if isinstance(item, dict) and isinstance(item.get(one), dict)
            ]
            if len(fresh) != len(items):
                raise StepError(f"{self.who}: GET {path}: an item of {many} is no {one}")
            # a list without pages answers the same again
            known = {item.get("id") for item in found}
            if found and all(item.get("id") in known for item in fresh):
                return found
            found += fresh
            if len(items) < PAGE:
                return found
        raise StepError(f"{self.who}: GET {path}: more than {_MOST_PAGES * PAGE} {many}")

    def accounts(self) -> list[Account]:
        """The tenants; of the master account only."""
        return [
            Account(
                int(item["id"]),
                str(item.get("org_name", "")),
                str(item.get("state", "")),
                str(item.get("admin_domain") or ""),
                str(item.get("domain") or ""),
            )
            for item in self.listed("/admin/api/accounts.json", "accounts", "account")
        ]

    def _object(
        self,
        method: Literal["GET", "POST", "PUT", "DELETE"],
        path: str,
        form: Mapping[str, str | tuple[str, ...]],
        expected: tuple[int, ...],
    ) -> dict[str, Any]:
        bare = path.partition("?")[0]
        answer = self.context.call(
            ApiRequest(
                method=method, host=self.host, path=path, form=form, token=self.token, address=self.address
            )
        )
        if answer.status not in expected:
            raise StepError(
                f"{self.who}: {method} https://{self.host}{bare} answered {answer.status}"
                f"{_hint(answer.status)}{_said(answer)}"
            )
        try:
            found = json.loads(answer.body or b"{}")
        except ValueError as error:
            raise StepError(f"{self.who}: {method} https://{self.host}{bare}: no JSON") from error
        if not isinstance(found, dict):
            raise StepError(f"{self.who}: {method} https://{self.host}{bare}: no JSON object")
        return found


def _hint(status: int) -> str:
    return {
        401: " (the token is not known there: were the Secrets and the database both moved?)",
        403: " (the token may not do that: make one with all scopes, read and write)",
        404: " (no such thing there, or the host belongs to no account)",
        503: " (the router has no pod for it)",
    }.get(status, "")


def _said(answer: ApiAnswer) -> str:
    """What an error says, where it is short and of the API's own form: such a text holds no credential."""
    try:
        found = json.loads(answer.body)
        text = found.get("error") or found.get("status") or found.get("errors") or ""
    except (ValueError, AttributeError):
        return ""
    return f": {str(text)[:200]}" if text else ""


def master(context: Context, site: Site) -> Client:
    """The master account's API, by the site's own route and token. Raises StepError."""
    hosts = site.hosts(context, "system-master")
    if not hosts:
        raise StepError(
            f"{site.title} has no route to its master portal (label zync.3scale.net/route-to=system-master): "
            "zync has made none yet; `bundle exec rake zync:resync:domains` in a pod of system-sidekiq "
            "makes them"
        )
    token = site.secret_text(context, "system-seed", "MASTER_ACCESS_TOKEN")
    wildcard = site.wildcard(context)
    fitting = [host for host in hosts if host.endswith(f".{wildcard}")] or hosts
    return Client(context, fitting[0], token, site.router, f"the master API of {site.title}")


def tenant(context: Context, site: Site, name: str, token_env: str) -> Client:
    """A tenant's API, at the address that the master account lists. Raises StepError."""
    account = account_of(context, site, name)
    if not account.admin_domain:
        raise StepError(f"tenant {name} of {site.title} has no admin_domain")
    token = os.environ.get(token_env)
    if not token:
        raise StepError(
            f"the environment variable {token_env} is not set; it holds an access token of tenant {name}, "
            "which an administrator of the tenant makes (Account settings > Personal > Tokens, all scopes, "
            "read & write)"
        )
    return Client(context, account.admin_domain, token, site.router, f"tenant {name} of {site.title}")


def account_of(context: Context, site: Site, name: str) -> Account:
    """A tenant by its organization's name. Raises StepError."""
    accounts = master(context, site).accounts()
    for account in accounts:
        if account.name == name:
            return account
    known = ", ".join(sorted(account.name for account in accounts)) or "none"
    raise StepError(f"{site.title} has no tenant {name}; its tenants are {known}")
