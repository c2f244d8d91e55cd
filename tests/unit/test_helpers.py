"""Workspace, journal, roles, buckets and Velero of a landing zone, and who may use its cluster."""

import ast
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore import xform_name

from stacks import builder_for
from stacks.runner_phases import PHASES, Resources, statements
from stacks.settings.cutover import AnchorSettings
from tests.unit.recording import ACCOUNT, IMPORT_WARNINGS, PROJECT, Recording, project_copy, record

pytestmark = pytest.mark.filterwarnings(IMPORT_WARNINGS)

OPERATOR = f"arn:aws:iam::{ACCOUNT}:role/operators"
WITHOUT_RESOURCE = ("Describe", "GetMetricData")
"""Actions that AWS limits to no resource."""
RESOURCES = Resources(
    cluster="arn:cluster",
    journal="arn:journal",
    anchors=None,
    journal_key="arn:journal-key",
    state_bucket="state",
    state_key="arn:state-key",
    database_secret="arn:database-secret",
    database_key="arn:database-key",
    database_group="sg-database",
    cache_secret="arn:cache-secret",
    cache_key="arn:cache-key",
    replication_prefix="prod",
    account=ACCOUNT,
    region="ap-southeast-1",
)


def listed(value: Any) -> list[Any]:
    """A list, where a document may hold one item or several."""
    return value if isinstance(value, list) else [value]


def allowed(policy: str) -> Iterator[tuple[str, str]]:
    """Action and resource of each right in a policy."""
    for statement in json.loads(policy)["Statement"]:
        if statement["Effect"] == "Allow":
            for action in listed(statement["Action"]):
                for resource in listed(statement["Resource"]):
                    yield action, resource


def test_the_workspace_has_no_open_port_and_no_public_address(landing_zone: Recording) -> None:
    instance = landing_zone.one("ec2/instance:Instance").inputs
    assert instance["associatePublicIpAddress"] is False
    assert instance["subnetId"] == "prod-private-ap-southeast-1a-id"
    assert instance["metadataOptions"]["httpTokens"] == "required"
    assert "keyName" not in instance
    opened = [
        name
        for name, rule in landing_zone.of("SecurityGroupIngressRule").items()
        if rule.inputs["securityGroupId"] == "prod-workspace-id"
    ]
    assert opened == []
    assert instance["vpcSecurityGroupIds"] == ["prod-workspace-id"]
    template = landing_zone.of("LaunchTemplate")["prod-workspace"].inputs
    assert template["imageId"].startswith("resolve:ssm:/aws/service/")
    (disk,) = template["blockDeviceMappings"]
    assert disk["ebs"]["encrypted"] == "true"
    assert disk["ebs"]["kmsKeyId"]
    assert "userData" not in template
    assert "vpcSecurityGroupIds" not in template, "EC2 takes them in one place alone"


def test_the_workspace_is_entered_by_session_manager_and_may_only_take_roles(landing_zone: Recording) -> None:
    attached = landing_zone.of("RolePolicyAttachment")["prod-workspace"].inputs["policyArn"]
    assert attached == "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"
    policy = landing_zone.of("RolePolicy")["prod-workspace-runner"].inputs["policy"]
    assert {action for action, _ in allowed(policy)} == {"sts:AssumeRole"}
    assert {resource for _, resource in allowed(policy)} == {
        f"arn:aws:mock:::prod-runner-{phase}" for phase in PHASES
    }


def test_what_aws_makes_by_itself_is_tagged(landing_zone: Recording) -> None:
    for name, kinds in (
        ("prod-node", {"instance", "volume", "network-interface"}),
        ("prod-workspace", {"volume", "network-interface"}),
    ):
        made = landing_zone.of("LaunchTemplate")[name].inputs["tagSpecifications"]
        assert {item["resourceType"] for item in made} == kinds
        for item in made:
            assert item["tags"]["project"] == "landfall"
            assert item["tags"]["environment"] == "prod"


