"""The databases on RDS and the caches on ElastiCache."""

import json
from pathlib import Path
from typing import Any

import pytest

from stacks import builder_for
from tests.unit.recording import IMPORT_WARNINGS, KeyPath, Recording, Resource, project_copy, record

pytestmark = pytest.mark.filterwarnings(IMPORT_WARNINGS)

LOGS = {"mysql": {"audit", "error", "general", "slowquery"}, "postgres": {"postgresql", "upgrade"}}
"""As RDS.9 asks for them."""
EVERYONE = ("0.0.0.0/0", "::/0")


def rules(recording: Recording, group: str) -> dict[str, dict[str, Any]]:
    """The ingress rules of a security group, by name."""
    return {
        name: rule.inputs
        for name, rule in recording.of("SecurityGroupIngressRule").items()
        if rule.inputs["securityGroupId"] == group
    }


def instances(*recordings: Recording) -> list[Resource]:
    """All RDS instances."""
    return [found for one in recordings for found in one.of("rds/instance:Instance").values()]


def caches(*recordings: Recording) -> list[Resource]:
    """All replication groups."""
    return [found for one in recordings for found in one.of("ReplicationGroup").values()]


def test_databases_are_private_encrypted_watched_and_kept(
    landing_zone: Recording, migration: Recording, destination: Recording
) -> None:
    found = instances(landing_zone, migration, destination)
    assert len(found) == 4
    for database in found:
        inputs = database.inputs
        assert inputs["publiclyAccessible"] is False
        assert inputs["storageEncrypted"] is True
        assert inputs["multiAz"] is True
        assert inputs["manageMasterUserPassword"] is True
        assert "password" not in inputs
        assert inputs["masterUserSecretKmsKeyId"] == inputs["kmsKeyId"]
        assert inputs["backupRetentionPeriod"] >= 7
        assert inputs["copyTagsToSnapshot"] is True
        assert inputs["autoMinorVersionUpgrade"] is True
        assert inputs["iamDatabaseAuthenticationEnabled"] is True
        assert inputs["monitoringInterval"] > 0
        engine = inputs["engine"]
        assert set(inputs["enabledCloudwatchLogsExports"]) == LOGS[engine]
        assert ("optionGroupName" in inputs) == (engine == "mysql")
        assert inputs["username"] not in ("admin", "postgres", "root")
        assert inputs["skipFinalSnapshot"] is False
        assert inputs["finalSnapshotIdentifier"] == f"{database.name}-final"


def test_databases_caches_and_keys_are_protected_twice(
    landing_zone: Recording, migration: Recording, destination: Recording
) -> None:
    for database in instances(landing_zone, migration, destination):
        assert database.protect
        assert database.inputs["deletionProtection"] is True
    for cache in caches(landing_zone, migration, destination):
        assert cache.protect
        assert cache.inputs["finalSnapshotIdentifier"], "ElastiCache has no deletion protection but this"
    for stack in (landing_zone, migration, destination):
        for name, key in stack.of("kms/key:Key").items():
            if any(part in name for part in ("database", "cache", "redis", "secrets", "journal", "velero")):
                assert key.protect, name
                assert key.inputs["deletionWindowInDays"] == 30, name
        for kind in ("ec2/vpc:Vpc", "ec2/subnet:Subnet", "ec2/eip:Eip"):
            assert all(found.protect for found in stack.of(kind).values()), kind
    assert landing_zone.one("eks/cluster:Cluster").protect
    assert landing_zone.one("eks/cluster:Cluster").inputs["deletionProtection"] is True
    assert landing_zone.one("dynamodb/table:Table").protect
    assert landing_zone.one("dynamodb/table:Table").inputs["deletionProtectionEnabled"] is True
    assert "protected: false" in landing_zone.outputs["protection"]


def test_unprotecting_is_one_setting(tmp_path: Path) -> None:
    recording = record(builder_for("prod", project_copy(tmp_path, {("protected",): False})))
    assert not [found.name for found in recording.resources if found.protect]
    assert recording.one("rds/instance:Instance").inputs["deletionProtection"] is False
    assert recording.one("eks/cluster:Cluster").inputs["deletionProtection"] is False
    assert "pulumi destroy" in recording.outputs["protection"]


