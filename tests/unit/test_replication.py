"""The stack `<environment>-replication`: DMS and the databases' own replication."""

import json
from pathlib import Path
from typing import Any

import pulumi
import pytest

from stacks import builder_for
from tests.unit.conftest import OUTPUTS
from tests.unit.recording import IMPORT_WARNINGS, KeyPath, Recording, project_copy, record

pytestmark = pytest.mark.filterwarnings(IMPORT_WARNINGS)

LOGGED = {"SOURCE_UNLOAD", "SOURCE_CAPTURE", "TARGET_LOAD", "TARGET_APPLY"}


def replicated(folder: Path, changes: dict[KeyPath, object]) -> Recording:
    """What the stack registers with changed settings."""
    project = project_copy(folder, changes)
    return record(builder_for("prod-replication", project), "prod-replication", stack_outputs=OUTPUTS)


def settings_of(task: Any) -> dict[str, Any]:
    """A task's settings."""
    found: dict[str, Any] = json.loads(task.inputs["replicationTaskSettings"])
    return found


def test_tasks_are_made_stopped_and_no_up_touches_them(replication: Recording) -> None:
    tasks = replication.of("ReplicationTask")
    assert {name: task.inputs["migrationType"] for name, task in tasks.items()} == {
        "prod-forward": "full-load-and-cdc",
        "prod-reverse": "cdc",
    }
    for task in tasks.values():
        assert task.inputs["startReplicationTask"] is False
        assert {"startReplicationTask", "cdcStartPosition", "tableMappings"} <= set(task.ignore_changes)


def test_tasks_move_every_database_each_way(replication: Recording) -> None:
    for task in replication.of("ReplicationTask").values():
        rules = json.loads(task.inputs["tableMappings"])["rules"]
        places = [rule["object-locator"] for rule in rules]
        assert places == [
            {"schema-name": "boss", "table-name": "%"},
            {"schema-name": "corestone", "table-name": "%"},
        ]
        assert len({rule["rule-id"] for rule in rules}) == len(rules)
    ends = {name: endpoint.inputs for name, endpoint in replication.of("dms/endpoint:Endpoint").items()}
    for direction, source, target in (("forward", "source", "target"), ("reverse", "target", "source")):
        read, written = ends[f"prod-{direction}-source"], ends[f"prod-{direction}-target"]
        assert read["secretsManagerArn"] == f"arn:aws:mock:::prod-replication-{source}"
        assert written["secretsManagerArn"] == f"arn:aws:mock:::prod-replication-{target}"
        assert "databaseName" not in read
        assert "databaseName" not in written, "or all schemas would land in one"


def test_tasks_log_and_validate(replication: Recording) -> None:
    for task in replication.of("ReplicationTask").values():
        settings = settings_of(task)
        logging = settings["Logging"]
        assert logging["EnableLogging"] is True
        severities = {item["Id"]: item["Severity"] for item in logging["LogComponents"]}
        assert severities.keys() >= LOGGED
        assert set(severities.values()) == {"LOGGER_SEVERITY_DEFAULT"}
        assert settings["ValidationSettings"]["EnableValidation"] is True
        assert settings["TargetMetadata"]["FullLobMode"] is True
        assert settings["ErrorBehavior"]["DataTruncationErrorPolicy"] == "STOP_TASK"
    forward = settings_of(replication.of("ReplicationTask")["prod-forward"])
    assert forward["FullLoadSettings"]["TargetTablePrepMode"] == "TRUNCATE_BEFORE_LOAD"
    assert "FullLoadSettings" not in settings_of(replication.of("ReplicationTask")["prod-reverse"])


def test_endpoints_use_tls_with_pinned_authorities_and_no_password(replication: Recording) -> None:
    endpoints = replication.of("dms/endpoint:Endpoint")
    assert len(endpoints) == 4
    for name, endpoint in endpoints.items():
        reads_source = name in ("prod-forward-source", "prod-reverse-target")
        assert endpoint.inputs["sslMode"] == ("verify-ca" if reads_source else "verify-full")
        assert endpoint.inputs["certificateArn"]
        assert endpoint.inputs["kmsKeyArn"]
        assert not {"password", "username", "serverName"} & endpoint.inputs.keys()
    pems = {name: found.plain["certificatePem"] for name, found in replication.of("Certificate").items()}
    assert "source" in pems["prod-source"]
    assert "target" in pems["prod-target"]