@pytest.mark.parametrize("phase", PHASES)
def test_rights_of_a_phase_name_their_resources(phase: str) -> None:
    for statement in statements(phase, RESOURCES):
        assert not [action for action in statement["Action"] if action.endswith("*")], statement
        if statement["Resource"] == "*":
            for action in statement["Action"]:
                assert action.partition(":")[2].startswith(WITHOUT_RESOURCE), action


def test_preflight_looks_and_writes_nothing() -> None:
    actions = {action for item in statements("preflight", RESOURCES) for action in item["Action"]}
    reading = ("Describe", "Get", "List", "Query", "Decrypt")
    assert not [action for action in actions if not action.partition(":")[2].startswith(reading)]
    assert "secretsmanager:GetSecretValue" not in actions


def test_only_the_phase_database_reaches_credentials_and_tasks() -> None:
    for phase in PHASES:
        actions = {action for item in statements(phase, RESOURCES) for action in item["Action"]}
        assert ("secretsmanager:GetSecretValue" in actions) is (phase == "database")
        assert ("dms:StartReplicationTask" in actions) is (phase == "database")
        assert "dms:DeleteReplicationTask" not in actions
        assert "dynamodb:DeleteItem" not in actions


def _called(service: str, files: str = "*.py") -> set[str]:
    """The actions of a service whose operations the cutover names, as boto3 calls them."""
    model = botocore.session.get_session().get_service_model(service)
    operations = {xform_name(name): f"{service}:{name}" for name in model.operation_names}
    named: set[str] = set()
    for file in (PROJECT / "cutover").rglob(files):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                named.add(node.value)
            elif isinstance(node, ast.Attribute):
                named.add(node.attr)
    return {action for operation, action in operations.items() if operation in named}


def test_the_phase_database_may_do_what_the_cutover_calls_and_change_nothing_else() -> None:
    actions = {action for item in statements("database", RESOURCES) for action in item["Action"]}
    called = _called("dms") | _called("ec2")
    assert "dms:StartReplicationTask" in called
    assert called <= actions
    changing = {
        action
        for action in actions
        if action.startswith(("dms:", "ec2:")) and not action.partition(":")[2].startswith("Describe")
    }
    assert changing <= called, "a right that no step uses"


TRANSACTION = {"dynamodb:ConditionCheckItem", "dynamodb:PutItem"}
"""What a transaction of conditions and new items takes; it has no right of its own."""


@pytest.mark.parametrize("anchors", [None, AnchorSettings(bucket="audit", region="eu-west-1", prefix="a/")])
def test_the_journal_takes_exactly_the_rights_of_what_it_calls(anchors: AnchorSettings | None) -> None:
    called = _called("dynamodb", "dynamodb*.py")
    assert "dynamodb:TransactWriteItems" in called
    wanted = called - {"dynamodb:TransactWriteItems"} | TRANSACTION
    for phase in PHASES:
        rights = {
            action: item["Resource"]
            for item in statements(phase, replace(RESOURCES, anchors=anchors, state_bucket=None))
            for action in item["Action"]
            if action.startswith(("dynamodb:", "s3:"))
        }
        reading = {"dynamodb:GetItem", "dynamodb:Query"}
        of_the_table = {action for action in rights if action.startswith("dynamodb:")}
        assert of_the_table == (reading if phase == "preflight" else wanted)
        assert {rights[action] for action in of_the_table} == {"arn:journal"}
        of_the_bucket = {action: rights[action] for action in rights if action.startswith("s3:")}
        looking = dict.fromkeys(
            ("s3:GetBucketObjectLockConfiguration", "s3:ListBucketVersions"), "arn:aws:s3:::audit"
        )
        writing = {} if phase == "preflight" else {"s3:PutObject": "arn:aws:s3:::audit/a/*"}
        assert of_the_bucket == ({} if anchors is None else looking | writing)