def test_mysql_is_ready_to_replicate_and_wants_tls(landing_zone: Recording) -> None:
    group = landing_zone.one("rds/parameterGroup:ParameterGroup").inputs
    values = {item["name"]: item["value"] for item in group["parameters"]}
    assert group["family"] == "mysql8.4"
    assert values["require_secure_transport"] == "1"
    assert values["binlog_format"] == "ROW"
    assert values["binlog_row_image"] == "FULL"
    assert values["gtid-mode"] == "ON"
    assert values["enforce_gtid_consistency"] == "ON"
    static = {item["name"] for item in group["parameters"] if item["applyMethod"] == "pending-reboot"}
    assert "gtid-mode" in static


def test_postgres_is_ready_to_replicate_and_wants_tls(destination: Recording) -> None:
    group = destination.one("rds/parameterGroup:ParameterGroup").inputs
    values = {item["name"]: item["value"] for item in group["parameters"]}
    assert group["family"] == "postgres15"
    assert values["rds.force_ssl"] == "1"
    assert values["rds.logical_replication"] == "1"


def test_mysqls_audit_log_tells_who_and_not_what(landing_zone: Recording) -> None:
    group = landing_zone.one("rds/optionGroup:OptionGroup").inputs
    (option,) = group["options"]
    settings = {item["name"]: item["value"] for item in option["optionSettings"]}
    assert (group["engineName"], group["majorEngineVersion"]) == ("mysql", "8.4")
    assert option["optionName"] == "MARIADB_AUDIT_PLUGIN"
    assert set(settings["SERVER_AUDIT_EVENTS"].split(",")) == {"CONNECT", "QUERY_DDL", "QUERY_DCL"}
    assert group["skipDestroy"] is True, "the final snapshot belongs to it"
    assert landing_zone.one("rds/instance:Instance").inputs["optionGroupName"] == "prod-database"
    parameters = landing_zone.one("rds/parameterGroup:ParameterGroup").inputs["parameters"]
    assert "general_log" not in {item["name"] for item in parameters}, "statements hold their values"
    groups = {found.inputs["name"] for found in landing_zone.of("LogGroup").values()}
    assert {f"/aws/rds/instance/prod-database/{log}" for log in LOGS["mysql"]} <= groups


def test_the_sources_parameters_are_added(tmp_path: Path) -> None:
    project = project_copy(
        tmp_path, {("database", "target", "parameters"): {"lower_case_table_names": "1", "sql_mode": "ANSI"}}
    )
    group = record(builder_for("prod", project)).one("rds/parameterGroup:ParameterGroup").inputs
    values = {item["name"]: item["value"] for item in group["parameters"]}
    assert values["lower_case_table_names"] == "1"
    assert values["require_secure_transport"] == "1"


def test_a_database_lets_in_the_cluster_and_the_workspace_alone(landing_zone: Recording) -> None:
    found = rules(landing_zone, "prod-database-id")
    assert {rule["referencedSecurityGroupId"] for rule in found.values()} == {
        "sg-cluster",
        "prod-workspace-id",
    }
    for rule in found.values():
        assert (rule["fromPort"], rule["toPort"]) == (3306, 3306)


def test_nothing_lets_in_everyone(
    landing_zone: Recording, replication: Recording, migration: Recording, destination: Recording
) -> None:
    for stack in (landing_zone, replication, migration, destination):
        for name, rule in stack.of("SecurityGroupIngressRule").items():
            assert rule.inputs.get("cidrIpv4") not in EVERYONE, name
            assert rule.inputs.get("cidrIpv6") not in EVERYONE, name


def test_databases_have_alarms_that_reach_somebody(landing_zone: Recording) -> None:
    alarms = landing_zone.of("MetricAlarm")
    topic = landing_zone.one("sns/topic:Topic").name
    of_database = [alarm.inputs for name, alarm in alarms.items() if name.startswith("prod-database")]
    assert {alarm["metricName"] for alarm in of_database} == {
        "CPUUtilization",
        "FreeStorageSpace",
        "FreeableMemory",
    }
    for alarm in alarms.values():
        assert alarm.inputs["alarmActions"] == [f"{topic}-id"] or topic in str(alarm.inputs["alarmActions"])
    assert len(landing_zone.of("rds/eventSubscription:EventSubscription")) == 3
    assert landing_zone.one("TopicSubscription").inputs["endpoint"] == "alarms@example.com"


