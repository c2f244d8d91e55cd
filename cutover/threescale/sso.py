"""RHOAM's single sign-on for tenants: a client in Keycloak, and an integration in 3scale that uses it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cutover.actions.base import NO_CHANGE, Action, Condition, Evidence, Observation
from cutover.context import Context
from cutover.errors import StepError
from cutover.threescale.api import tenant
from cutover.threescale.site import ROUTES, Site, find_secret
from stacks.settings.threescale import TenantSettings

KEYCLOAK = "keycloak.org/v1alpha1"
SYSTEM_NAME = "rhoam-sso"
"""The integration's, on every tenant."""
_PATH = "/admin/api/account/authentication_providers.json"
_SECONDS = 300.0


@dataclass(frozen=True, kw_only=True)
class SsoIntegration(Action):
    """Makes a Keycloak client for each tenant and an integration that nobody sees yet."""

    site: Site
    namespace: str
    """Keycloak's."""
    realm: str
    tenants: tuple[TenantSettings, ...]

    def describe(self) -> str:
        """See Action."""
        names = ", ".join(item.name for item in self.tenants)
        return (
            f"make a KeycloakClient in {self.namespace} for each of {names}, and with its secret an SSO "
            "integration on the tenant, hidden until the customer has tried it"
        )

    def preview(self, context: Context) -> tuple[str, ...]:
        """See Action."""
        missing = [item.name for item in self.tenants if find_integration(context, self.site, item) is None]
        return tuple(f"SSO integration of {name}: created" for name in missing) or NO_CHANGE

    def observe(self, context: Context) -> Observation:
        """See Action."""
        missing = [item.name for item in self.tenants if find_integration(context, self.site, item) is None]
        return Observation(
            "not done" if missing else "done", f"without: {', '.join(missing)}" if missing else "all have one"
        )

    def apply(self, context: Context) -> Evidence:
        """Raises StepError."""
        site_url = f"https://{self._keycloak(context)}/auth/realms/{self.realm}"
        done = []
        for item in self.tenants:
            client = tenant(context, self.site, item.name, item.token_env)
            name = client_name(item)
            cluster = self.site.on(context)
            if cluster.get(KEYCLOAK, "keycloakclients", self.namespace, name) is None:
                cluster.create("keycloakclients", _keycloak_client(self.namespace, name, client.host))
            secret = self._secret(context, name)
            if find_integration(context, self.site, item) is None:
                client.send(
                    "POST",
                    _PATH,
                    {
                        "kind": "keycloak",
                        "name": "Red Hat Single Sign-On",
                        "system_name": SYSTEM_NAME,
                        "client_id": name,
                        "client_secret": secret,
                        "site": site_url,
                        "published": "false",
                    },
                    (201,),
                )
            done.append(item.name)
        return {"tenants": done, "site": site_url, "published": False}

    def _keycloak(self, context: Context) -> str:
        for route in self.site.on(context).list(ROUTES, self.namespace):
            if route["metadata"]["name"] == "keycloak-edge" and route["spec"].get("host"):
                return str(route["spec"]["host"])
        raise StepError(
            f"namespace {self.namespace} has no Route keycloak-edge: RHOAM has not installed its single "
            "sign-on yet; look at the RHMI's status, and go on"
        )

    def _secret(self, context: Context, name: str) -> str:
        found = ""

        def look() -> tuple[bool, str]:
            nonlocal found
            values = (
                find_secret(self.site.on(context), self.namespace, f"keycloak-client-secret-{name}") or {}
            )
            found = values.get("CLIENT_SECRET", b"").decode("utf-8", "replace")
            return bool(found), "not there yet"

        context.wait_for(f"Secret {self.namespace}/keycloak-client-secret-{name}", _SECONDS, look)
        return found


@dataclass(frozen=True, kw_only=True)
class SsoPublished(Condition):
    """The customer has published the integration."""

    site: Site
    tenants: tuple[TenantSettings, ...]

    def describe(self) -> str:
        """See Condition."""
        return f"the SSO integration of {', '.join(item.name for item in self.tenants)} is published"

    def hold(self, context: Context) -> Evidence:
        """See Condition."""
        hidden = []
        for item in self.tenants:
            found = find_integration(context, self.site, item)
            if found is None or not found.get("published"):
                hidden.append(item.name)
        if hidden:
            raise StepError(
                f"the SSO integration of {', '.join(hidden)} is not published: Account Settings > Users > "
                "SSO Integrations, try it, publish it, and go on"
            )
        return {"published": [item.name for item in self.tenants]}


def client_name(item: TenantSettings) -> str:
    """The Keycloak client of a tenant; a Kubernetes name."""
    return item.name.lower().replace(" ", "-").replace("_", "-").strip("-.")


def find_integration(context: Context, site: Site, item: TenantSettings) -> dict[str, Any] | None:
    """The SSO integration of a tenant, as its API lists it. Raises StepError."""
    answer = tenant(context, site, item.name, item.token_env).get(_PATH)
    for entry in answer.get("authentication_providers") or ():
        found: dict[str, Any] = entry.get("authentication_provider") or {}
        if found.get("system_name") == SYSTEM_NAME or found.get("client_id") == client_name(item):
            return found
    return None


def _keycloak_client(namespace: str, name: str, host: str) -> dict[str, Any]:
    return {
        "apiVersion": KEYCLOAK,
        "kind": "KeycloakClient",
        "metadata": {"namespace": namespace, "name": name},
        "spec": {
            "realmSelector": {"matchLabels": {"sso": "integreatly"}},
            "client": {
                "enabled": True,
                "clientId": name,
                "clientAuthenticatorType": "client-secret",
                "fullScopeAllowed": True,
                "publicClient": False,
                "standardFlowEnabled": True,
                "implicitFlowEnabled": False,
                "directAccessGrantsEnabled": False,
                "rootUrl": f"https://{host}",
                "redirectUris": [f"https://{host}/*"],
                "access": {"configure": True, "manage": True, "view": True},
                "protocolMappers": [
                    _mapper("given name", "given_name", "firstName"),
                    _mapper("family name", "family_name", "lastName"),
                    _mapper("email", "email", "email"),
                    _mapper("email verified", "email_verified", "emailVerified"),
                    _mapper("org_name", "org_name", "org_name", attribute=True),
                ],
            },
        },
    }


def _mapper(name: str, claim: str, source: str, *, attribute: bool = False) -> dict[str, Any]:
    """What of a user Keycloak tells 3scale."""
    return {
        "name": name,
        "protocol": "openid-connect",
        "protocolMapper": f"oidc-usermodel-{'attribute' if attribute else 'property'}-mapper",
        "config": {
            "access.token.claim": "true",
            "id.token.claim": "true",
            "userinfo.token.claim": "true",
            "claim.name": claim,
            "jsonType.label": "String",
            "user.attribute": source,
        },
    }