def test_the_fence_opens_and_closes_the_databases_group_alone(landing_zone: Recording) -> None:
    policy = landing_zone.of("RolePolicy")["prod-runner-database"].inputs["policy"]
    rights = {action: resource for action, resource in allowed(policy) if action.startswith("ec2:")}
    group = f"arn:aws:ec2:ap-southeast-1:{ACCOUNT}:security-group/prod-database-id"
    assert rights == {
        "ec2:DescribeSecurityGroupRules": "*",
        "ec2:AuthorizeSecurityGroupIngress": group,
        "ec2:RevokeSecurityGroupIngress": group,
    }


def test_an_unknown_phase_is_named() -> None:
    with pytest.raises(ValueError, match="no phase is named 'all'; there are preflight, services, database"):
        statements("all", RESOURCES)


def test_operators_take_the_roles_with_a_second_factor(tmp_path: Path) -> None:
    project = project_copy(tmp_path, {("runner",): {"operators": [OPERATOR], "session_minutes": 60}})
    recording = record(builder_for("prod", project))
    for phase in PHASES:
        role = recording.of("iam/role:Role")[f"prod-runner-{phase}"].inputs
        assert role["maxSessionDuration"] == 3600
        instance, people = json.loads(role["assumeRolePolicy"])["Statement"]
        assert instance["Principal"] == {"AWS": "arn:aws:mock:::prod-workspace"}
        assert people["Principal"] == {"AWS": [OPERATOR]}
        assert people["Condition"] == {"Bool": {"aws:MultiFactorAuthPresent": "true"}}


def test_the_runner_works_in_its_namespaces_and_sees_the_rest(landing_zone: Recording) -> None:
    associations = landing_zone.of("AccessPolicyAssociation")
    scopes = {name: found.inputs["accessScope"] for name, found in associations.items()}
    for phase in PHASES:
        assert scopes[f"prod-runner-{phase}-view"] == {"type": "cluster"}
    assert "prod-runner-preflight-admin" not in scopes
    for phase in ("services", "database"):
        assert scopes[f"prod-runner-{phase}-admin"] == {
            "type": "namespace",
            "namespaces": ["middleware", "billing-guance-intl", "guance-basis"],
        }
    assert not [found for found in associations.values() if "ClusterAdmin" in found.inputs["policyArn"]]


def test_the_journal_is_encrypted_and_recoverable(landing_zone: Recording) -> None:
    table = landing_zone.one("dynamodb/table:Table").inputs
    assert table["name"] == landing_zone.outputs["journal_table"] == "prod-cutover-journal"
    assert table["pointInTimeRecovery"]["enabled"] is True
    assert table["serverSideEncryption"]["kmsKeyArn"] == "arn:aws:mock:::prod-journal"
    assert (table["hashKey"], table["rangeKey"]) == ("journal", "sequence")


