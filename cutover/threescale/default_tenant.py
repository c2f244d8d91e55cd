"""The tenant that RHOAM expects beside those that moved."""

from __future__ import annotations

from dataclasses import dataclass

from cutover.actions.base import NO_CHANGE, Action, Evidence, Observation
from cutover.context import Context
from cutover.errors import StepError
from cutover.ports import ApiRequest
from cutover.threescale.api import Account, Client, master
from cutover.threescale.site import Site, find_secret, write_secret
from cutover.threescale.tenants import inner
from stacks.settings.threescale import DefaultTenantSettings

SEED = "system-seed"
TOKEN = "ADMIN_ACCESS_TOKEN"  # noqa: S105 - a name
TOKEN_NAME = "Administration"  # noqa: S105 - a name
SCOPES = ("account_management", "policy_registry")
"""Name and scopes of the access token that 3scale creates a tenant with, from 2.16 on."""
_LOST = (TOKEN_NAME, "account management rw")
"""What it is called there, and was before."""
_OPENS, _REFUSED = 200, (401, 403)


@dataclass(frozen=True, kw_only=True)
class CreateDefaultTenant(Action):
    """Creates the tenant that RHOAM expects, activates its administrator, and keeps its token in Secrets.

    3scale shows the token once, in the answer to the creation. Where that answer was lost, as with a runner
    that was killed, another token is made with the tenant's provider key, which the master account has.
    """

    site: Site
    tenant: DefaultTenantSettings
    email: str
    also_in: str
    """RHOAM's namespace, which keeps a copy of the Secret."""
    seconds: float
    """How long the new tenant's host may take to answer: zync makes its route."""

    @property
    def gives(self) -> tuple[str, ...]:
        """See Action."""
        return (self._ours,)

    def describe(self) -> str:
        """See Action."""
        return (
            f"create the tenant {self.tenant.name} with the user {self.tenant.username}, whose password is "
            f"the ADMIN_PASSWORD of the Secret {SEED}, activate it, and write its access token into "
            f"{SEED} of {self.site.namespace} and of {self.also_in}"
        )

    def preview(self, context: Context) -> tuple[str, ...]:
        """See Action."""
        there = self._account(master(context, self.site))
        return NO_CHANGE if there else (f"tenant {self.tenant.name}: created",)

    def observe(self, context: Context) -> Observation:
        """Done where it is there and the token of both Secrets opens it."""
        account = self._account(master(context, self.site))
        if account is None:
            return Observation("not done", f"there is no tenant {self.tenant.name}")
        token = self._token(context, self.site.namespace)
        try:
            self._client(context, account, token).get("/admin/api/services.json")
        except StepError as error:
            return Observation("not done", str(error))
        if token != self._token(context, self.also_in):
            return Observation("not done", f"{SEED} of {self.also_in} has another token")
        return Observation("done", f"{account.admin_domain} takes the token of {SEED}")

    def apply(self, context: Context) -> Evidence:
        """Raises StepError."""
        api = master(context, self.site)
        account = self._account(api)
        if account is None:
            context.facts.remember(self._ours, True)
            made = api.send(
                "POST",
                "/master/api/providers.json",
                {
                    "org_name": self.tenant.name,
                    "username": self.tenant.username,
                    "email": self.email,
                    "password": self.site.secret_text(context, SEED, "ADMIN_PASSWORD"),
                },
                (201,),
            )
            signup = made.get("signup", {})
            self._activate(api, inner(signup, "account", "id"))
            self._keep(context, inner(signup, "access_token", "value"))
            return {"tenant": self.tenant.name, "created": True}
        token = self._token(context, self.site.namespace)
        opens, said = self._opens(context, account, token)
        created = self._ours in context.facts.values
        if created:
            self._activate(api, str(account.id))
        elif not opens:
            # it moved along from the source, and its administrator is the customer's
            raise StepError(
                f"there is a tenant {self.tenant.name} already, and the {TOKEN} of {SEED} does not open it "
                f"({said}): make a token there (all scopes, read & write), write it into {SEED} of "
                f"{self.site.namespace} and of {self.also_in}, and go on"
            )
        if not opens:
            context.say(f"tenant {self.tenant.name} was created and its token lost: another one is made")
            token = self._another_token(context, api, account)
        self._keep(context, token)
        return {"tenant": self.tenant.name, "created": created}

    @property
    def _ours(self) -> str:
        return f"creates tenant {self.tenant.name}"

    def _account(self, api: Client) -> Account | None:
        return next((found for found in api.accounts() if found.name == self.tenant.name), None)

    def _opens(self, context: Context, account: Account, token: str) -> tuple[bool, str]:
        """Whether a token opens the tenant, once its host answers. Raises StepError where it does not."""
        opens = False

        def look() -> tuple[bool, str]:
            nonlocal opens
            request = ApiRequest(
                host=account.admin_domain,
                path="/admin/api/services.json",
                token=token,
                address=self.site.router,
            )
            try:
                status = context.call(request).status
            except StepError as error:
                return False, str(error)
            opens = status == _OPENS
            return opens or status in _REFUSED, f"{request} answered {status}"

        said = context.wait_for(f"the tenant {self.tenant.name}", self.seconds, look)
        return opens, said

    def _activate(self, api: Client, account: str) -> str:
        """Gives the administrator's id."""
        for user in api.listed(f"/admin/api/accounts/{account}/users.json", "users", "user"):
            if user.get("username") == self.tenant.username:
                path = f"/admin/api/accounts/{account}/users/{user['id']}/activate.json"
                if user.get("state") != "active":
                    api.send("PUT", path, {}, (200,))
                return str(user["id"])
        raise StepError(f"the tenant {self.tenant.name} has no user {self.tenant.username}")

    def _another_token(self, context: Context, api: Client, account: Account) -> str:
        """A new token of the administrator's; the lost ones are deleted."""
        user = self._activate(api, str(account.id))
        applications = api.listed(
            f"/admin/api/accounts/{account.id}/applications.json", "applications", "application"
        )
        if not applications or not (key := str(applications[0].get("user_key") or "")):
            raise StepError(f"the master account shows no provider key of tenant {self.tenant.name}")
        made = self._client(context, account, key).send(
            "POST",
            f"/admin/api/users/{user}/access_tokens.json",
            {"name": TOKEN_NAME, "permission": "rw", "scopes[]": SCOPES},
            (201,),
        )
        token, number = inner(made, "access_token", "value"), inner(made, "access_token", "id")
        own = self._client(context, account, token)
        for found in own.listed("/admin/api/personal/access_tokens.json", "access_tokens", "access_token"):
            if found.get("name") in _LOST and str(found["id"]) != number:
                own.send("DELETE", f"/admin/api/personal/access_tokens/{found['id']}.json", {}, (200,))
        return token

    def _keep(self, context: Context, token: str) -> None:
        for namespace in (self.site.namespace, self.also_in):
            if self._token(context, namespace) != token:
                values = {TOKEN: token.encode()}
                write_secret(self.site.on(context), namespace, SEED, values, exists=True)

    def _token(self, context: Context, namespace: str) -> str:
        """What a Secret has; empty: nothing."""
        found = find_secret(self.site.on(context), namespace, SEED) or {}
        return found.get(TOKEN, b"").decode("utf-8", "replace")

    def _client(self, context: Context, account: Account, token: str) -> Client:
        return Client(context, account.admin_domain, token, self.site.router, f"tenant {self.tenant.name}")
