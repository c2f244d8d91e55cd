"""What a customer's 3scale holds before it moves: tenants, customers of theirs, applications, plans, keys.

It has the things that conversions trip over: empty texts beside NULL, dates before 1970 and of odd years,
every byte, decimals with all their digits, booleans that are NULL, and text of many alphabets.
"""

from __future__ import annotations

import json
import secrets
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import redis

from lab.rhoam.threescale import backend_keys
from lab.rhoam.threescale.accounts import Accounts
from lab.rhoam.threescale.store import Store, stamps

BUYERS, APPLICATIONS = 12, 2
"""Of each tenant's; applications of each buyer."""
USED_DAYS = 3
TEXTS = ("", "Zażółć gęślą jaźń", "東京", "עברית", "emoji 🚀", "quote ' and \\ backslash", "tab\tand\nline")


@dataclass(frozen=True)
class Key:
    """An application that calls: its tenant, where, and with which key."""

    tenant: str
    host: str
    user_key: str
    service_id: int
    app_id: str


@dataclass(frozen=True)
class Tenant:
    """A tenant of the customer's, as the lab knows it."""

    name: str
    account: int
    token: str
    admin: str
    service: int
    plan: int


@dataclass(frozen=True)
class Customer:
    """All of it."""

    tenants: tuple[Tenant, ...]
    keys: tuple[Key, ...]


def populate(
    accounts: Accounts, storage: redis.Redis, tokens: Mapping[str, str], superdomain: str, api: str
) -> Customer:
    """Fills a system database that has its master, and the backend's Redis along with it.

    Args:
        tokens: the tenants' access tokens, by their names.
        api: the customer's own API, which the gateway passes requests on to.
    """
    tenants: list[Tenant] = []
    keys: list[Key] = []
    for name, token in tokens.items():
        tenant, apps = _tenant(accounts, storage, (name, token), superdomain, api)
        tenants.append(tenant)
        host = f"api-{name}-apicast-production.{superdomain}"
        keys += [Key(name, host, app.user_key, app.service_id, app.app_id) for app in apps]
        backend_keys.save_apps(storage, apps)
        for number, app in enumerate(apps):
            for day in range(USED_DAYS):
                backend_keys.count(storage, _report(app, 10 + number, day))
        _further(accounts.store, tenant.account)
    return Customer(tuple(tenants), tuple(keys))


def _tenant(
    accounts: Accounts, storage: redis.Redis, tenant: tuple[str, str], superdomain: str, api: str
) -> tuple[Tenant, list[backend_keys.App]]:
    name, token = tenant
    store, admin = accounts.store, f"{name}-admin.{superdomain}"
    made = accounts.create_tenant(
        name, f"{name}.{superdomain}", admin, "admin", secrets.token_hex(8), token=token
    )
    account = int(made["id"])
    endpoint = f"https://api-{name}-apicast-production.{superdomain}:443"
    service = accounts.service(account, "API", "api", api, endpoint)
    store.run(
        "UPDATE proxies SET sandbox_endpoint = %s WHERE service_id = %s",
        endpoint.replace("production", "staging"),
        service["id"],
    )
    backend_keys.save_token(storage, service["id"], service["token"])
    plan = accounts.plan(account, "ApplicationPlan", service["id"], f"Basic {name}", "basic")
    accounts.plan(account, "ApplicationPlan", service["id"], f"Unlimited {name}", "unlimited")
    store.run(
        "UPDATE plans SET cost_per_month = %s, setup_fee = %s WHERE id = %s",
        Decimal("19.9900"),
        Decimal("1234567890123456.7891"),
        plan,
    )
    accounts.set_default_plan(service["id"], plan)
    apps = _buyers(accounts, account, plan)
    return Tenant(name, account, token, admin, service["id"], plan), apps


def _report(app: backend_keys.App, hits: int, days_ago: int) -> dict[str, Any]:
    moment = datetime.now(UTC) - timedelta(days=days_ago)
    transaction = {"service_id": str(app.service_id), "application_id": app.app_id, "usage": {"hits": hits}}
    return {"args": [str(app.service_id), {"0": transaction}, moment.timestamp()]}


def _buyers(accounts: Accounts, tenant: int, plan: int) -> list[backend_keys.App]:
    store = accounts.store
    provider = store.row("SELECT * FROM accounts WHERE id = %s", tenant) or {}
    row = store.row("SELECT * FROM plans WHERE id = %s", plan) or {}
    apps: list[backend_keys.App] = []
    for number in range(BUYERS):
        buyer = accounts.create_buyer(
            provider, f"Buyer {number} {TEXTS[number % len(TEXTS)]}", f"buyer-{number}"
        )
        store.run("UPDATE accounts SET extra_fields = %s WHERE id = %s", TEXTS[number % len(TEXTS)], buyer)
        for each in range(APPLICATIONS):
            made = accounts.application(buyer, row, f"Application {each} of {number}")
            application = store.row("SELECT * FROM cinstances WHERE id = %s", made["id"]) or {}
            accounts.add_key(application, secrets.token_hex(16))
            live = None if each else number % 2 == 0
            expires = date(1969 + number, 2, 28) if number % 3 else None
            store.run(
                "UPDATE cinstances SET live_state = %s, trial_period_expires_at = %s WHERE id = %s",
                live,
                expires,
                made["id"],
            )
            apps.append(accounts.app(made["id"]))
    return apps


def _further(store: Store, tenant: int) -> None:
    """Rows of the tables that nothing else here writes."""
    for number, text in enumerate(TEXTS):
        store.insert(
            "cms_files",
            provider_id=tenant,
            path=f"/files/{number}",
            attachment=bytes(range(256)) * (number + 1) + text.encode(),
            **stamps(tenant),
        )
        store.insert(
            "invoices",
            provider_account_id=tenant,
            buyer_account_id=None,
            period=date(2019 + number, 2, 1),
            cost=Decimal(f"-{number}.000{number}"),
            state="paid" if number % 2 else "open",
            finalized_at=datetime(2021 + number, 12, 31, 23, 59, 59, tzinfo=UTC).replace(tzinfo=None)
            if number % 2
            else None,
            **stamps(tenant),
        )


def main() -> int:
    """`python -m lab.rhoam.customer`: fills what its standard input names, and prints what there is then."""
    wanted = json.load(sys.stdin)
    store, seed = Store(wanted["database"]), wanted["seed"]
    storage, jobs = (backend_keys.connect(wanted[name]) for name in ("storage", "jobs"))
    accounts = Accounts(store)
    store.migrate(wanted["version"])
    master = accounts.create_master(
        f"{seed['MASTER_DOMAIN']}.{wanted['superdomain']}",
        seed["MASTER_USER"],
        seed["MASTER_PASSWORD"],
        seed["MASTER_ACCESS_TOKEN"],
        wanted["gateway"],
    )
    customer = populate(accounts, storage, wanted["tokens"], wanted["superdomain"], wanted["api"])
    for account in (master, *(tenant.account for tenant in customer.tenants)):
        backend_keys.enqueue_sidekiq(jobs, "ZyncWorker", account)
    json.dump(asdict(customer), sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