def test_buckets_are_closed_encrypted_versioned_and_logged(
    landing_zone: Recording, migration: Recording
) -> None:
    for stack, data in ((landing_zone, "prod-velero"), (migration, "rhoam-migration-dumps")):
        buckets = stack.of("s3/bucket:Bucket")
        assert len(buckets) == 2
        for name, bucket in buckets.items():
            assert bucket.protect
            assert bucket.inputs["forceDestroy"] is False
            access = stack.of("BucketPublicAccessBlock")[name].inputs
            assert all(value is True for key, value in access.items() if key != "bucket")
            assert stack.of("BucketVersioning")[name].inputs["versioningConfiguration"] == {
                "status": "Enabled"
            }
            (refusal, *_) = json.loads(stack.of("BucketPolicy")[name].inputs["policy"])["Statement"]
            assert refusal["Effect"] == "Deny"
            assert refusal["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
            (rule,) = stack.of("BucketLifecycleConfiguration")[name].inputs["rules"]
            assert rule["status"] == "Enabled"
        logging = stack.one("BucketLogging").inputs
        assert logging["bucket"] == f"{data}-id"
        (encryption,) = stack.of("BucketServerSideEncryptionConfiguration")[data].inputs["rules"]
        assert encryption["applyServerSideEncryptionByDefault"]["sseAlgorithm"] == "aws:kms"


def test_velero_writes_its_bucket_and_nothing_else(landing_zone: Recording) -> None:
    rights = {
        *allowed(landing_zone.of("RolePolicy")["prod-velero"].inputs["policy"]),
        *allowed(landing_zone.of("UserPolicy")["prod-velero-source"].inputs["policy"]),
    }
    assert {resource for _, resource in rights} == {
        "arn:aws:mock:::prod-velero",
        "arn:aws:mock:::prod-velero/*",
    }
    assert landing_zone.of("AccessKey") == {}, "its owner makes one, for the time of the migration"
    identity = landing_zone.of("PodIdentityAssociation")["prod-velero"].inputs
    assert (identity["namespace"], identity["serviceAccount"]) == ("velero", "velero-server")


def test_addons_enforce_network_policies_and_wait_for_nodes(landing_zone: Recording) -> None:
    addons = landing_zone.of("eks/addon:Addon")
    assert {addon.inputs["addonName"] for addon in addons.values()} == {
        "aws-ebs-csi-driver",
        "coredns",
        "eks-pod-identity-agent",
        "kube-proxy",
        "metrics-server",
        "vpc-cni",
    }
    configuration = json.loads(addons["prod-vpc-cni"].inputs["configurationValues"])
    assert configuration == {"enableNetworkPolicy": "true"}
    for name in ("coredns", "metrics-server", "aws-ebs-csi-driver"):
        assert any("NodeGroup::" in urn for urn in addons[f"prod-{name}"].dependencies)


def test_pods_have_roles_of_their_own(landing_zone: Recording) -> None:
    for name, role in landing_zone.of("iam/role:Role").items():
        trusted = json.loads(role.inputs["assumeRolePolicy"])["Statement"][0]["Principal"]
        if trusted == {"Service": "pods.eks.amazonaws.com"}:
            association = landing_zone.of("PodIdentityAssociation")[name].inputs
            assert association["roleArn"] == f"arn:aws:mock:::{name}"
    node_policies = [
        found.inputs["policyArn"]
        for name, found in landing_zone.of("RolePolicyAttachment").items()
        if name.startswith("prod-node-")
    ]
    assert not [arn for arn in node_policies if "FullAccess" in arn or "Administrator" in arn]


def test_the_load_balancer_controller_changes_its_clusters_alone(landing_zone: Recording) -> None:
    document = json.loads(landing_zone.of("RolePolicy")["prod-load-balancer-controller"].inputs["policy"])
    for statement in document["Statement"]:
        names = [action.partition(":")[2] for action in listed(statement["Action"])]
        changes = [name for name in names if name.startswith(("Delete", "Modify", "Revoke", "Deregister"))]
        if changes:
            assert "aws:ResourceTag" in str(statement["Condition"]), changes


def test_connections_in_the_vpc_are_recorded(landing_zone: Recording, migration: Recording) -> None:
    for stack in (landing_zone, migration):
        log = stack.one("FlowLog").inputs
        assert log["trafficType"] == "ALL"
        assert log["vpcId"] == stack.one("ec2/vpc:Vpc").name + "-id"


def test_endpoints_stay_in_the_vpc(landing_zone: Recording) -> None:
    endpoints = landing_zone.of("VpcEndpoint")
    kinds = [found.inputs["vpcEndpointType"] for found in endpoints.values()]
    assert kinds.count("Gateway") == 2
    assert kinds.count("Interface") == 9
    for endpoint in endpoints.values():
        if endpoint.inputs["vpcEndpointType"] == "Interface":
            assert endpoint.inputs["privateDnsEnabled"] is True
            assert endpoint.inputs["securityGroupIds"] == ["prod-endpoints-id"]
    rule = landing_zone.of("SecurityGroupIngressRule")["prod-endpoints"].inputs
    assert rule["cidrIpv4"] == "10.40.0.0/16"
