"""3scale's routes: made again by zync once the database says other hosts, and given to the customer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cutover.actions.base import Condition, Evidence, Look
from cutover.context import Context
from cutover.errors import StepError
from cutover.ports import ApiRequest, ObjectKind
from cutover.threescale.site import ROUTE_TO, Site, admitted, why_not_admitted

PODS = ObjectKind("v1", "Pod", "pods")
SIDEKIQ = "system-sidekiq"
ROUTES = "routes"
"""The fact: the routes that the customer points their systems to."""
_RESYNC = ("/bin/bash", "-c", "bundle exec rake zync:resync:domains && echo resynced")
_PARTS = ("system-master", "system-provider", "system-developer", "apicast-production", "apicast-staging")
_TITLES = {
    "system-master": "master portal",
    "system-provider": "admin portal",
    "system-developer": "developer portal",
    "apicast-production": "API gateway",
    "apicast-staging": "API gateway for trials",
}


@dataclass(frozen=True, kw_only=True)
class ResyncRoutes(Look):
    """Lets zync make the routes that the database asks for."""

    site: Site
    seconds: float

    def describe(self) -> str:
        """See Action."""
        return f"run `{_RESYNC[2].partition(' &&')[0]}` in a pod of {SIDEKIQ} of {self.site.title}"

    def apply(self, context: Context) -> Evidence:
        """Raises StepError."""
        pod = self._pod(context)
        command = self.site.on(context).execute(self.site.namespace, pod, SIDEKIQ, _RESYNC)
        output = b""
        try:
            until = context.clock.monotonic() + self.seconds
            while b"resynced" not in output:
                if context.clock.monotonic() > until:
                    raise StepError(
                        f"{self.describe()} did not end within {self.seconds:g} s: "
                        f"{output.decode('utf-8', 'replace')[-300:]}"
                    )
                output += command.read(1.0)
                context.pause(0.1)
        finally:
            command.close()
        return {"pod": pod, "said": output.decode("utf-8", "replace").strip().splitlines()[-5:]}

    def _pod(self, context: Context) -> str:
        """A pod of Sidekiq's that runs. Raises StepError."""
        for pod in self.site.on(context).list(PODS, self.site.namespace):
            labels = pod["metadata"].get("labels") or {}
            running = (pod.get("status") or {}).get("phase") == "Running"
            if (
                SIDEKIQ in (labels.get("deployment"), labels.get("deploymentConfig"))
                and running
                and not pod["metadata"].get("deletionTimestamp")
            ):
                return str(pod["metadata"]["name"])
        raise StepError(
            f"{self.site.title} has no running pod of {SIDEKIQ} (label deployment or deploymentConfig)"
        )


@dataclass(frozen=True, kw_only=True)
class RoutesAdmitted(Condition):
    """Every tenant's routes are there, below the cluster's domain, and the router serves them."""

    site: Site
    tenants: tuple[str, ...]
    seconds: float

    def describe(self) -> str:
        """See Condition."""
        names = ", ".join(self.tenants)
        return f"the routes of the master account and of {names} of {self.site.title} are served"

    def hold(self, context: Context) -> Evidence:
        """See Condition."""
        wildcard = self.site.wildcard(context)

        def look() -> tuple[bool, str]:
            routes = self.site.routes(context)
            here = [
                route
                for route in routes
                if ROUTE_TO in (route["metadata"].get("labels") or {})
                and str(route["spec"].get("host", "")).endswith(f".{wildcard}")
            ]
            parts = {route["metadata"]["labels"][ROUTE_TO] for route in here}
            missing = [part for part in _PARTS if part not in parts]
            admins = [route for route in here if route["metadata"]["labels"][ROUTE_TO] == "system-provider"]
            waiting = [route for route in here if not admitted(route)]
            problems = [
                *(f"none to {part}" for part in missing),
                *(f"{route['spec']['host']} is not admitted{_because(route)}" for route in waiting),
            ]
            if len(admins) < len(self.tenants):
                problems.append(f"{len(admins)} of {len(self.tenants)} admin portals")
            return not problems, "; ".join(problems) or f"{len(here)} routes below {wildcard}"

        return {"seen": context.wait_for(f"the routes of {self.site.title}", self.seconds, look)}


def _because(route: Mapping[str, Any]) -> str:
    said = why_not_admitted(route)
    return f" ({said})" if said else ""


@dataclass(frozen=True, kw_only=True)
class GiveRoutes(Look):
    """Writes the new routes down, for the customer and the report."""

    site: Site

    @property
    def gives(self) -> tuple[str, ...]:
        """See Action."""
        return (ROUTES,)

    def describe(self) -> str:
        """See Action."""
        return f"write the routes of {self.site.title} down: status and report show them to the customer"

    def apply(self, context: Context) -> Evidence:
        """Raises StepError."""
        found = []
        for route in self.site.routes(context):
            labels = route["metadata"].get("labels") or {}
            host = str(route["spec"].get("host", ""))
            title = _TITLES.get(str(labels.get(ROUTE_TO, "")), str(route["metadata"]["name"]))
            if host:
                found.append({"host": host, "for": title})
        if not found:
            raise StepError(f"{self.site.title} has no routes")
        found.sort(key=lambda item: (item["for"], item["host"]))
        context.facts.remember(ROUTES, found)
        for item in found:
            context.say(f"{item['for']}: https://{item['host']}")
        return {"routes": found}


@dataclass(frozen=True, kw_only=True)
class HostsAnswer(Condition):
    """The portals answer on their routes."""

    site: Site
    path: str
    seconds: float

    def describe(self) -> str:
        """See Condition."""
        return f"the master and admin portals of {self.site.title} answer {self.path} on their routes"

    def hold(self, context: Context) -> Evidence:
        """See Condition."""
        wildcard = self.site.wildcard(context)
        hosts = [
            host
            for part in ("system-master", "system-provider")
            for host in self.site.hosts(context, part)
            if host.endswith(f".{wildcard}")
        ]
        if not hosts:
            raise StepError(f"{self.site.title} has no portal below {wildcard}")

        def look() -> tuple[bool, str]:
            silent = []
            for host in hosts:
                try:
                    status = context.call(
                        ApiRequest(host=host, path=self.path, address=self.site.router, timeout_seconds=10)
                    ).status
                except StepError as error:
                    silent.append(str(error))
                    continue
                if status >= 400:
                    silent.append(f"{host} answers {status}")
            return not silent, "; ".join(silent) or f"{len(hosts)} hosts answer"

        return {
            "seen": context.wait_for(f"the portals of {self.site.title}", self.seconds, look),
            "hosts": hosts,
        }
