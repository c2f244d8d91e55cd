"""DMS: instances, endpoints, certificates and tasks. A task is never started or stopped by being declared."""

from __future__ import annotations

from typing import Any

from lab.providers.aws.table import Call, Row, Settle, Tagging, Update
from lab.providers.base import Properties


def _tagging(arn: str) -> Tagging:
    return Tagging(
        tag=Call("AddTagsToResource", {"ResourceArn": f"{{{arn}}}", "Tags": "{tags}"}),
        untag=Call("RemoveTagsFromResource", {"ResourceArn": f"{{{arn}}}", "TagKeys": "{keys}"}),
        path="TagList",
        read=Call("ListTagsForResource", {"ResourceArn": f"{{{arn}}}"}),
    )


def _by(name: str, value: str = "{id}") -> dict[str, Any]:
    return {"Filters": [{"Name": name, "Values": [value]}]}


_GONE = frozenset({"ResourceNotFoundFault"})
_LOGIN = "(MySQLSettings || PostgreSQLSettings)"
_SETTINGS = {"MySQLSettings": "{mysql}", "PostgreSQLSettings": "{postgres}"}


def _endpoint(values: Properties) -> Properties:
    """The engine's own settings, which in AWS hold the secret to sign in with too."""
    engine = "postgres" if "postgres" in str(values.get("engineName")) else "mysql"
    login = {
        "secretsManagerSecretId": values.get("secretsManagerArn"),
        "secretsManagerAccessRoleArn": values.get("secretsManagerAccessRoleArn"),
    }
    stated = {"mysql": values.get("mysqlSettings") or {}, "postgres": values.get("postgresSettings") or {}}
    stated[engine] = stated[engine] | {name: value for name, value in login.items() if value}
    return {name: found or None for name, found in stated.items()}


