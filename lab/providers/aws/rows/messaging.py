"""Topics, alarms, secrets and the journal's table."""

from __future__ import annotations

from lab.providers.aws.table import Call, Row, Settle, Tagging, Update
from lab.providers.base import Properties

_TOPIC_ATTRIBUTES = {
    "displayName": "DisplayName",
    "kmsMasterKeyId": "KmsMasterKeyId",
    "policy": "Policy",
    "deliveryPolicy": "DeliveryPolicy",
    "signatureVersion": "SignatureVersion",
    "tracingConfig": "TracingConfig",
}


def _attributes(kind: str, names: dict[str, str]) -> tuple[Update, ...]:
    return tuple(
        Update(
            Call(
                f"Set{kind}Attributes",
                {f"{kind}Arn": "{id}", "AttributeName": member, "AttributeValue": f"{{{name}}}"},
            ),
            when=(name,),
        )
        for name, member in names.items()
    )


_SUBSCRIPTION_ATTRIBUTES = {
    "rawMessageDelivery": "RawMessageDelivery",
    "filterPolicy": "FilterPolicy",
    "filterPolicyScope": "FilterPolicyScope",
    "deliveryPolicy": "DeliveryPolicy",
    "redrivePolicy": "RedrivePolicy",
}
_ALARM = Call("PutMetricAlarm", rest=True)
_TOPIC_POLICY = Call(
    "SetTopicAttributes", {"TopicArn": "{arn}", "AttributeName": "Policy", "AttributeValue": "{policy}"}
)


def _secret(values: Properties) -> Properties:
    """A window of 0 days means: at once."""
    window = values.get("recoveryWindowInDays")
    return {"force": True if window == 0 else None, "window": None if window == 0 else window or 30}


def _table(values: Properties) -> Properties:
    keys = [{"attributeName": values.get("hashKey"), "keyType": "HASH"}]
    if values.get("rangeKey"):
        keys.append({"attributeName": values["rangeKey"], "keyType": "RANGE"})
    encryption = values.get("serverSideEncryption")
    stated = None
    if encryption is not None:
        stated = {"enabled": encryption.get("enabled", False)}
        if stated["enabled"]:
            stated |= {"sseType": "KMS"}
            if encryption.get("kmsKeyArn"):
                stated["kmsMasterKeyId"] = encryption["kmsKeyArn"]
    capacity = None
    if values.get("readCapacity") or values.get("writeCapacity"):
        capacity = {
            "readCapacityUnits": values.get("readCapacity"),
            "writeCapacityUnits": values.get("writeCapacity"),
        }
    return {"keySchema": keys, "sseSpecification": stated, "capacity": capacity}


