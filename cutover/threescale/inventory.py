"""What tenants hold, as their APIs tell it: taken before the move, and compared after it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from cutover.actions.base import Condition, Evidence, Look
from cutover.context import Context
from cutover.errors import StepError
from cutover.threescale.api import Client, tenant
from cutover.threescale.site import Site
from stacks.settings.threescale import TenantSettings

INVENTORY = "inventory"
"""The fact: by tenant and kind, a digest of each item by its id; no item itself, as keys are credentials."""
KINDS = ("accounts", "services", "plans", "applications", "keys", "usage")
_USAGE_DAYS = 30
_SHOWN = 10
_AT_ONCE = 8
_BATCH = 200
_IGNORED = ("links", "updated_at", "created_at", "admin_domain", "domain", "admin_base_url", "base_url")
"""What the API adds by itself, and what the move changes on purpose."""

Items = dict[str, dict[str, str]]


@dataclass(frozen=True, kw_only=True)
class TakeInventory(Look):
    """Writes down what the tenants hold, by digests, once nothing changes it any more."""

    site: Site
    tenants: tuple[TenantSettings, ...]

    @property
    def gives(self) -> tuple[str, ...]:
        """See Action."""
        return (INVENTORY,)

    def describe(self) -> str:
        """See Action."""
        names = ", ".join(item.name for item in self.tenants)
        return f"write down {', '.join(KINDS)} of {names} on {self.site.title}, as their APIs tell them"

    def apply(self, context: Context) -> Evidence:
        """Raises StepError."""
        until = context.clock.now().date()
        since = until - timedelta(days=_USAGE_DAYS)
        found = {
            item.name: read(tenant(context, self.site, item.name, item.token_env), f"{since}", f"{until}")
            for item in self.tenants
        }
        context.facts.remember(INVENTORY, {"since": f"{since}", "until": f"{until}", "tenants": found})
        return {"counted": _counts(found)}


@dataclass(frozen=True, kw_only=True)
class InventoryEqual(Condition):
    """What the tenants hold is what they held on the source."""

    site: Site
    tenants: tuple[TenantSettings, ...]
    usage: bool = True
    """Whether the usage counters moved along already: they are in the backend's Redis."""

    @property
    def _kinds(self) -> tuple[str, ...]:
        return KINDS if self.usage else tuple(kind for kind in KINDS if kind != "usage")

    def describe(self) -> str:
        """See Condition."""
        return f"{', '.join(self._kinds)} of every tenant of {self.site.title} are those of the source"

    def hold(self, context: Context) -> Evidence:
        """See Condition."""
        before = context.facts.recall(INVENTORY)
        problems, found = [], {}
        for item in self.tenants:
            client = tenant(context, self.site, item.name, item.token_env)
            there = read(client, before["since"], before["until"])
            found[item.name] = there
            for kind in self._kinds:
                problems += list(
                    _differences(item.name, kind, before["tenants"][item.name][kind], there[kind])
                )
        if problems:
            raise StepError(
                f"{'; '.join(problems[:_SHOWN])}{' …' if len(problems) > _SHOWN else ''} ({len(problems)} in "
                "all). Compare the databases (step compare-databases) and the Redis (restore-redis); "
                "nothing of the source was changed: `cutover rollback` returns to it"
            )
        return {"equal": _counts(found)}


def read(client: Client, since: str, until: str) -> Items:
    """Digests of all that a tenant holds. Raises StepError."""
    accounts = client.listed("/admin/api/accounts.json", "accounts", "account")
    services = client.listed("/admin/api/services.json", "services", "service")
    plans = [
        plan
        for service in services
        for plan in client.listed(
            f"/admin/api/services/{service['id']}/application_plans.json", "plans", "application_plan"
        )
    ]
    applications: list[dict[str, Any]] = []
    paths: dict[str, str] = {}
    for account in accounts:
        path = f"/admin/api/accounts/{account['id']}/applications"
        for application in client.listed(f"{path}.json", "applications", "application"):
            applications.append(application)
            paths[str(application["id"])] = f"{path}/{application['id']}/keys.json"
    query = f"metric_name=hits&since={since}&until={until}&granularity=day&timezone=UTC"
    keys, usage = {}, {}
    for name, answer in _many(client, paths).items():
        keys[name] = _digest(sorted(str(item["key"]["value"]) for item in answer.get("keys", ())))
    counters = {name: f"/stats/applications/{name}/usage.json?{query}" for name in paths}
    for name, answer in _many(client, counters).items():
        usage[name] = _digest([answer.get("total"), answer.get("values")])
    return {
        "accounts": _digests(accounts),
        "services": _digests(services),
        "plans": _digests(plans),
        "applications": _digests(applications),
        "keys": keys,
        "usage": usage,
    }


def _many(client: Client, paths: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Answers by name, several asked at once: the service stands still meanwhile. Raises StepError."""
    found: dict[str, dict[str, Any]] = {}
    names = list(paths)
    with ThreadPoolExecutor(max_workers=_AT_ONCE, thread_name_prefix="inventory") as pool:
        for at in range(0, len(names), _BATCH):
            batch = names[at : at + _BATCH]
            found |= zip(batch, pool.map(lambda name: client.get(paths[name]), batch), strict=True)
            client.context.activity.note(f"{client.who}: {len(found)} of {len(names)} applications")
            client.context.pause(0)
    return found


def _digests(items: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    return {
        str(item["id"]): _digest({key: value for key, value in item.items() if key not in _IGNORED})
        for item in items
    }


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:20]


def _differences(
    tenant_name: str, kind: str, before: Mapping[str, str], after: Mapping[str, str]
) -> Iterable[str]:
    for word, ids in (
        ("missing", before.keys() - after.keys()),
        ("new", after.keys() - before.keys()),
        ("different", {name for name in before.keys() & after.keys() if before[name] != after[name]}),
    ):
        if ids:
            shown = ", ".join(sorted(ids)[:_SHOWN])
            yield f"{tenant_name}: {len(ids)} of {len(before)} {kind} {word} (id {shown})"


def _counts(found: Mapping[str, Items]) -> dict[str, dict[str, int]]:
    return {name: {kind: len(items[kind]) for kind in KINDS} for name, items in found.items()}
