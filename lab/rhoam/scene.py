"""Where a rehearsal of the second plan begins: its clouds up, its settings filled in, its stacks up."""

from __future__ import annotations

import json
from typing import Any

from lab.clouds.internet import ACCOUNT
from lab.estate_settings import KeyPath, peer, placeholders, tracked
from lab.options import REPOSITORY
from lab.project import copy_project, describe
from lab.rhoam.clouds import RHOAM_OPERATOR, TENANTS, RhoamClouds
from lab.rhoam.operators.loop import secret
from lab.rhoam.places import DESTINATION, ZONE
from lab.scene import Desk, Progress
from lab.world import LabError

ENVIRONMENT = "rhoam"
PLAN = "rhoam"
BUCKET = "customer-3scale-secrets"
EMAIL = "alarms@example.com"


class RhoamScene(Desk):
    """The operator's desk at the migration's workspace instance."""

    def __init__(self, clouds: RhoamClouds, *, progress: Progress) -> None:
        super().__init__(clouds, ENVIRONMENT, plan=PLAN, progress=progress)
        self.clouds = clouds

    def set_up(self, engine: str) -> None:
        """Copy the project with the lab's facts and bring every stack up on `engine`. Raises LabError."""
        clouds = self.clouds
        self.engine = clouds.workstation.use_engine(engine)
        self._progress(f"engine: the {self.engine} pulumi")
        overlay = self._overlay()
        for line in ("the lab's facts over the settings of a copy:", *describe(overlay)):
            self._progress(line)
        copy_project(REPOSITORY, self.project, ENVIRONMENT, overlay)
        for stack in self.stacks:
            self._progress(f"pulumi up {stack}")
            self.pulumi("stack", "init", stack)
            self.pulumi("up", "--yes", "--skip-preview", "--stack", stack)
            outputs: dict[str, Any] = json.loads(self.pulumi("stack", "output", "--json", "--stack", stack))
            if "system_database_address" in outputs:
                clouds.attach(stack, outputs)
            if stack == ENVIRONMENT:
                self._answer_rhoam(outputs)

    def _overlay(self) -> dict[KeyPath, object]:
        settings = tracked(ENVIRONMENT)
        tenants = [{"name": name, "token_env": f"{name.upper()}_ACCESS_TOKEN"} for name in TENANTS]
        found: dict[KeyPath, object] = {
            ("threescale", "tenants"): tenants,
            # a rehearsal has no day between what is done ahead and the migration
            ("threescale", "owners"): {"lead_seconds": 0, "due_seconds": 60, "due_ahead_seconds": 60},
            ("threescale", "redis_image"): "redis:7",
            ("threescale", "restore_image"): "postgres:15",
            ("threescale", "queue_seconds"): 20,
        }
        ec2 = self.clouds.aws("ec2")
        for section in ("migration", "destination"):
            found |= peer(ec2, section)
        for path in placeholders(settings, ()):
            if path not in found:
                found[path] = self._fact(path)
        return found

    def _fact(self, path: KeyPath) -> object:
        """What stands for a fact that its owner knows."""
        match path:
            case ("cloudflare", "zones", str(zone)) if zone == ZONE:
                return self.clouds.internet.zone_id
            case (*_, "account"):
                return ACCOUNT
            case ("notifications", "emails", int()) | ("threescale", "default_tenant", "email"):
                return EMAIL
            case ("threescale", "destination", "custom_domain"):
                return DESTINATION.apps
            case ("threescale", "bucket"):
                return BUCKET
        raise LabError(f"the lab has nothing for the placeholder at {'.'.join(map(str, path))}")

    def _answer_rhoam(self, outputs: dict[str, Any]) -> None:
        """What the cloud's resources answer RHOAM's operator: where its stores are, and who logs in there."""
        secrets = self.clouds.aws("secretsmanager")

        def login(kind: str) -> dict[str, str]:
            value = secrets.get_secret_value(SecretId=outputs[f"{kind}_secret_arn"])["SecretString"]
            found: dict[str, str] = json.loads(value)
            return {name: found[name] for name in ("username", "password")}

        def redis(kind: str) -> dict[str, str]:
            return {"uri": outputs[f"{kind}_address"], "port": "6379", "tls": "true", **login(kind)}

        host = outputs["system_database_address"]
        postgres = {"host": host, "port": "5432", "database": "system", **login("system_database")}
        self.clouds.clusters[DESTINATION].apply(
            [
                secret(RHOAM_OPERATOR, "threescale-postgres-rhoam", postgres),
                secret(RHOAM_OPERATOR, "threescale-backend-redis-rhoam", redis("backend_redis")),
                secret(RHOAM_OPERATOR, "threescale-redis-rhoam", redis("system_redis")),
            ]
        )
