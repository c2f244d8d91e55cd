"""RHOAM on the destination cluster: how it is configured, and that its operator has finished."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from cutover.actions.base import Condition, Evidence, Look
from cutover.context import Context, fact
from cutover.errors import StepError
from cutover.ports import ObjectKind
from cutover.threescale.site import find_secret
from stacks.settings import Placeholder

RHMI = "integreatly.org/v1alpha1"
PARAMETERS = "addon-managed-api-service-parameters"
"""The Secret with what the customer has chosen for RHOAM."""
QUOTA, EMAIL, DOMAIN = "addon-managed-api-service", "notification-email", "custom-domain_domain"
SMTP = tuple(f"custom-smtp-{name}" for name in ("address", "port", "username", "password", "from_address"))
"""The customer's own mail server; without it there is the Secret redhat-rhoam-smtp."""
_SMTP_SECRET, _SMTP_KEYS = "redhat-rhoam-smtp", ("host", "port", "username", "password")
DOMAINS = ObjectKind("managed.openshift.io/v1alpha1", "CustomDomain", "customdomains")


@dataclass(frozen=True, kw_only=True)
class RhoamConfigured(Condition):
    """SMTP, custom domain, notification address and quota are chosen."""

    cluster: str
    namespace: str
    domain: str | Placeholder | None
    """The custom domain that is expected; None: none."""

    def describe(self) -> str:
        """See Condition."""
        domain = "a custom domain" if self.domain else "no custom domain"
        return f"RHOAM is configured with SMTP, {domain}, a notification address and a quota ({PARAMETERS})"

    def hold(self, context: Context) -> Evidence:
        """See Condition."""
        values = find_secret(context.cluster(self.cluster), self.namespace, PARAMETERS)
        if values is None:
            raise StepError(
                f"there is no Secret {self.namespace}/{PARAMETERS} on {self.cluster}: RHOAM's installation "
                "was not triggered (OpenShift Cluster Manager, add-on Red Hat OpenShift API Management)"
            )
        texts = {key: value.decode("utf-8", "replace").strip() for key, value in values.items()}
        if problems := list(self._problems(context, texts)):
            raise StepError(
                f"RHOAM is not configured as it must be: {'; '.join(problems)}. Change the add-on's "
                "parameters in OpenShift Cluster Manager, and go on"
            )
        return {
            "quota": texts[QUOTA],
            "notification_email": "set",
            "custom_domain": texts.get(DOMAIN, ""),
            "smtp": "the customer's" if all(texts.get(key) for key in SMTP) else _SMTP_SECRET,
        }

    def _problems(self, context: Context, texts: dict[str, str]) -> Iterator[str]:
        own = find_secret(context.cluster(self.cluster), self.namespace, _SMTP_SECRET) or {}
        missing = [key for key in SMTP if not texts.get(key)]
        if missing and not all(own.get(key) for key in _SMTP_KEYS):
            yield (
                f"SMTP: {', '.join(missing)} is empty, and there is no Secret {_SMTP_SECRET} with "
                f"{', '.join(_SMTP_KEYS)}"
            )
        wanted = fact(self.domain, "threescale.destination.custom_domain") if self.domain else ""
        if texts.get(DOMAIN, "") != wanted:
            yield f"custom domain: {texts.get(DOMAIN) or 'none'}, and {wanted or 'none'} is expected"
        if "@" not in texts.get(EMAIL, ""):
            yield "notification email address: none"
        if not texts.get(QUOTA):
            yield "quota: none"


@dataclass(frozen=True, kw_only=True)
class CustomDomainReady(Condition):
    """The cluster serves the customer's domain."""

    cluster: str
    domain: str | Placeholder

    def describe(self) -> str:
        """See Condition."""
        return f"a CustomDomain on {self.cluster} serves {self._shown}"

    @property
    def _shown(self) -> str:
        return self.domain if isinstance(self.domain, str) else "the customer's domain"

    def hold(self, context: Context) -> Evidence:
        """See Condition."""
        wanted = fact(self.domain, "threescale.destination.custom_domain")
        found = {
            str(item.get("spec", {}).get("domain")): str((item.get("status") or {}).get("state", ""))
            for item in context.cluster(self.cluster).list(DOMAINS, None)
        }
        if found.get(wanted) != "Ready":
            state = f"is {found[wanted] or 'without a state'}" if wanted in found else "is absent"
            raise StepError(
                f"the CustomDomain for {wanted} {state} (there are: {', '.join(found) or 'none'}): create it "
                "with its certificate's Secret (`oc get customdomains`), wait until it is Ready, and go on"
            )
        return {"domain": wanted, "state": "Ready"}


@dataclass(frozen=True, kw_only=True)
class IdentityProviderThere(Condition):
    """People can log in by an identity provider, and not as kubeadmin alone."""

    cluster: str

    def describe(self) -> str:
        """See Condition."""
        return f"cluster {self.cluster} has an identity provider (OAuth cluster)"

    def hold(self, context: Context) -> Evidence:
        """See Condition."""
        found = context.cluster(self.cluster).get("config.openshift.io/v1", "oauths", None, "cluster") or {}
        providers = [
            str(item.get("name")) for item in (found.get("spec") or {}).get("identityProviders") or ()
        ]
        if not providers:
            raise StepError(
                f"the OAuth `cluster` of {self.cluster} names no identity provider: configure one, log in by "
                "it, and go on"
            )
        return {"identity_providers": providers}


@dataclass(frozen=True, kw_only=True)
class AwaitRhoam(Look):
    """Waits until RHOAM's operator has finished its installation."""

    cluster: str
    namespace: str
    installation: str
    seconds: float

    def describe(self) -> str:
        """See Action."""
        return (
            f"wait until the RHMI {self.namespace}/{self.installation} is complete: each product of its "
            "stage installation too"
        )

    def apply(self, context: Context) -> Evidence:
        """Raises StepError."""
        status: dict[str, Any] = {}

        def look() -> tuple[bool, str]:
            nonlocal status
            found = context.cluster(self.cluster).get(RHMI, "rhmis", self.namespace, self.installation)
            if found is None:
                raise StepError(f"there is no RHMI {self.namespace}/{self.installation} on {self.cluster}")
            status = found.get("status") or {}
            left = unfinished(status)
            return not left, left or "complete"

        context.wait_for(f"RHOAM on {self.cluster}", self.seconds, look)
        return {"stage": status.get("stage"), "version": status.get("version", "")}


def unfinished(status: dict[str, Any]) -> str:
    """What of RHOAM's installation is not finished; empty where all of it is."""
    error = str(status.get("lastError") or "")
    said = f"; its last error: {error[:200]}" if error else ""
    installation = (status.get("stages") or {}).get("installation") or {}
    waiting = [
        f"{name} {product.get('status') or 'not begun'}"
        for name, product in (installation.get("products") or {}).items()
        if product.get("status") != "completed"
    ]
    if waiting:
        return f"{', '.join(sorted(waiting))}{said}"
    if status.get("stage") != "complete":
        return f"stage {status.get('stage') or 'not begun'}{said}"
    if installation.get("phase") != "completed":
        return f"installation {installation.get('phase') or 'not begun'}{said}"
    return ""