ROWS = (
    Row(
        token="aws:sns/topic:Topic",
        service="sns",
        create=Call(
            "CreateTopic",
            {
                "Name": "{name}",
                "Tags": "{tagsAll}",
                "Attributes": {member: f"{{{name}}}" for name, member in _TOPIC_ATTRIBUTES.items()}
                | {"FifoTopic": "{fifoTopic}"},
            },
        ),
        read=Call("GetTopicAttributes", {"TopicArn": "{id}"}, result="Attributes"),
        delete=Call("DeleteTopic", {"TopicArn": "{id}"}),
        id="{topicArn}",
        reads={"arn": "TopicArn"},
        updates=_attributes("Topic", _TOPIC_ATTRIBUTES),
        documents=frozenset({"policy", "deliveryPolicy"}),
        defaults={"displayName": "", "kmsMasterKeyId": ""},
        autoname="name",
        tags=Tagging(
            tag=Call("TagResource", {"ResourceArn": "{id}", "Tags": "{tags}"}),
            untag=Call("UntagResource", {"ResourceArn": "{id}", "TagKeys": "{keys}"}),
            read=Call("ListTagsForResource", {"ResourceArn": "{id}"}),
        ),
        gone=frozenset({"NotFound", "NotFoundException"}),
    ),
    Row(
        token="aws:sns/topicSubscription:TopicSubscription",
        service="sns",
        create=Call(
            "Subscribe",
            {
                "TopicArn": "{topic}",
                "Protocol": "{protocol}",
                "Endpoint": "{endpoint}",
                "ReturnSubscriptionArn": True,
                "Attributes": {member: f"{{{name}}}" for name, member in _SUBSCRIPTION_ATTRIBUTES.items()},
            },
        ),
        read=Call("GetSubscriptionAttributes", {"SubscriptionArn": "{id}"}, result="Attributes"),
        delete=Call("Unsubscribe", {"SubscriptionArn": "{id}"}),
        id="{subscriptionArn}",
        reads={"arn": "SubscriptionArn", "topic": "TopicArn", "ownerId": "Owner"},
        updates=_attributes("Subscription", _SUBSCRIPTION_ATTRIBUTES),
        documents=frozenset({"filterPolicy", "deliveryPolicy", "redrivePolicy"}),
        local=frozenset({"confirmationTimeoutInMinutes", "endpointAutoConfirms"}),
        required=("topic", "protocol", "endpoint"),
        gone=frozenset({"NotFound", "NotFoundException"}),
    ),
    Row(
        # A topic always has a policy: deleting this resource leaves it as it is.
        token="aws:sns/topicPolicy:TopicPolicy",
        service="sns",
        create=_TOPIC_POLICY,
        read=Call("GetTopicAttributes", {"TopicArn": "{id}"}, result="Attributes"),
        delete=None,
        id="{arn}",
        reads={"topicArn": ""},
        updates=(Update(_TOPIC_POLICY, when=("policy",)),),
        documents=frozenset({"policy"}),
        required=("arn", "policy"),
        gone=frozenset({"NotFound", "NotFoundException"}),
    ),
    Row(
        token="aws:cloudwatch/metricAlarm:MetricAlarm",
        service="cloudwatch",
        create=Call("PutMetricAlarm", {"Tags": "{tagsAll}"}, rest=True),
        read=Call(
            "DescribeAlarms",
            {"AlarmNames": ["{id}"], "AlarmTypes": ["MetricAlarm"]},
            result="MetricAlarms[0]",
        ),
        delete=Call("DeleteAlarms", {"AlarmNames": ["{id}"]}),
        id="{name}",
        names={
            "name": "AlarmName",
            "arn": "AlarmArn",
            "okActions": "OKActions",
            "evaluateLowSampleCountPercentiles": "EvaluateLowSampleCountPercentile",
        },
        maps=frozenset({"dimensions"}),
        updates=(Update(_ALARM, whole=True),),
        replace=frozenset({"name"}),
        required=("comparisonOperator", "evaluationPeriods"),
        autoname="name",
        tags=Tagging(
            tag=Call("TagResource", {"ResourceARN": "{arn}", "Tags": "{tags}"}),
            untag=Call("UntagResource", {"ResourceARN": "{arn}", "TagKeys": "{keys}"}),
            read=Call("ListTagsForResource", {"ResourceARN": "{arn}"}),
        ),
        gone=frozenset({"ResourceNotFound", "ResourceNotFoundException"}),
    ),
    Row(
        token="aws:secretsmanager/secret:Secret",
        service="secretsmanager",
        create=Call("CreateSecret", {"Tags": "{tagsAll}"}, rest=True),
        read=Call("DescribeSecret", {"SecretId": "{id}"}),
        delete=Call(
            "DeleteSecret",
            {"SecretId": "{id}", "RecoveryWindowInDays": "{window}", "ForceDeleteWithoutRecovery": "{force}"},
        ),
        id="{arn}",
        # A secret that waits for its end is gone for us.
        reads={"deleted": "DeletedDate && 'yes'", "versionIdsToStages": "", "deletedDate": ""},
        gone_states={"deleted": frozenset({"yes"})},
        updates=(Update(Call("UpdateSecret", {"SecretId": "{id}"}, rest=True)),),
        prepare=_secret,
        defaults={"description": ""},
        local=frozenset({"recoveryWindowInDays", "forceOverwriteReplicaSecret"}),
        replace=frozenset({"name"}),
        autoname="name",
        tags=Tagging(
            tag=Call("TagResource", {"SecretId": "{id}", "Tags": "{tags}"}),
            untag=Call("UntagResource", {"SecretId": "{id}", "TagKeys": "{keys}"}),
        ),
        gone=frozenset({"ResourceNotFoundException"}),
    ),
    Row(
        # A version goes with its secret: the current one cannot be deleted by itself.
        token="aws:secretsmanager/secretVersion:SecretVersion",
        service="secretsmanager",
        create=Call("PutSecretValue", {"SecretId": "{secretId}"}, rest=True),
        read=Call("GetSecretValue", {"SecretId": "{secretId}", "VersionId": "{versionId}"}),
        delete=None,
        id="{secretId}|{versionId}",
        reads={"name": "", "versionStages": "VersionStages"},
        looks=(("secretArn", Call("DescribeSecret", {"SecretId": "{secretId}"}, result="ARN")),),
        required=("secretId",),
        gone=frozenset({"ResourceNotFoundException"}),
    ),
    Row(
        token="aws:dynamodb/table:Table",
        service="dynamodb",
        create=Call(
            "CreateTable",
            {
                "KeySchema": "{keySchema}",
                "SSESpecification": "{sseSpecification}",
                "ProvisionedThroughput": "{capacity}",
                "StreamSpecification": {
                    "StreamEnabled": "{streamEnabled!}",
                    "StreamViewType": "{streamViewType}",
                },
                "Tags": "{tagsAll}",
            },
            result="TableDescription",
            rest=True,
        ),
        read=Call("DescribeTable", {"TableName": "{id}"}, result="Table"),
        delete=Call("DeleteTable", {"TableName": "{id}"}),
        id="{name}",
        names={
            "name": "TableName",
            "arn": "TableArn",
            "attributes": "AttributeDefinitions",
            "attributes.name": "AttributeName",
            "attributes.type": "AttributeType",
            "streamArn": "LatestStreamArn",
            "streamLabel": "LatestStreamLabel",
        },
        reads={
            "hashKey": "KeySchema[?KeyType=='HASH'].AttributeName | [0]",
            "rangeKey": "KeySchema[?KeyType=='RANGE'].AttributeName | [0]",
            "billingMode": "BillingModeSummary.BillingMode || 'PROVISIONED'",
            "tableClass": "TableClassSummary.TableClass",
            "serverSideEncryption": "SSEDescription && {enabled: SSEDescription.Status == 'ENABLED',"
            " kmsKeyArn: SSEDescription.KMSMasterKeyArn}",
            "streamEnabled": "StreamSpecification.StreamEnabled",
            "streamViewType": "StreamSpecification.StreamViewType",
            "readCapacity": "ProvisionedThroughput.ReadCapacityUnits",
            "writeCapacity": "ProvisionedThroughput.WriteCapacityUnits",
            "keySchema": "",
            "provisionedThroughput": "",
            "sseDescription": "",
            "billingModeSummary": "",
            "tableClassSummary": "",
            "streamSpecification": "",
            "itemCount": "",
            "tableSizeBytes": "",
        },
        looks=(
            (
                "pointInTimeRecovery",
                Call(
                    "DescribeContinuousBackups",
                    {"TableName": "{id}"},
                    result="ContinuousBackupsDescription.PointInTimeRecoveryDescription."
                    "{enabled: PointInTimeRecoveryStatus == 'ENABLED'}",
                ),
            ),
            (
                "ttl",
                Call(
                    "DescribeTimeToLive",
                    {"TableName": "{id}"},
                    result="TimeToLiveDescription."
                    "{attributeName: AttributeName, enabled: TimeToLiveStatus == 'ENABLED'}",
                ),
            ),
        ),
        updates=(
            Update(
                Call(
                    "UpdateContinuousBackups",
                    {
                        "TableName": "{id}",
                        "PointInTimeRecoverySpecification": {
                            "PointInTimeRecoveryEnabled": "{pointInTimeRecovery.enabled}"
                        },
                    },
                ),
                when=("pointInTimeRecovery",),
                on_create=True,
            ),
            Update(
                Call(
                    "UpdateTimeToLive",
                    {
                        "TableName": "{id}",
                        "TimeToLiveSpecification": {
                            "AttributeName": "{ttl.attributeName}",
                            "Enabled": "{ttl.enabled}",
                        },
                    },
                ),
                when=("ttl",),
                on_create=True,
            ),
            Update(
                Call("UpdateTable", {"TableName": "{id}", "SSESpecification": "{sseSpecification}"}),
                when=("serverSideEncryption",),
            ),
            Update(
                Call(
                    "UpdateTable",
                    {
                        "TableName": "{id}",
                        "BillingMode": "{billingMode}",
                        "ProvisionedThroughput": "{capacity}",
                    },
                ),
                when=("billingMode", "readCapacity", "writeCapacity"),
            ),
            Update(Call("UpdateTable", {"TableName": "{id}"}, rest=True)),
        ),
        prepare=_table,
        prepared=frozenset({"hashKey", "rangeKey", "serverSideEncryption", "readCapacity", "writeCapacity"}),
        defaults={"deletionProtectionEnabled": False},
        replace=frozenset({"name", "hashKey", "rangeKey", "attributes"}),
        required=("attributes", "hashKey"),
        autoname="name",
        settle=Settle("tableStatus", frozenset({"ACTIVE"})),
        tags=Tagging(
            tag=Call("TagResource", {"ResourceArn": "{arn}", "Tags": "{tags}"}),
            untag=Call("UntagResource", {"ResourceArn": "{arn}", "TagKeys": "{keys}"}),
            read=Call("ListTagsOfResource", {"ResourceArn": "{arn}"}),
        ),
        gone=frozenset({"ResourceNotFoundException"}),
    ),
)
