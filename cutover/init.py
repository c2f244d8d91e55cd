"""`cutover init`: the files of a new environment and of a plan for it, to be completed by their owner."""

from __future__ import annotations

import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import yaml

from cutover.errors import PlanError
from cutover.plan import check_plan
from cutover.plans import build_plan
from stacks.settings import SettingsError, load_environment

TEMPLATE = "docs.examples.one_domain:one_domain"
_EXAMPLE = Path(__file__).parents[1] / "docs" / "examples" / "one_domain.py"


@dataclass(frozen=True)
class Answers:
    """What cannot be guessed and is no secret."""

    environment: str
    region: str
    source_context: str
    target_context: str
    zone: str
    domain: str
    namespace: str
    workload: str
    database: str
    database_host: str


def initialise(project: Path, given: Answers) -> list[Path]:
    """Writes the files; overwrites none. What only the owner knows is a placeholder.

    Raises:
        PlanError: an answer does not fit, a file is there already or cannot be written; nothing was written.
    """
    if not re.fullmatch(r"[a-z][a-z0-9]{0,19}", given.environment):
        raise PlanError(
            f"{given.environment!r} cannot be an environment's name: lower-case, without a hyphen"
        )
    module = f"plan_{given.environment}.py"
    files = {
        f"Pulumi.{given.environment}.yaml": _settings(given),
        f"Pulumi.{given.environment}-edge.yaml": "# Where each domain points. Flipped by the cutover.\n"
        + yaml.safe_dump({"config": {"landfall:records": {given.domain: "source"}}}, sort_keys=False),
        f"Pulumi.{given.environment}-source.yaml": "# What runs on the source's cluster.\nconfig: {}\n",
        f"Pulumi.{given.environment}-target.yaml": "# What runs on the target's cluster.\nconfig: {}\n",
        module: _EXAMPLE.read_text(encoding="utf-8"),
    }
    if there := [name for name in files if (project / name).exists()]:
        raise PlanError(f"{', '.join(there)} is in {project} already; nothing was written")
    with tempfile.TemporaryDirectory() as folder:
        trial = Path(folder)
        (trial / f"Pulumi.{given.environment}.yaml").write_text(files[f"Pulumi.{given.environment}.yaml"])
        try:
            plan = build_plan(TEMPLATE, load_environment(trial, given.environment))
        except SettingsError as error:
            raise PlanError(str(error).replace(f"{trial}/", "the answers for ")) from error
        if problems := check_plan(plan):
            raise PlanError("; ".join(problems))
        for name, text in files.items():
            (trial / name).write_text(text, encoding="utf-8")
        try:
            return [Path(shutil.copy(trial / name, project / name)) for name in files]
        except OSError as error:
            raise PlanError(f"the files could not be written to {project}: {error}") from error


def _placeholder(text: str) -> dict[str, str]:
    return {"placeholder": text}


def _settings(given: Answers) -> str:
    environment = {
        "name": given.environment,
        "tags": {"project": given.environment},
        "account": _placeholder("the id of the AWS account; its owner knows it"),
        "notifications": {"emails": [_placeholder("an address that reads alarms; the team knows it")]},
        "network": {
            "cidr": "10.60.0.0/16",
            "zones": [f"{given.region}{letter}" for letter in "abc"],
            "nat": "zone",
        },
        "cluster": {
            "name": given.environment,
            "version": "1.35",
            "node_group": {"instance_types": ["m7i.large"], "minimum": 2, "maximum": 6, "desired": 3},
        },
        "kubernetes": {
            "source": {"context": given.source_context},
            "target": {"context": given.target_context},
        },
        "database": {
            "name": given.database,
            "port": 3306,
            "source": {
                "internal_host": given.database_host,
                "eip": _placeholder("the public address of the source's database; its owner assigns it"),
            },
            "administrator": {
                "user_env": "LANDFALL_SOURCE_DATABASE_USER",
                "password_env": "LANDFALL_SOURCE_DATABASE_PASSWORD",
            },
            "target": {
                "engine": "mysql",
                "version": "8.4",
                "database_name": given.database,
                "instance_class": "db.m7g.large",
                "storage_gib": 100,
            },
        },
        "cloudflare": {
            "zones": {given.zone: _placeholder(f"the id of the zone {given.zone}; its owner knows it")}
        },
        "domains": [
            {
                "name": given.domain,
                "zone": given.zone,
                "record_id": _placeholder(f"the id of the record {given.domain}; the zone's owner knows it"),
                "type": "A",
                "ttl": {"original": 300, "lowered": 60},
                "source": _placeholder("the address of the source's ingress; the cluster's owner knows it"),
                "service": f"{given.namespace}/{given.workload}",
                "health": "/healthz",
            }
        ],
        "workloads": [
            {
                "namespace": given.namespace,
                "kind": "Deployment",
                "name": given.workload,
                "selector": {"app": given.workload},
                "domain": given.domain,
            }
        ],
        "probe_image": "busybox:1.37",
        "redis_image": "redis:7",
        "forwarder_image": "nginx:1.28",
        "cutover": {"soak_seconds": 300, "max_error_rate": 0.01},
    }
    config = {"config": {"aws:region": given.region, "landfall:environment": environment}}
    head = (
        f"# The environment `{given.environment}`. Every setting: docs/settings.md. What is a placeholder\n"
        "# is refused by name until its owner has filled it in.\n"
    )
    return head + yaml.safe_dump(config, sort_keys=False, width=110)