def test_secrets_of_the_replication_are_made_empty(replication: Recording) -> None:
    assert len(replication.of("secretsmanager/secret:Secret")) == 2
    assert replication.of("SecretVersion") == {}


def test_the_instance_is_private_and_encrypted(replication: Recording) -> None:
    instance = replication.one("ReplicationInstance").inputs
    assert instance["publiclyAccessible"] is False
    assert instance["autoMinorVersionUpgrade"] is True
    assert instance["multiAz"] is True
    assert instance["kmsKeyArn"] == "arn:aws:mock:::prod-replication"
    assert replication.one("ReplicationSubnetGroup").inputs["subnetIds"] == [
        "subnet-1",
        "subnet-2",
        "subnet-3",
    ]
    rule = replication.one("SecurityGroupIngressRule").inputs
    assert rule["securityGroupId"] == "sg-database"
    assert (rule["fromPort"], rule["toPort"]) == (3306, 3306)


def test_dms_finds_the_roles_that_it_looks_for(replication: Recording, tmp_path: Path) -> None:
    names = {role.inputs.get("name") for role in replication.of("iam/role:Role").values()}
    assert {"dms-vpc-role", "dms-cloudwatch-logs-role"} <= names
    without = replicated(tmp_path, {("replication", "service_roles"): False})
    assert not {role.inputs.get("name") for role in without.of("iam/role:Role").values()} & {
        "dms-vpc-role",
        "dms-cloudwatch-logs-role",
    }


def test_events_of_dms_reach_the_topic(replication: Recording) -> None:
    found = replication.of("dms/eventSubscription:EventSubscription").values()
    assert {each.inputs["sourceType"] for each in found} == {"replication-instance", "replication-task"}
    assert {each.inputs["snsTopicArn"] for each in found} == {
        OUTPUTS["organization/landfall/prod"]["notifications_topic_arn"]
    }


def test_native_replication_leaves_for_the_source_alone(tmp_path: Path) -> None:
    found = replicated(tmp_path, {("replication", "forward"): "native"})
    assert set(found.of("ReplicationTask")) == {"prod-reverse"}, "DMS is the way back"
    rule = found.of("SecurityGroupEgressRule")["prod-database-to-source"].inputs
    assert rule["securityGroupId"] == "sg-database"
    assert rule["cidrIpv4"] == "203.0.113.30/32"
    assert (rule["fromPort"], rule["toPort"]) == (3306, 3306)
    assert found.outputs["native_secret_arn"] == "arn:aws:mock:::prod-native-replication"


def test_postgres_replicates_all_schemas_of_one_database(tmp_path: Path) -> None:
    changes: dict[KeyPath, object] = {
        ("replication", "forward"): "dms",
        ("database", "engine"): "postgres",
        ("database", "port"): 5432,
        ("database", "further"): [],
        ("database", "target", "engine"): "postgres",
        ("database", "target", "version"): "16",
    }
    found = replicated(tmp_path, changes)
    for task in found.of("ReplicationTask").values():
        (rule,) = json.loads(task.inputs["tableMappings"])["rules"]
        assert rule["object-locator"] == {"schema-name": "%", "table-name": "%"}
    for endpoint in found.of("dms/endpoint:Endpoint").values():
        assert endpoint.inputs["engineName"] == "postgres"
        assert endpoint.inputs["databaseName"] == "boss"
        assert "mysqlSettings" not in endpoint.inputs


@pytest.mark.parametrize(
    ("content", "expected"),
    [(None, "cannot be read"), ("not a certificate", "expected certificates in PEM")],
)
def test_a_wrong_certificate_file_is_named(tmp_path: Path, content: str | None, expected: str) -> None:
    project = project_copy(tmp_path)
    file = project / "certificates" / "source.pem"
    if content is None:
        file.unlink()
    else:
        file.write_text(content)
    with pytest.raises(pulumi.RunError, match=rf"replication\.certificates\.source: {expected}"):
        record(builder_for("prod-replication", project), "prod-replication", stack_outputs=OUTPUTS)


def test_rights_of_dms_are_its_own_secrets(replication: Recording) -> None:
    policy = json.loads(replication.of("RolePolicy")["prod-replication"].inputs["policy"])
    resources = [resource for item in policy["Statement"] for resource in _listed(item["Resource"])]
    assert resources
    assert not [resource for resource in resources if "*" in resource]


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value
