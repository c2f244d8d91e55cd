"""S3: buckets and what is set on them, each a resource of its own."""

from __future__ import annotations

from typing import Any

from lab.providers.aws.hooks.storage import empty_bucket
from lab.providers.aws.table import Call, Row, Tagging, Update
from lab.providers.base import Properties

_NO_BUCKET = frozenset({"NoSuchBucket", "404", "NotFound"})


def _location(values: Properties) -> Properties:
    return {} if values["region"] == "us-east-1" else {"locationConstraint": values["region"]}


def _setting(
    kind: str,
    subject: str,
    member: str,
    content: dict[str, Any],
    missing: str,
    *,
    result: bool = True,
    **more: Any,
) -> Row:
    """A setting of a bucket that is put whole, read whole and deleted whole."""
    put = Call(f"Put{subject}", {"Bucket": "{bucket}", member: content})
    properties = tuple(more.pop("properties"))
    lower = kind[0].lower() + kind[1:]
    return Row(
        token=f"aws:s3/{lower}:{kind}",
        service="s3",
        create=put,
        read=Call(f"Get{subject}", {"Bucket": "{bucket}"}, result=member if result else ""),
        delete=Call(f"Delete{more.pop('deletes', subject)}", {"Bucket": "{bucket}"}),
        id="{bucket}",
        updates=(Update(put, when=properties),),
        replace=frozenset({"bucket"}),
        required=("bucket",),
        gone=_NO_BUCKET | {missing},
        **more,
    )


_BLOCKS = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
_VERSIONING = Call(
    "PutBucketVersioning",
    {
        "Bucket": "{bucket}",
        "VersioningConfiguration": {
            "Status": "{versioningConfiguration.status}",
            "MFADelete": "{versioningConfiguration.mfaDelete}",
        },
    },
)
_LOGGING = Call(
    "PutBucketLogging",
    {
        "Bucket": "{bucket}",
        "BucketLoggingStatus": {
            "LoggingEnabled": {"TargetBucket": "{targetBucket}", "TargetPrefix": "{targetPrefix}"}
        },
    },
)
_ENCRYPTION = Call(
    "PutBucketEncryption",
    {"Bucket": "{bucket}", "ServerSideEncryptionConfiguration": {"Rules": "{rules}"}},
)

ROWS = (
    Row(
        token="aws:s3/bucket:Bucket",
        service="s3",
        create=Call(
            "CreateBucket",
            {
                "Bucket": "{bucket}",
                "CreateBucketConfiguration": {"LocationConstraint": "{locationConstraint}"},
                "ObjectLockEnabledForBucket": "{objectLockEnabled}",
            },
        ),
        read=Call("HeadBucket", {"Bucket": "{id}"}),
        delete=Call("DeleteBucket", {"Bucket": "{id}"}),
        id="{bucket}",
        prepare=_location,
        computed={
            "arn": "arn:{partition}:s3:::{id}",
            "bucketDomainName": "{id}.s3.amazonaws.com",
            "bucketRegionalDomainName": "{id}.s3.{region}.amazonaws.com",
        },
        reads={"bucketArn": "", "accessPointAlias": "", "bucketLocationType": "", "bucketLocationName": ""},
        local=frozenset({"forceDestroy"}),
        on_delete=empty_bucket,
        autoname="bucket",
        lower=True,
        tags=Tagging(
            tag=Call("PutBucketTagging", {"Bucket": "{id}", "Tagging": {"TagSet": "{tagsAll}"}}),
            untag=Call("PutBucketTagging", {"Bucket": "{id}", "Tagging": {"TagSet": "{tagsAll}"}}),
            clear=Call("DeleteBucketTagging", {"Bucket": "{id}"}),
            path="TagSet",
            read=Call("GetBucketTagging", {"Bucket": "{id}"}, ignore=frozenset({"NoSuchTagSet"})),
            after=True,
        ),
        gone=_NO_BUCKET,
    ),
    _setting(
        "BucketPublicAccessBlock",
        "PublicAccessBlock",
        "PublicAccessBlockConfiguration",
        {name[0].upper() + name[1:]: f"{{{name}}}" for name in _BLOCKS},
        "NoSuchPublicAccessBlockConfiguration",
        properties=_BLOCKS,
        local=frozenset({"skipDestroy"}),
        defaults=dict.fromkeys(_BLOCKS, False),
    ),
    _setting(
        "BucketPolicy",
        "BucketPolicy",
        "Policy",
        "{policy}",  # type: ignore[arg-type]
        "NoSuchBucketPolicy",
        result=False,
        properties=("policy",),
        documents=frozenset({"policy"}),
    ),
    Row(
        # A bucket is always encrypted: deleting this resource leaves it with S3's own keys.
        token="aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
        service="s3",
        create=_ENCRYPTION,
        read=Call("GetBucketEncryption", {"Bucket": "{bucket}"}, result="ServerSideEncryptionConfiguration"),
        delete=None,
        id="{bucket}",
        updates=(Update(_ENCRYPTION, when=("rules",)),),
        before_delete=(Update(Call("DeleteBucketEncryption", {"Bucket": "{bucket}"})),),
        replace=frozenset({"bucket"}),
        required=("bucket", "rules"),
        gone=_NO_BUCKET,
    ),
    _setting(
        "BucketLifecycleConfiguration",
        "BucketLifecycleConfiguration",
        "LifecycleConfiguration",
        {"Rules": "{rules}"},
        "NoSuchLifecycleConfiguration",
        result=False,
        deletes="BucketLifecycle",
        properties=("rules",),
    ),
    _setting(
        "BucketOwnershipControls",
        "BucketOwnershipControls",
        "OwnershipControls",
        {"Rules": ["{rule}"]},
        "OwnershipControlsNotFoundError",
        properties=("rule",),
        reads={"rule": "Rules[0].{objectOwnership: ObjectOwnership}", "rules": ""},
    ),
    Row(
        # A bucket always has a versioning state: deleting this resource suspends it.
        token="aws:s3/bucketVersioning:BucketVersioning",
        service="s3",
        create=_VERSIONING,
        read=Call("GetBucketVersioning", {"Bucket": "{bucket}"}),
        delete=None,
        id="{bucket}",
        reads={"versioningConfiguration": "Status && {status: Status, mfaDelete: MFADelete}", "status": ""},
        updates=(Update(_VERSIONING, when=("versioningConfiguration",)),),
        before_delete=(
            Update(
                Call(
                    "PutBucketVersioning",
                    {"Bucket": "{bucket}", "VersioningConfiguration": {"Status": "Suspended"}},
                )
            ),
        ),
        required=("bucket", "versioningConfiguration"),
        gone=_NO_BUCKET,
    ),
    Row(
        token="aws:s3/bucketLogging:BucketLogging",
        service="s3",
        create=_LOGGING,
        read=Call("GetBucketLogging", {"Bucket": "{bucket}"}, result="LoggingEnabled"),
        delete=Call("PutBucketLogging", {"Bucket": "{bucket}", "BucketLoggingStatus": {}}),
        id="{bucket}",
        updates=(Update(_LOGGING, when=("targetBucket", "targetPrefix")),),
        required=("bucket", "targetBucket", "targetPrefix"),
        gone=_NO_BUCKET,
    ),
)
