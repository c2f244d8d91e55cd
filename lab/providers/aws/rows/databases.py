"""RDS: instances and the groups and subscriptions around them."""

from __future__ import annotations

from lab.providers.aws.hooks import groups
from lab.providers.aws.table import Call, Hook, Row, Settle, Tagging, Update
from lab.providers.base import Properties

_TAGS = Tagging(
    tag=Call("AddTagsToResource", {"ResourceName": "{arn}", "Tags": "{tags}"}),
    untag=Call("RemoveTagsFromResource", {"ResourceName": "{arn}", "TagKeys": "{keys}"}),
    path="TagList",
    read=Call("ListTagsForResource", {"ResourceName": "{arn}"}),
)
_MODIFY = {
    "DBInstanceIdentifier": "{id}",
    "ApplyImmediately": "{applyImmediately}",
    "AllowMajorVersionUpgrade": "{allowMajorVersionUpgrade}",
}


def _instance(values: Properties) -> Properties:
    """A final snapshot is named only where one is taken; log exports are changed by what comes and goes."""
    before = set((values.get("old") or {}).get("enabledCloudwatchLogsExports") or [])
    after = set(values.get("enabledCloudwatchLogsExports") or [])
    snapshot = None if values.get("skipFinalSnapshot") else values.get("finalSnapshotIdentifier")
    return {
        "addedLogs": sorted(after - before),
        "removedLogs": sorted(before - after),
        "finalSnapshot": snapshot,
    }


