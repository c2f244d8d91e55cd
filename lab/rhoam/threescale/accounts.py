"""What the system knows of accounts, services and applications, in its database."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from typing import Any

from lab.rhoam.threescale.backend_keys import App
from lab.rhoam.threescale.store import Row, Store, stamps
from lab.rhoam.threescale.web import HttpError

ENTERPRISE = "enterprise"
MASTER_PLANS = (("Base", "base"), ("Pro", "pro"), ("Enterprise", ENTERPRISE))
"""The plans that a tenant may have at the master: name and system name."""


def digest(password: str) -> str:
    """How a password is kept."""
    salt = secrets.token_hex(8)
    return f"{salt}${hashlib.sha256(f'{salt}{password}'.encode()).hexdigest()}"


class Accounts:
    """The master, its tenants (providers), and their customers (buyers)."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def master(self) -> Row:
        """The master account. Raises HttpError where there is none."""
        found = self.store.row("SELECT * FROM accounts WHERE master = %s", True)
        if found is None:
            raise HttpError(503, "the database has no master account")
        return found

    def by_host(self, host: str) -> tuple[Row, str]:
        """The account whose host that is, and which of its two: `admin` or `portal`. Raises HttpError 404."""
        for column, which in (("self_domain", "admin"), ("domain", "portal")):
            statement = f"SELECT * FROM accounts WHERE {column} = %s AND provider = %s"  # noqa: S608
            found = self.store.row(statement, host, True)
            if found is not None:
                return found, which
        raise HttpError(404, f"no account is served at {host}")

    def of_token(self, token: str) -> Row:
        """The account whose user has this access token. Raises HttpError 403."""
        found = self.store.row(
            "SELECT accounts.* FROM access_tokens JOIN users ON users.id = access_tokens.owner_id "
            "JOIN accounts ON accounts.id = users.account_id WHERE access_tokens.value = %s",
            token,
        )
        if found is None:
            raise HttpError(403, "access token is invalid")
        return found

    def tenants(self) -> list[Row]:
        """All tenants, by their id."""
        return self.store.rows(
            "SELECT * FROM accounts WHERE provider = %s AND provider_account_id = %s AND "
            "(master IS NULL OR master = %s) ORDER BY id",
            True,
            self.master()["id"],
            False,
        )

    def create_master(self, domain: str, user: str, password: str, token: str, gateway: str) -> int:
        """The master account with its service and its plans; `gateway`: the access token of its gateway."""
        now = stamps()
        account = self.store.insert(
            "accounts",
            org_name="Master Account",
            domain=domain,
            self_domain=domain,
            provider=True,
            buyer=False,
            master=True,
            state="approved",
            paid=False,
            **now,
        )
        self.store.run(
            "UPDATE accounts SET provider_account_id = %s, tenant_id = %s WHERE id = %s",
            account,
            account,
            account,
        )
        owner = self._user(account, user, password, token)
        self._token(account, owner, "APIcast", gateway)
        service = self.service(account, "Master API", "master-service", "http://system-master:3000", None)
        plans = [
            self.plan(account, "ApplicationPlan", service["id"], name, system_name)
            for name, system_name in MASTER_PLANS
        ]
        self.set_default_plan(service["id"], plans[0])
        self.plan(account, "AccountPlan", account, "Default account plan", "default")
        return account

    def create_tenant(
        self,
        name: str,
        domain: str,
        self_domain: str,
        user: str,
        password: str,
        *,
        token: str = "",
        active: bool = True,
    ) -> dict[str, Any]:
        """A tenant at the master, with its administrator and their access token (none: a new one)."""
        if self.store.row("SELECT id FROM accounts WHERE self_domain = %s", self_domain):
            raise HttpError(422, f"the domain {self_domain} has been taken")
        master = self.master()
        account = self.store.insert(
            "accounts",
            org_name=name,
            domain=domain,
            self_domain=self_domain,
            provider=True,
            buyer=True,
            master=None,
            provider_account_id=master["id"],
            state="approved",
            paid=True,
            **stamps(),
        )
        self.store.run("UPDATE accounts SET tenant_id = %s WHERE id = %s", account, account)
        token = token or secrets.token_hex(32)
        self._user(account, user, password, token, active=active)
        self.store.insert("settings", account_id=account, sso_key=secrets.token_hex(32), **stamps(account))
        self.plan(account, "AccountPlan", account, "Default", "default")
        plan = self.store.row(
            "SELECT plans.* FROM plans JOIN services ON services.default_application_plan_id = plans.id "
            "WHERE services.account_id = %s",
            master["id"],
        )
        if plan is not None:
            self.application(account, plan, f"{name}'s App")
        return {"id": account, "access_token": token}

    def create_buyer(self, provider: Row, name: str, user: str) -> int:
        """A customer of a tenant, with their user."""
        account = self.store.insert(
            "accounts",
            org_name=name,
            provider=False,
            buyer=True,
            provider_account_id=provider["id"],
            state="approved",
            paid=False,
            **stamps(int(provider["id"])),
        )
        self.store.insert(
            "users",
            account_id=account,
            username=user,
            email=f"{user}@example.com",
            role="admin",
            state="active",
            password_digest=digest(secrets.token_hex(8)),
            **stamps(int(provider["id"])),
        )
        return account

    def add_key(self, application: Row, key: str) -> int:
        """A further key of an application."""
        tenant = application["tenant_id"]
        return self.store.insert(
            "application_keys", application_id=application["id"], value=key, **stamps(tenant)
        )

    def add_sso(self, account: int, fields: Mapping[str, str], *, published: bool) -> int:
        """An SSO integration of a tenant's."""
        return self.store.insert(
            "authentication_providers",
            account_id=account,
            account_type="provider",
            published=published,
            **fields,
            **stamps(account),
        )

    def _user(self, account: int, name: str, password: str, token: str, *, active: bool = True) -> int:
        user = self.store.insert(
            "users",
            account_id=account,
            username=name,
            email=f"{name}@example.com",
            role="admin",
            state="active" if active else "pending",
            password_digest=digest(password),
            **stamps(account),
        )
        self._token(account, user, "Administration", token)
        return user

    def _token(self, account: int, owner: int, name: str, token: str) -> None:
        self.store.insert(
            "access_tokens",
            owner_id=owner,
            name=name,
            value=token,
            permission="rw",
            scopes='["account_management","stats","cms"]',
            tenant_id=account,
        )

    def set_default_plan(self, service: int, plan: int) -> None:
        """The plan that new applications of a service get."""
        self.store.run("UPDATE services SET default_application_plan_id = %s WHERE id = %s", plan, service)

    def plan(self, tenant: int, kind: str, issuer: int, name: str, system_name: str) -> int:
        """A plan of a service (ApplicationPlan) or of an account (AccountPlan)."""
        return self.store.insert(
            "plans",
            type=kind,
            issuer_type="Service" if kind == "ApplicationPlan" else "Account",
            issuer_id=issuer,
            name=name,
            system_name=system_name,
            state="published",
            setup_fee=0,
            cost_per_month=0,
            **stamps(tenant),
        )

    def service(
        self, account: int, name: str, system_name: str, backend: str, endpoint: str | None
    ) -> dict[str, Any]:
        """A service with its metric, its token and its place at the gateway."""
        now = stamps(account)
        service = self.store.insert(
            "services",
            account_id=account,
            name=name,
            system_name=system_name,
            state="incomplete",
            backend_version="1",
            deployment_option="hosted",
            **now,
        )
        self.store.insert(
            "metrics", service_id=service, system_name="hits", friendly_name="Hits", unit="hit", **now
        )
        token = secrets.token_hex(24)
        self.store.insert("service_tokens", service_id=service, value=token, **now)
        self.store.insert(
            "proxies",
            service_id=service,
            endpoint=endpoint,
            sandbox_endpoint=None,
            api_backend=backend,
            auth_user_key="user_key",
            **now,
        )
        return {"id": service, "token": token}

    def application(self, buyer: int, plan: Row, name: str) -> dict[str, Any]:
        """An application of a customer on a plan."""
        service = int(plan["issuer_id"])
        app_id, user_key = secrets.token_hex(4), secrets.token_hex(16)
        application = self.store.insert(
            "cinstances",
            plan_id=plan["id"],
            user_account_id=buyer,
            service_id=service,
            type="Cinstance",
            application_id=app_id,
            user_key=user_key,
            name=name,
            state="live",
            live_state=True,
            accepted_at=stamps()["created_at"],
            **stamps(plan["tenant_id"]),
        )
        return {"id": application, "application_id": app_id, "user_key": user_key, "service_id": service}

    def app(self, application: int) -> App:
        """An application as the backend is to know it. Raises HttpError 404."""
        found = self.store.row(
            "SELECT cinstances.*, plans.name AS plan_name FROM cinstances "
            "JOIN plans ON plans.id = cinstances.plan_id WHERE cinstances.id = %s",
            application,
        )
        if found is None:
            raise HttpError(404, f"there is no application {application}")
        keys = self.store.rows("SELECT value FROM application_keys WHERE application_id = %s", application)
        return App(
            int(found["service_id"]),
            str(found["application_id"]),
            str(found["user_key"]),
            "active" if found["state"] == "live" else "suspended",
            int(found["plan_id"]),
            str(found["plan_name"]),
            tuple(str(key["value"]) for key in keys),
        )


def shown(row: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """These fields of a row, as the API gives them."""
    return {name: row[name] for name in names if name in row}