ROWS = (
    Row(
        token="aws:dms/replicationSubnetGroup:ReplicationSubnetGroup",
        service="dms",
        create=Call(
            "CreateReplicationSubnetGroup", {"Tags": "{tagsAll}"}, result="ReplicationSubnetGroup", rest=True
        ),
        read=Call(
            "DescribeReplicationSubnetGroups",
            _by("replication-subnet-group-id"),
            result="ReplicationSubnetGroups[0]",
        ),
        delete=Call("DeleteReplicationSubnetGroup", {"ReplicationSubnetGroupIdentifier": "{id}"}),
        id="{replicationSubnetGroupId}",
        names={"replicationSubnetGroupId": "ReplicationSubnetGroupIdentifier"},
        reads={"subnetIds": "Subnets[].SubnetIdentifier", "subnets": ""},
        computed={"replicationSubnetGroupArn": "arn:{partition}:dms:{region}:{account}:subgrp:{id}"},
        updates=(
            Update(
                Call(
                    "ModifyReplicationSubnetGroup",
                    {
                        "ReplicationSubnetGroupIdentifier": "{id}",
                        "ReplicationSubnetGroupDescription": "{replicationSubnetGroupDescription}",
                        "SubnetIds": "{subnetIds}",
                    },
                ),
                when=("replicationSubnetGroupDescription", "subnetIds"),
            ),
        ),
        required=("replicationSubnetGroupDescription", "replicationSubnetGroupId", "subnetIds"),
        tags=_tagging("replicationSubnetGroupArn"),
        gone=_GONE,
    ),
    Row(
        token="aws:dms/replicationInstance:ReplicationInstance",
        service="dms",
        create=Call(
            "CreateReplicationInstance", {"Tags": "{tagsAll}"}, result="ReplicationInstance", rest=True
        ),
        read=Call(
            "DescribeReplicationInstances", _by("replication-instance-id"), result="ReplicationInstances[0]"
        ),
        delete=Call("DeleteReplicationInstance", {"ReplicationInstanceArn": "{replicationInstanceArn}"}),
        id="{replicationInstanceId}",
        names={
            "replicationInstanceId": "ReplicationInstanceIdentifier",
            "replicationSubnetGroupId": "ReplicationSubnetGroupIdentifier",
            "multiAz": "MultiAZ",
            "kmsKeyArn": "KmsKeyId",
        },
        reads={
            "replicationSubnetGroupId": "ReplicationSubnetGroup.ReplicationSubnetGroupIdentifier",
            "vpcSecurityGroupIds": "VpcSecurityGroups[].VpcSecurityGroupId",
            "replicationInstancePrivateIps": "ReplicationInstancePrivateIpAddresses",
            "replicationInstancePublicIps": "ReplicationInstancePublicIpAddresses",
            "replicationSubnetGroup": "",
            "vpcSecurityGroups": "",
            "pendingModifiedValues": "",
        },
        updates=(
            Update(
                Call(
                    "ModifyReplicationInstance",
                    {
                        "ReplicationInstanceArn": "{replicationInstanceArn}",
                        "ApplyImmediately": "{applyImmediately}",
                        "AllowMajorVersionUpgrade": "{allowMajorVersionUpgrade}",
                    },
                    rest=True,
                )
            ),
        ),
        local=frozenset({"applyImmediately", "allowMajorVersionUpgrade"}),
        replace=frozenset({"replicationInstanceId"}),
        required=("replicationInstanceClass", "replicationInstanceId"),
        settle=Settle("replicationInstanceStatus", frozenset({"available"}), frozenset({"failed"})),
        tags=_tagging("replicationInstanceArn"),
        gone=_GONE,
    ),
    Row(
        token="aws:dms/certificate:Certificate",
        service="dms",
        create=Call("ImportCertificate", {"Tags": "{tagsAll}"}, result="Certificate", rest=True),
        read=Call("DescribeCertificates", _by("certificate-id"), result="Certificates[0]"),
        delete=Call("DeleteCertificate", {"CertificateArn": "{certificateArn}"}),
        id="{certificateId}",
        names={"certificateId": "CertificateIdentifier"},
        required=("certificateId",),
        tags=_tagging("certificateArn"),
        gone=_GONE,
    ),
    Row(
        token="aws:dms/endpoint:Endpoint",
        service="dms",
        create=Call("CreateEndpoint", {"Tags": "{tagsAll}", **_SETTINGS}, result="Endpoint", rest=True),
        read=Call("DescribeEndpoints", _by("endpoint-id"), result="Endpoints[0]"),
        delete=Call("DeleteEndpoint", {"EndpointArn": "{endpointArn}"}),
        id="{endpointId}",
        names={
            "endpointId": "EndpointIdentifier",
            "kmsKeyArn": "KmsKeyId",
            "mongodbSettings": "MongoDbSettings",
        },
        # AWS's description adds to the settings what they are not stated with, and never tells a password.
        reads={
            "mySQLSettings": "",
            "postgreSQLSettings": "",
            "redisSettings": "",
            "secretsManagerArn": f"{_LOGIN}.SecretsManagerSecretId",
            "secretsManagerAccessRoleArn": f"{_LOGIN}.SecretsManagerAccessRoleArn",
        },
        updates=(
            Update(
                # Whole: AWS keeps nothing of a login that is stated anew without its password.
                Call("ModifyEndpoint", {"EndpointArn": "{endpointArn}", **_SETTINGS}, rest=True),
                whole=True,
            ),
            Update(
                Call("ModifyEndpoint", {"EndpointArn": "{endpointArn}", **_SETTINGS}),
                when=(
                    "secretsManagerArn",
                    "secretsManagerAccessRoleArn",
                    "mysqlSettings",
                    "postgresSettings",
                ),
            ),
        ),
        prepare=_endpoint,
        prepared=frozenset(
            {"secretsManagerArn", "secretsManagerAccessRoleArn", "mysqlSettings", "postgresSettings"}
        ),
        local=frozenset({"pauseReplicationTasks"}),
        replace=frozenset({"endpointId", "kmsKeyArn"}),
        required=("endpointId", "endpointType", "engineName"),
        tags=_tagging("endpointArn"),
        gone=_GONE,
    ),
    Row(
        token="aws:dms/replicationTask:ReplicationTask",
        service="dms",
        create=Call("CreateReplicationTask", {"Tags": "{tagsAll}"}, result="ReplicationTask", rest=True),
        read=Call("DescribeReplicationTasks", _by("replication-task-id"), result="ReplicationTasks[0]"),
        delete=Call("DeleteReplicationTask", {"ReplicationTaskArn": "{replicationTaskArn}"}),
        id="{replicationTaskId}",
        names={"replicationTaskId": "ReplicationTaskIdentifier"},
        reads={"replicationTaskStats": "", "recoveryCheckpoint": "", "stopReason": ""},
        updates=(
            Update(
                Call("ModifyReplicationTask", {"ReplicationTaskArn": "{replicationTaskArn}"}, rest=True),
            ),
        ),
        documents=frozenset({"tableMappings", "replicationTaskSettings"}),
        # False is the default, and true would let an `up` start replication: it is refused.
        local=frozenset({"startReplicationTask"}),
        replace=frozenset({"replicationTaskId"}),
        required=(
            "migrationType",
            "replicationInstanceArn",
            "replicationTaskId",
            "sourceEndpointArn",
            "tableMappings",
            "targetEndpointArn",
        ),
        settle=Settle(
            "status",
            frozenset({"ready", "stopped", "running", "starting", "stopping", "failed"}),
        ),
        tags=_tagging("replicationTaskArn"),
        gone=_GONE,
    ),
    Row(
        token="aws:dms/eventSubscription:EventSubscription",
        service="dms",
        create=Call("CreateEventSubscription", {"Tags": "{tagsAll}"}, result="EventSubscription", rest=True),
        read=Call(
            "DescribeEventSubscriptions", {"SubscriptionName": "{id}"}, result="EventSubscriptionsList[0]"
        ),
        delete=Call("DeleteEventSubscription", {"SubscriptionName": "{id}"}),
        id="{name}",
        names={"name": "SubscriptionName"},
        reads={
            "name": "CustSubscriptionId",
            "sourceIds": "SourceIdsList",
            "eventCategories": "EventCategoriesList",
        },
        computed={"arn": "arn:{partition}:dms:{region}:{account}:es:{id}"},
        updates=(
            Update(
                Call(
                    "ModifyEventSubscription",
                    {
                        "SubscriptionName": "{id}",
                        "SnsTopicArn": "{snsTopicArn}",
                        "SourceType": "{sourceType}",
                        "EventCategories": "{eventCategories}",
                        "Enabled": "{enabled}",
                    },
                ),
                when=("snsTopicArn", "sourceType", "eventCategories", "enabled"),
            ),
        ),
        defaults={"enabled": True},
        required=("eventCategories", "snsTopicArn", "sourceType"),
        autoname="name",
        tags=_tagging("arn"),
        gone=_GONE,
    ),
)
