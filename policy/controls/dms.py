"""DMS: instances, endpoints and tasks."""

from __future__ import annotations

import json
from collections.abc import Iterator

from policy.control import Control, Rule
from policy.judgement import (
    ABSENT,
    Failed,
    Finding,
    Judge,
    NotEvaluated,
    Resource,
    has_unknown,
    is_false,
    is_given,
    is_one_of,
    is_true,
)

INSTANCE = "aws:dms/replicationInstance:ReplicationInstance"
ENDPOINT = "aws:dms/endpoint:Endpoint"
TASK = "aws:dms/replicationTask:ReplicationTask"
SEVERITIES = {"LOGGER_SEVERITY_DEFAULT", "LOGGER_SEVERITY_DEBUG", "LOGGER_SEVERITY_DETAILED_DEBUG"}
"""Those that log at least what is logged by default."""


def _logging(*components: str) -> Judge:
    def judged(resource: Resource) -> Iterator[Finding]:
        text = resource.value("replicationTaskSettings")
        if text is ABSENT:
            yield Failed("replicationTaskSettings is absent; expected logging to be on")
            return
        if has_unknown(text):
            yield NotEvaluated("replicationTaskSettings is not known yet")
            return
        try:
            logging = json.loads(text)["Logging"]
            logged = {item["Id"]: item["Severity"] for item in logging["LogComponents"]}
            on = logging["EnableLogging"] is True
        except (ValueError, TypeError, KeyError):
            yield Failed("replicationTaskSettings says nothing of Logging")
            return
        if not on:
            yield Failed("Logging.EnableLogging is not true")
        for component in components:
            if logged.get(component) not in SEVERITIES:
                yield Failed(
                    f"{component} is logged at {logged.get(component, 'no severity')}; "
                    "expected LOGGER_SEVERITY_DEFAULT or more"
                )

    return judged


CONTROLS = (
    Control(
        "DMS.1",
        "A replication instance is not public.",
        "publiclyAccessible",
        (Rule((INSTANCE,), (is_false("publiclyAccessible"),)),),
    ),
    Control(
        "DMS.6",
        "A replication instance takes minor upgrades by itself.",
        "autoMinorVersionUpgrade",
        (Rule((INSTANCE,), (is_true("autoMinorVersionUpgrade"),)),),
    ),
    Control(
        "DMS-KMS",
        "Replication instances and endpoints are encrypted under a key that is named.",
        "kmsKeyArn",
        (Rule((INSTANCE, ENDPOINT), (is_given("kmsKeyArn"),)),),
    ),
    Control(
        "DMS.7",
        "A task logs what it does at the target.",
        "replicationTaskSettings",
        (Rule((TASK,), (_logging("TARGET_APPLY", "TARGET_LOAD"),)),),
    ),
    Control(
        "DMS.8",
        "A task logs what it does at the source.",
        "replicationTaskSettings",
        (Rule((TASK,), (_logging("SOURCE_CAPTURE", "SOURCE_UNLOAD"),)),),
    ),
    Control(
        "DMS.9",
        "An endpoint takes TLS alone, from an authority that is named.",
        "sslMode, certificateArn",
        (Rule((ENDPOINT,), (is_one_of("sslMode", "verify-full", "verify-ca"), is_given("certificateArn"))),),
    ),
)