ROWS = (
    Row(
        token="aws:rds/instance:Instance",
        service="rds",
        create=Call("CreateDBInstance", {"Tags": "{tagsAll}"}, result="DBInstance", rest=True),
        read=Call("DescribeDBInstances", {"DBInstanceIdentifier": "{id}"}, result="DBInstances[0]"),
        delete=Call(
            "DeleteDBInstance",
            {
                "DBInstanceIdentifier": "{id}",
                "SkipFinalSnapshot": "{skipFinalSnapshot}",
                "FinalDBSnapshotIdentifier": "{finalSnapshot}",
                "DeleteAutomatedBackups": "{deleteAutomatedBackups}",
            },
        ),
        id="{identifier}",
        names={
            "identifier": "DBInstanceIdentifier",
            "instanceClass": "DBInstanceClass",
            "username": "MasterUsername",
            "password": "MasterUserPassword",
            "parameterGroupName": "DBParameterGroupName",
            "backupWindow": "PreferredBackupWindow",
            "maintenanceWindow": "PreferredMaintenanceWindow",
            "multiAz": "MultiAZ",
            "caCertIdentifier": "CACertificateIdentifier",
            "iamDatabaseAuthenticationEnabled": "EnableIAMDatabaseAuthentication",
            "performanceInsightsEnabled": "EnablePerformanceInsights",
            "performanceInsightsKmsKeyId": "PerformanceInsightsKMSKeyId",
            "enabledCloudwatchLogsExports": "EnableCloudwatchLogsExports",
            "customerOwnedIpEnabled": "EnableCustomerOwnedIp",
            "arn": "DBInstanceArn",
            "resourceId": "DbiResourceId",
            "status": "DBInstanceStatus",
        },
        reads={
            "parameterGroupName": "DBParameterGroups[0].DBParameterGroupName",
            "optionGroupName": "OptionGroupMemberships[0].OptionGroupName",
            "dbSubnetGroupName": "DBSubnetGroup.DBSubnetGroupName",
            "vpcSecurityGroupIds": "VpcSecurityGroups[].VpcSecurityGroupId",
            "address": "Endpoint.Address",
            "port": "Endpoint.Port",
            "hostedZoneId": "Endpoint.HostedZoneId",
            "endpoint": "Endpoint.Address && join(':', [Endpoint.Address, to_string(Endpoint.Port)])",
            "engineVersionActual": "EngineVersion",
            # A program may state a prefix of the version that is in use.
            "engineVersion": "starts_with(EngineVersion, '{engineVersion}')"
            " && '{engineVersion}' || EngineVersion",
            "masterUserSecrets": "MasterUserSecret && [{kmsKeyId: MasterUserSecret.KmsKeyId,"
            " secretArn: MasterUserSecret.SecretArn, secretStatus: MasterUserSecret.SecretStatus}] || `[]`",
            "masterUserSecretKmsKeyId": "MasterUserSecret.KmsKeyId",
            "masterUserSecret": "",
            "dbSubnetGroup": "",
            "dbParameterGroups": "",
            "dbSecurityGroups": "",
            "vpcSecurityGroups": "",
            "optionGroupMemberships": "",
            "pendingModifiedValues": "",
            "tagList": "",
        },
        updates=(
            Update(
                Call(
                    "ModifyDBInstance",
                    {
                        **_MODIFY,
                        "CloudwatchLogsExportConfiguration": {
                            "EnableLogTypes": "{addedLogs}",
                            "DisableLogTypes": "{removedLogs}",
                        },
                    },
                ),
                when=("enabledCloudwatchLogsExports",),
            ),
            Update(Call("ModifyDBInstance", {**_MODIFY, "DBPortNumber": "{port}"}), when=("port",)),
            Update(Call("ModifyDBInstance", _MODIFY, rest=True)),
        ),
        prepare=_instance,
        defaults={"deletionProtection": False, "enabledCloudwatchLogsExports": []},
        local=frozenset(
            {
                "applyImmediately",
                "allowMajorVersionUpgrade",
                "skipFinalSnapshot",
                "finalSnapshotIdentifier",
                "deleteAutomatedBackups",
            }
        ),
        replace=frozenset({"engine", "availabilityZone", "identifier"}),
        required=("instanceClass",),
        autoname="identifier",
        lower=True,
        tags=_TAGS,
        settle=Settle(
            "status",
            frozenset({"available", "storage-optimization"}),
            frozenset({"failed", "incompatible-parameters", "incompatible-network", "storage-full"}),
        ),
        gone=frozenset({"DBInstanceNotFound", "DBInstanceNotFoundFault"}),
    ),
    Row(
        token="aws:rds/parameterGroup:ParameterGroup",
        service="rds",
        create=Call(
            "CreateDBParameterGroup",
            {"Tags": "{tagsAll}", "Description": "{description}"},
            result="DBParameterGroup",
            rest=True,
        ),
        read=Call(
            "DescribeDBParameterGroups", {"DBParameterGroupName": "{id}"}, result="DBParameterGroups[0]"
        ),
        delete=Call("DeleteDBParameterGroup", {"DBParameterGroupName": "{id}"}),
        id="{name}",
        names={
            "name": "DBParameterGroupName",
            "family": "DBParameterGroupFamily",
            "arn": "DBParameterGroupArn",
        },
        prepare=lambda values: {"description": values.get("description") or "Managed by Pulumi"},
        hooks=(Hook(("parameters",), groups.RDS.set, groups.RDS.read),),
        local=frozenset({"skipDestroy"}),
        required=("family",),
        autoname="name",
        lower=True,
        tags=_TAGS,
        gone=frozenset({"DBParameterGroupNotFound", "DBParameterGroupNotFoundFault"}),
    ),
    Row(
        token="aws:rds/optionGroup:OptionGroup",
        service="rds",
        create=Call(
            "CreateOptionGroup",
            {"Tags": "{tagsAll}", "OptionGroupDescription": "{description}"},
            result="OptionGroup",
            rest=True,
        ),
        read=Call("DescribeOptionGroups", {"OptionGroupName": "{id}"}, result="OptionGroupsList[0]"),
        delete=Call("DeleteOptionGroup", {"OptionGroupName": "{id}"}),
        id="{name}",
        names={"name": "OptionGroupName", "arn": "OptionGroupArn"},
        reads={"options": ""},
        prepare=lambda values: {"description": values.get("optionGroupDescription") or "Managed by Pulumi"},
        prepared=frozenset({"optionGroupDescription"}),
        hooks=(Hook(("options",), groups.set_options, groups.read_options),),
        local=frozenset({"skipDestroy"}),
        kept="skipDestroy",
        required=("engineName", "majorEngineVersion"),
        autoname="name",
        lower=True,
        tags=_TAGS,
        gone=frozenset({"OptionGroupNotFoundFault"}),
    ),
    Row(
        token="aws:rds/subnetGroup:SubnetGroup",
        service="rds",
        create=Call(
            "CreateDBSubnetGroup",
            {"Tags": "{tagsAll}", "DBSubnetGroupDescription": "{description}"},
            result="DBSubnetGroup",
            rest=True,
        ),
        read=Call("DescribeDBSubnetGroups", {"DBSubnetGroupName": "{id}"}, result="DBSubnetGroups[0]"),
        delete=Call("DeleteDBSubnetGroup", {"DBSubnetGroupName": "{id}"}),
        id="{name}",
        names={
            "name": "DBSubnetGroupName",
            "description": "DBSubnetGroupDescription",
            "arn": "DBSubnetGroupArn",
        },
        reads={"subnetIds": "Subnets[].SubnetIdentifier", "subnets": ""},
        prepare=lambda values: {"description": values.get("description") or "Managed by Pulumi"},
        updates=(
            Update(
                Call(
                    "ModifyDBSubnetGroup",
                    {
                        "DBSubnetGroupName": "{id}",
                        "DBSubnetGroupDescription": "{description}",
                        "SubnetIds": "{subnetIds}",
                    },
                ),
                when=("description", "subnetIds"),
            ),
        ),
        required=("subnetIds",),
        autoname="name",
        lower=True,
        tags=_TAGS,
        gone=frozenset({"DBSubnetGroupNotFoundFault", "DBSubnetGroupNotFound"}),
    ),
    Row(
        token="aws:rds/eventSubscription:EventSubscription",
        service="rds",
        create=Call(
            "CreateEventSubscription",
            {"Tags": "{tagsAll}", "Enabled": "{active}"},
            result="EventSubscription",
            rest=True,
        ),
        # Without a word of it, a subscription is active.
        prepare=lambda values: {"active": values.get("enabled", True)},
        read=Call(
            "DescribeEventSubscriptions", {"SubscriptionName": "{id}"}, result="EventSubscriptionsList[0]"
        ),
        delete=Call("DeleteEventSubscription", {"SubscriptionName": "{id}"}),
        id="{name}",
        names={"name": "SubscriptionName", "snsTopic": "SnsTopicArn", "arn": "EventSubscriptionArn"},
        reads={
            "name": "CustSubscriptionId",
            "sourceIds": "SourceIdsList",
            "eventCategories": "EventCategoriesList",
            "sourceIdsList": "",
            "eventCategoriesList": "",
            "custSubscriptionId": "",
        },
        updates=(
            Update(
                Call(
                    "ModifyEventSubscription",
                    {
                        "SubscriptionName": "{id}",
                        "SnsTopicArn": "{snsTopic}",
                        "SourceType": "{sourceType}",
                        "EventCategories": "{eventCategories}",
                        "Enabled": "{enabled}",
                    },
                ),
                when=("snsTopic", "sourceType", "eventCategories", "enabled"),
            ),
        ),
        defaults={"enabled": True},
        required=("snsTopic",),
        autoname="name",
        tags=_TAGS,
        gone=frozenset({"SubscriptionNotFound", "SubscriptionNotFoundFault"}),
    ),
)