def test_caches_are_encrypted_replicated_and_used_as_a_named_user(
    landing_zone: Recording, migration: Recording, destination: Recording
) -> None:
    found = caches(landing_zone, migration, destination)
    assert len(found) == 5
    for cache in found:
        inputs = cache.inputs
        assert inputs["atRestEncryptionEnabled"] in (True, "true")
        assert inputs["transitEncryptionEnabled"] is True
        assert inputs["transitEncryptionMode"] == "required"
        assert inputs["automaticFailoverEnabled"] is True
        assert inputs["multiAzEnabled"] is True
        assert inputs["snapshotRetentionLimit"] >= 1
        assert inputs["numCacheClusters"] == 2
        assert inputs["userGroupIds"] == [cache.name]
        assert inputs["subnetGroupName"] == cache.name


def test_the_default_user_of_a_cache_can_do_nothing(landing_zone: Recording) -> None:
    users = landing_zone.of("elasticache/user:User")
    assert users["prod-cache-default"].plain["accessString"].startswith("off ")
    assert "-@all" in users["prod-cache-default"].plain["accessString"]
    application = users["prod-cache-application"].plain
    assert "-@dangerous" in application["accessString"]
    assert application["authenticationMode"]["type"] == "password"


def test_a_caches_password_is_the_secrets_and_is_kept(landing_zone: Recording) -> None:
    version = landing_zone.one("SecretVersion")
    secret = json.loads(version.plain["secretString"])
    password = landing_zone.of("elasticache/user:User")["prod-cache-application"].plain
    assert password["authenticationMode"]["passwords"] == [secret["password"]]
    assert len(secret["password"]) >= 32
    assert version.ignore_changes == ("secretString",), "a new one is generated in each run"


@pytest.mark.parametrize(
    ("line", "kind", "expected"),
    [
        ("      replicas: 1\n      replicas: 2\n", "ReplicationGroup", {"numCacheClusters": 3}),
        (
            "        desired: 3\n        desired: 4\n",
            "NodeGroup",
            {"scalingConfig": {"minSize": 2, "maxSize": 6, "desiredSize": 4}},
        ),
    ],
)
def test_one_line_of_settings_touches_one_resource(
    landing_zone: Recording, tmp_path: Path, line: str, kind: str, expected: dict[str, Any]
) -> None:
    line, becomes = line.splitlines(keepends=True)
    project = project_copy(tmp_path)
    path = project / "Pulumi.prod.yaml"
    text = path.read_text()
    assert text.count(line) == 1
    path.write_text(text.replace(line, becomes))
    after = {
        (found.type, found.name): found.inputs for found in record(builder_for("prod", project)).resources
    }
    before = {(found.type, found.name): found.inputs for found in landing_zone.resources}
    assert after.keys() == before.keys()
    generated = {"SecretVersion", "User"}  # the password, which no `up` takes again
    changed = [
        key for key in after if after[key] != before[key] and key[0].rpartition(":")[2] not in generated
    ]
    assert len(changed) == 1
    assert changed[0][0].endswith(kind)
    assert after[changed[0]] == before[changed[0]] | expected


@pytest.mark.parametrize(
    ("changes", "absent"),
    [
        ({("cache",): None}, "ReplicationGroup"),
        ({("database", "target"): None, ("replication",): None}, "rds/instance:Instance"),
        ({("velero",): None}, "s3/bucket:Bucket"),
        ({("workspace",): None}, "ec2/instance:Instance"),
    ],
)
def test_what_the_settings_do_not_name_is_not_there(
    tmp_path: Path, changes: dict[KeyPath, object], absent: str
) -> None:
    recording = record(builder_for("prod", project_copy(tmp_path, changes)))
    assert recording.of(absent) == {}
    assert recording.one("eks/cluster:Cluster")
