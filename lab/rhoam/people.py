"""The three parties of the second plan, as a rehearsal plays them: what each does by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cutover.plan import Plan
from cutover.threescale.secrets import MUST_MATCH
from lab.people import Deed
from lab.rhoam.api import Admin, Web
from lab.rhoam.clouds import RHOAM_OPERATOR, SOURCE_VERSION, THREESCALE, RhoamClouds
from lab.rhoam.definitions import namespace
from lab.rhoam.operators.loop import secret
from lab.rhoam.places import DESTINATION, MIGRATION, REGION, SOURCE
from lab.rhoam.scene import BUCKET, EMAIL
from lab.world import LabError

CHANNEL = f"threescale-{SOURCE_VERSION}-mas"
MORE_NAMES = {"agree-engineering": "lab engineer", "agree-customer": "lab customer's manager"}
"""Who says yes to what two people have to say yes to."""


class Parties:
    """What Red Hat's two teams and the customer do. `stop` and `start` are for the customer's users."""

    def __init__(self, clouds: RhoamClouds, stop: Callable[[], None], start: Callable[[str], None]) -> None:
        """`start`: begins the users' traffic at a wildcard domain."""
        self._clouds = clouds
        self._stop = stop
        self._start = start
        self.channel = CHANNEL
        """Of the 3scale that is installed on the migration cluster; another one is a fault."""
        self.forgotten: set[str] = set()
        """Secrets that the customer forgets to put into the bucket: a fault."""

    @property
    def by_hand(self) -> dict[str, Callable[[], None]]:
        """What they do on the clusters and in AWS, by the id of the step that asks for it."""
        return {
            "install-threescale": self.install_threescale,
            "fill-bucket": self.fill_bucket,
            "configure-idp": self.configure_idp,
            "create-domain": self.create_domain,
            "trigger-rhoam": self.trigger_rhoam,
            "publish-sso": self.publish_sso,
        }

    def deeds(self, plan: Plan) -> dict[str, Deed]:
        """What they do, by the id of the step that asks for it, each in the name of the step's owner."""
        done = {
            **self.by_hand,
            "agree-to-begin": self._stop,
            "update-systems": lambda: self._start(DESTINATION.apps),
        }
        return {
            step.id: Deed(done.get(step.id, _nothing), by=MORE_NAMES.get(step.id, f"lab {step.owner}"))
            for step in plan.steps
        }

    def install_threescale(self) -> None:
        """RHOAM Engineering installs 3scale on the migration cluster, on databases of its own."""
        self._clouds.install_threescale(MIGRATION, self.channel, external=False)

    def fill_bucket(self) -> None:
        """The customer puts the Secrets of the source's 3scale into a bucket."""
        s3 = self._clouds.aws("s3")
        if BUCKET not in [found["Name"] for found in s3.list_buckets()["Buckets"]]:
            s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
            blocked = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
            s3.put_public_access_block(
                Bucket=BUCKET, PublicAccessBlockConfiguration=dict.fromkeys(blocked, True)
            )
        for name in MUST_MATCH:
            if name not in self.forgotten:
                text = self._clouds.kubectl(SOURCE, "get", f"secret/{name}", "-n", THREESCALE, "-o", "json")
                s3.put_object(Bucket=BUCKET, Key=f"secrets/{name}.json", Body=text.encode())

    def configure_idp(self) -> None:
        """The customer adds an identity provider to the destination cluster."""
        provider = {"name": "customer-sso", "type": "OpenID", "mappingMethod": "claim"}
        oauth = {
            "apiVersion": "config.openshift.io/v1",
            "kind": "OAuth",
            "metadata": {"name": "cluster"},
            "spec": {"identityProviders": [provider]},
        }
        self._clouds.clusters[DESTINATION].apply([oauth])

    def create_domain(self) -> None:
        """The customer creates the CustomDomain, and waits until it is ready."""
        domain = {
            "apiVersion": "managed.openshift.io/v1alpha1",
            "kind": "CustomDomain",
            "metadata": {"name": "rhoam"},
            "spec": {"domain": DESTINATION.apps, "scope": "External"},
        }
        self._clouds.clusters[DESTINATION].apply([domain])
        self._clouds.wait("the CustomDomain", lambda: self._state("customdomain/rhoam") == "Ready")

    def _state(self, what: str) -> str:
        found = self._clouds.get(DESTINATION, what, "default")
        return str((found.get("status") or {}).get("state", ""))

    def trigger_rhoam(self) -> None:
        """The customer installs RHOAM."""
        values = {
            "addon-managed-api-service": "1",
            "custom-domain_domain": DESTINATION.apps,
            "notification-email": EMAIL,
            "custom-smtp-address": "smtp.example.com",
            "custom-smtp-port": "587",
            "custom-smtp-username": "3scale",
            "custom-smtp-password": "of the lab",
            "custom-smtp-from_address": EMAIL,
        }
        installation = {
            "apiVersion": "integreatly.org/v1alpha1",
            "kind": "RHMI",
            "metadata": {"name": "rhoam", "namespace": RHOAM_OPERATOR},
            "spec": {
                "type": "managed-api",
                "routingSubdomain": DESTINATION.apps,
                "alertingEmailAddresses": {"businessUnit": EMAIL},
                "smtpSecret": "redhat-rhoam-smtp",
            },
        }
        objects: list[Mapping[str, Any]] = [
            namespace(RHOAM_OPERATOR),
            secret(RHOAM_OPERATOR, "addon-managed-api-service-parameters", values),
            installation,
        ]
        self._clouds.clusters[DESTINATION].apply(objects)

    def publish_sso(self) -> None:
        """The customer logs in by each SSO integration and publishes it."""
        web = Web(self._clouds.web_ca, DESTINATION.router)
        for tenant in self._clouds.customer["tenants"]:
            host = f"{str(tenant['admin']).partition('.')[0]}.{DESTINATION.apps}"
            admin = Admin(web, host, str(tenant["token"]))
            path = "/admin/api/account/authentication_providers"
            for entry in admin.get(f"{path}.json")["authentication_providers"]:
                provider = entry["authentication_provider"]
                reply = web.call("GET", host, f"/auth/{provider['system_name']}/callback")
                if reply.status != 302 or "user_session" not in reply.headers.get("Set-Cookie", ""):
                    raise LabError(f"nobody is logged in to {host}: status {reply.status}")
                admin.put(f"{path}/{provider['id']}.json", published="true")


def _nothing() -> None:
    """Their word is all that is asked for."""
