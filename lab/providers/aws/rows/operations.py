"""Keys and logs."""

from __future__ import annotations

from lab.providers.aws.table import Call, Row, Tagging, Update

ROWS = (
    Row(
        token="aws:kms/key:Key",
        service="kms",
        create=Call("CreateKey", {"Tags": "{tagsAll}"}, result="KeyMetadata", rest=True),
        read=Call("DescribeKey", {"KeyId": "{id}"}, result="KeyMetadata"),
        delete=Call(
            "ScheduleKeyDeletion", {"KeyId": "{id}", "PendingWindowInDays": "{deletionWindowInDays}"}
        ),
        id="{keyId}",
        names={"isEnabled": "Enabled"},
        updates=(
            Update(
                Call(
                    "EnableKeyRotation", {"KeyId": "{id}", "RotationPeriodInDays": "{rotationPeriodInDays}"}
                ),
                when=("enableKeyRotation", "rotationPeriodInDays"),
                on_create=True,
                flag="enableKeyRotation",
            ),
            Update(
                Call("DisableKeyRotation", {"KeyId": "{id}"}),
                when=("enableKeyRotation",),
                flag="!enableKeyRotation",
            ),
            Update(Call("EnableKey", {"KeyId": "{id}"}), when=("isEnabled",), flag="isEnabled"),
            Update(
                Call("DisableKey", {"KeyId": "{id}"}), when=("isEnabled",), flag="!isEnabled", on_create=True
            ),
            Update(
                Call("PutKeyPolicy", {"KeyId": "{id}", "PolicyName": "default", "Policy": "{policy}"}),
                when=("policy",),
            ),
            Update(
                Call("UpdateKeyDescription", {"KeyId": "{id}", "Description": "{description}"}),
                when=("description",),
            ),
        ),
        looks=(
            (
                "enableKeyRotation",
                Call("GetKeyRotationStatus", {"KeyId": "{id}"}, result="KeyRotationEnabled"),
            ),
            ("policy", Call("GetKeyPolicy", {"KeyId": "{id}", "PolicyName": "default"}, result="Policy")),
        ),
        defaults={"isEnabled": True, "enableKeyRotation": False, "description": ""},
        documents=frozenset({"policy"}),
        local=frozenset({"deletionWindowInDays"}),
        tags=Tagging(
            tag=Call("TagResource", {"KeyId": "{id}", "Tags": "{tags}"}),
            untag=Call("UntagResource", {"KeyId": "{id}", "TagKeys": "{keys}"}),
            read=Call("ListResourceTags", {"KeyId": "{id}"}),
        ),
        gone=frozenset({"NotFoundException"}),
        # A key is never deleted at once; it is gone for us once its deletion is scheduled.
        gone_states={"keyState": frozenset({"PendingDeletion"})},
    ),
    Row(
        token="aws:kms/alias:Alias",
        service="kms",
        create=Call("CreateAlias", {"AliasName": "{name}", "TargetKeyId": "{targetKeyId}"}),
        read=Call("ListAliases", result="Aliases[?AliasName=='{name}'] | [0]"),
        delete=Call("DeleteAlias", {"AliasName": "{name}"}),
        id="{name}",
        names={"name": "AliasName", "arn": "AliasArn"},
        # A key may be stated by its id or by its ARN.
        reads={"targetKeyId": "ends_with('{targetKeyId}', TargetKeyId) && '{targetKeyId}' || TargetKeyId"},
        looks=(("targetKeyArn", Call("DescribeKey", {"KeyId": "{targetKeyId}"}, result="KeyMetadata.Arn")),),
        updates=(
            Update(
                Call("UpdateAlias", {"AliasName": "{name}", "TargetKeyId": "{targetKeyId}"}),
                when=("targetKeyId",),
            ),
        ),
        required=("name", "targetKeyId"),
        gone=frozenset({"NotFoundException"}),
    ),
    Row(
        token="aws:cloudwatch/logGroup:LogGroup",
        service="logs",
        create=Call("CreateLogGroup", {"tags": "{tagsAll}"}, rest=True),
        read=Call(
            "DescribeLogGroups",
            {"logGroupNamePrefix": "{id}"},
            result="logGroups[?logGroupName=='{id}'] | [0]",
        ),
        delete=Call("DeleteLogGroup", {"logGroupName": "{id}"}),
        id="{name}",
        names={"name": "logGroupName"},
        reads={"arn": "", "logGroupArn": ""},
        computed={"arn": "arn:{partition}:logs:{region}:{account}:log-group:{id}"},
        updates=(
            Update(
                Call("PutRetentionPolicy", {"logGroupName": "{id}", "retentionInDays": "{retentionInDays}"}),
                when=("retentionInDays",),
                on_create=True,
                flag="retentionInDays",
            ),
            Update(
                Call("DeleteRetentionPolicy", {"logGroupName": "{id}"}),
                when=("retentionInDays",),
                flag="!retentionInDays",
            ),
            Update(
                Call("AssociateKmsKey", {"logGroupName": "{id}", "kmsKeyId": "{kmsKeyId}"}),
                when=("kmsKeyId",),
                flag="kmsKeyId",
            ),
            Update(
                Call("DisassociateKmsKey", {"logGroupName": "{id}"}), when=("kmsKeyId",), flag="!kmsKeyId"
            ),
        ),
        local=frozenset({"skipDestroy"}),
        autoname="name",
        tags=Tagging(
            tag=Call("TagResource", {"resourceArn": "{arn}", "tags": "{tags}"}),
            untag=Call("UntagResource", {"resourceArn": "{arn}", "tagKeys": "{keys}"}),
            path="tags",
            read=Call("ListTagsForResource", {"resourceArn": "{arn}"}),
        ),
        gone=frozenset({"ResourceNotFoundException"}),
    ),
)
