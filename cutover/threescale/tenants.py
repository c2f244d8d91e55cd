"""What is done with the master account and its tenants, over 3scale's API."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from cutover.actions.base import NO_CHANGE, Action, Condition, Evidence, Look, Observation
from cutover.context import Context
from cutover.errors import StepError
from cutover.threescale.api import Client, account_of, master, tenant
from cutover.threescale.site import Site
from stacks.settings.threescale import TenantSettings

ENTERPRISE = "enterprise"
"""The plan's system name."""
_VALID_SECONDS = "60"


@dataclass(frozen=True, kw_only=True)
class MasterAnswers(Condition):
    """The master API lists the tenants that have to be there."""

    site: Site
    tenants: tuple[str, ...]
    seconds: float

    def describe(self) -> str:
        """See Condition."""
        return f"the master API of {self.site.title} answers, and lists {', '.join(self.tenants)}"

    def hold(self, context: Context) -> Evidence:
        """See Condition."""
        listed: list[str] = []

        def look() -> tuple[bool, str]:
            nonlocal listed
            try:
                listed = sorted(account.name for account in master(context, self.site).accounts())
            except StepError as error:
                return False, str(error)
            missing = [name for name in self.tenants if name not in listed]
            return not missing, f"without {', '.join(missing)}" if missing else f"{len(listed)} tenants"

        seen = context.wait_for(f"the master API of {self.site.title}", self.seconds, look)
        return {"seen": seen, "tenants": listed}


@dataclass(frozen=True, kw_only=True)
class AskMaster(Look):
    """Lists the tenants over the master API."""

    site: Site
    tenants: tuple[str, ...]
    seconds: float

    def describe(self) -> str:
        """See Action."""
        names = ", ".join(self.tenants)
        return f"fetch the accounts over the master API of {self.site.title}, and look for {names}"

    def apply(self, context: Context) -> Evidence:
        """Raises StepError."""
        return MasterAnswers(site=self.site, tenants=self.tenants, seconds=self.seconds).hold(context)


@dataclass(frozen=True, kw_only=True)
class ConfirmTenants(Look):
    """Opens each tenant's portal as its impersonation administrator, and makes a few API calls there."""

    site: Site
    tenants: tuple[TenantSettings, ...]
    seconds: float

    def describe(self) -> str:
        """See Action."""
        names = ", ".join(item.name for item in self.tenants)
        return (
            f"open the admin portals of {names} on {self.site.title} by a token of the master account's "
            "(impersonation), and fetch their services and accounts over their APIs"
        )

    def apply(self, context: Context) -> Evidence:
        """Raises StepError, which names the tenant that does not answer."""
        found = {}
        problems = []
        for item in self.tenants:
            try:
                found[item.name] = self._confirm(context, item)
            except StepError as error:
                problems.append(f"tenant {item.name}: {error}")
        if problems:
            raise StepError(
                f"{'; '.join(problems)}. Look at its route (`oc get routes -n {self.site.namespace}`), run "
                "`bundle exec rake zync:resync:domains` in a pod of system-sidekiq, and go on; "
                "`cutover rollback` returns to the source"
            )
        return {"tenants": found}

    def _confirm(self, context: Context, item: TenantSettings) -> Evidence:
        portal = self._impersonate(context, item.name)
        client = tenant(context, self.site, item.name, item.token_env)

        def look() -> tuple[bool, str]:
            try:
                client.get("/admin/api/services.json")
            except StepError as error:
                return False, str(error)
            return True, "answers"

        context.wait_for(client.who, self.seconds, look)
        services = client.listed("/admin/api/services.json", "services", "service")
        accounts = client.listed("/admin/api/accounts.json", "accounts", "account")
        return {"host": client.host, "portal": portal, "services": len(services), "accounts": len(accounts)}

    def _impersonate(self, context: Context, name: str) -> str:
        account = account_of(context, self.site, name)
        api = master(context, self.site)
        made = api.send(
            "POST",
            "/admin/api/sso_tokens/provider_create.json",
            {"provider_id": str(account.id), "expires_in": _VALID_SECONDS},
            (200, 201),
        )
        token, url = inner(made, "sso_token", "token"), inner(made, "sso_token", "sso_url")
        expires = parse_qs(urlsplit(url).query).get("expires_at", [""])[0]
        path = f"/p/sso?token={quote(token, safe='')}&expires_at={quote(expires, safe='')}"
        portal = Client(context, account.admin_domain, "", self.site.router, f"the portal of {name}")
        answer = portal.raw(path)
        leads_to = urlsplit(answer.headers.get("location", "")).path
        if answer.status not in (302, 303) or "login" in leads_to:
            raise StepError(
                f"its portal https://{account.admin_domain}/p/sso answered {answer.status}"
                f"{f' and leads to {leads_to}' if leads_to else ''}, and not with the way into the portal"
            )
        return leads_to


@dataclass(frozen=True, kw_only=True)
class SetMasterPlan(Action):
    """Makes "Enterprise" the plan that the master account gives to new tenants."""

    site: Site

    def describe(self) -> str:
        """See Action."""
        return f'make "{ENTERPRISE}" the default application plan of the master account\'s service'

    def preview(self, context: Context) -> tuple[str, ...]:
        """See Action."""
        _, plan, current = self._plans(context)
        return NO_CHANGE if plan.get("default") else (f"default plan: {current or 'none'} -> {ENTERPRISE}",)

    def observe(self, context: Context) -> Observation:
        """See Action."""
        _, plan, current = self._plans(context)
        return Observation(
            "done" if plan.get("default") else "not done", f"the default is {current or 'none'}"
        )

    def apply(self, context: Context) -> Evidence:
        """Raises StepError."""
        service, plan, before = self._plans(context)
        if not plan.get("default"):
            path = f"/admin/api/services/{service}/application_plans/{plan['id']}/default.json"
            master(context, self.site).send("PUT", path, {}, (200,))
        _, plan, now = self._plans(context)
        if not plan.get("default"):
            raise StepError(f"the master account's default plan is {now or 'none'}, although it was set")
        return {"before": before, "now": now}

    def _plans(self, context: Context) -> tuple[int, dict[str, Any], str]:
        """The service's id, the plan "Enterprise", and the system name of the default one."""
        api = master(context, self.site)
        services = api.listed("/admin/api/services.json", "services", "service")
        if not services:
            raise StepError(f"{api.who} lists no service of the master account's own")
        service = min(int(item["id"]) for item in services)
        plans = api.listed(
            f"/admin/api/services/{service}/application_plans.json", "plans", "application_plan"
        )
        default = next((str(item.get("system_name")) for item in plans if item.get("default")), "")
        for plan in plans:
            if plan.get("system_name") == ENTERPRISE:
                return service, plan, default
        names = ", ".join(str(plan.get("system_name")) for plan in plans) or "none"
        raise StepError(
            f"the master account has no plan {ENTERPRISE!r}, only {names}: make one in the master portal "
            '(system name "enterprise"), and go on'
        )


def inner(found: Mapping[str, Any], outer: str, name: str) -> str:
    """A value of an answer. Raises StepError, which shows no other value."""
    inner = found.get(outer)
    value = inner.get(name) if isinstance(inner, Mapping) else None
    if value in (None, ""):
        raise StepError(f"the answer has no {outer}.{name}, only {json.dumps(sorted(found))}")
    return str(value)
