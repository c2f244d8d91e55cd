"""What a 3scale's tenants see of it by its API, to be compared.

What belongs to a place and not to the data (hosts, times) is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from lab.rhoam.api import Admin, Web

USAGE_DAYS = 30

Snapshot = Mapping[str, Mapping[str, Any]]
"""By tenant: what kind of thing, by its id, what it is."""


def take(web: Web, tenants: Sequence[Mapping[str, Any]], apps: str) -> dict[str, dict[str, Any]]:
    """All tenants. Raises ApiError for one that does not answer."""
    return {
        tenant["name"]: _of(Admin(web, f"{tenant['admin'].partition('.')[0]}.{apps}", tenant["token"]))
        for tenant in tenants
    }


def _of(admin: Admin) -> dict[str, Any]:
    accounts = {
        str(found["account"]["id"]): {name: found["account"][name] for name in ("org_name", "state")}
        for found in admin.get("/admin/api/accounts.json")["accounts"]
    }
    services, plans = {}, {}
    for found in admin.get("/admin/api/services.json")["services"]:
        service = found["service"]
        services[str(service["id"])] = {name: service[name] for name in ("name", "system_name", "state")}
        path = f"/admin/api/services/{service['id']}/application_plans.json"
        for entry in admin.get(path)["plans"]:
            plan = entry["application_plan"]
            plans[str(plan["id"])] = {
                **{name: plan[name] for name in ("name", "system_name", "state", "default")},
                # one kind of database gives 0.0000 where another gives 0
                **{name: f"{float(plan[name]):.4f}" for name in ("setup_fee", "cost_per_month")},
            }
    applications, keys, usage = {}, {}, {}
    for account in accounts:
        found = admin.get(f"/admin/api/accounts/{account}/applications.json")["applications"]
        for entry in found:
            application = entry["application"]
            number = str(application["id"])
            names = ("name", "state", "user_key", "application_id", "plan_id", "service_id")
            applications[number] = {name: application[name] for name in names}
            path = f"/admin/api/accounts/{account}/applications/{number}/keys.json"
            keys[number] = sorted(key["key"]["value"] for key in admin.get(path)["keys"])
            usage[number] = _usage(admin, number)
    return {
        "accounts": accounts,
        "services": services,
        "plans": plans,
        "applications": applications,
        "keys": keys,
        "usage": usage,
    }


def _usage(admin: Admin, application: str) -> int:
    today = datetime.now(UTC).date()
    period = {"since": str(today - timedelta(days=USAGE_DAYS)), "until": str(today)}
    path = f"/stats/applications/{application}/usage.json"
    return int(admin.get(path, metric_name="hits", granularity="day", timezone="UTC", **period)["total"])


def differences(before: Snapshot, after: Snapshot) -> Iterator[str]:
    """Each difference as a line, as far as both have taken it the same way."""
    for tenant in sorted(before.keys() | after.keys()):
        if tenant not in after:
            yield f"tenant {tenant} is gone"
            continue
        if tenant not in before:
            yield f"tenant {tenant} is new"
            continue
        for kind, things in before[tenant].items():
            others = after[tenant][kind]
            for number in sorted(things.keys() | others.keys()):
                if things.get(number) != others.get(number):
                    was, now = things.get(number, "absent"), others.get(number, "absent")
                    yield f"tenant {tenant}, {kind} {number}: {was} became {now}"


def with_requests(before: Snapshot, acknowledged: Sequence[Mapping[str, Any]]) -> Snapshot:
    """What is to be seen once these requests were acknowledged: calls are counted; see `without_new`."""
    found = {tenant: {**things, "usage": dict(things["usage"])} for tenant, things in before.items()}
    for request in acknowledged:
        if request["kind"] != "call":
            continue
        things = found[request["tenant"]]
        for number, application in things["applications"].items():
            if application["application_id"] == request["app_id"]:
                things["usage"][number] += 1
    return found


def without_new(after: Snapshot, before: Snapshot) -> Snapshot:
    """A snapshot without what was not there before: what users have made since is looked up by itself."""
    return {
        tenant: {
            kind: {number: thing for number, thing in entries.items() if number in before[tenant][kind]}
            for kind, entries in things.items()
        }
        for tenant, things in after.items()
        if tenant in before
    }


def counts(snapshot: Snapshot) -> dict[str, int]:
    """How many there are of each kind, over all tenants; of usage, how much."""
    found: dict[str, int] = {"tenants": len(snapshot)}
    for things in snapshot.values():
        for kind, entries in things.items():
            number = sum(entries.values()) if kind == "usage" else len(entries)
            if kind == "keys":
                number = sum(len(each) for each in entries.values())
            found[kind] = found.get(kind, 0) + number
    return found
