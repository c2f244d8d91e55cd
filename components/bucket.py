"""A private S3 bucket."""

import pulumi
from pulumi_aws import kms, s3

from components.policies import Statement, document


class Bucket(pulumi.ComponentResource):
    """A bucket that nobody sees from outside: no public access, no ACLs, TLS alone, versions kept.

    Encrypted under a key of its own, or, where it takes access logs (S3 writes those under its own keys
    alone), under S3's.

    Meets S3.1-3, .5, .8, .9, .13.

    Args:
        retention_days: when objects expire; None keeps them, and expires old versions alone.
        log_bucket: where requests are logged; None for the bucket of logs itself.
        logs_of: the account whose buckets log to this one; None for all other buckets.
        protected: whether deleting it takes a change of the settings first. A bucket that still holds
            something is not deleted even then; one that takes access logs is, as logs come until the end.

    Outputs:
        bucket (its name), arn, key_arn (or None).
    """

    def __init__(
        self,
        name: str,
        *,
        retention_days: int | None,
        log_bucket: pulumi.Input[str] | None,
        logs_of: pulumi.Input[str] | None = None,
        protected: bool,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("landfall:s3:Bucket", name, None, opts)
        self._name = name
        self._child = pulumi.ResourceOptions(parent=self)
        guarded = pulumi.ResourceOptions(parent=self, protect=protected)
        self._bucket = s3.Bucket(name, force_destroy=logs_of is not None and not protected, opts=guarded)
        self.key_arn: pulumi.Output[str] | None = None
        if log_bucket is not None:
            key = kms.Key(
                name,
                description=f"The bucket {name}",
                enable_key_rotation=True,
                deletion_window_in_days=30,
                opts=guarded,
            )
            self.key_arn = key.arn
            s3.BucketLogging(
                name,
                bucket=self._bucket.id,
                target_bucket=log_bucket,
                target_prefix=f"{name}/",
                opts=self._child,
            )
        policy = self._closed(logs_of)
        self._kept(retention_days)
        # By way of the policy: whoever uses the bucket waits until it may.
        self.bucket = policy.bucket
        self.arn = self._bucket.arn
        self.register_outputs({"bucket": self.bucket, "arn": self.arn, "key_arn": self.key_arn})

    def _closed(self, logs_of: pulumi.Input[str] | None) -> s3.BucketPolicy:
        access = s3.BucketPublicAccessBlock(
            self._name,
            bucket=self._bucket.id,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=self._child,
        )
        s3.BucketOwnershipControls(
            self._name,
            bucket=self._bucket.id,
            rule={"object_ownership": "BucketOwnerEnforced"},
            opts=self._child,
        )
        s3.BucketServerSideEncryptionConfiguration(
            self._name,
            bucket=self._bucket.id,
            rules=[
                {
                    "apply_server_side_encryption_by_default": (
                        {"sse_algorithm": "aws:kms", "kms_master_key_id": self.key_arn}
                        if self.key_arn is not None
                        else {"sse_algorithm": "AES256"}
                    ),
                    "bucket_key_enabled": self.key_arn is not None,
                }
            ],
            opts=self._child,
        )
        return s3.BucketPolicy(
            self._name,
            bucket=self._bucket.id,
            policy=pulumi.Output.all(self._bucket.arn, logs_of).apply(lambda known: _policy(*known)),
            # S3 refuses two changes of a bucket's access at the same time.
            opts=pulumi.ResourceOptions.merge(self._child, pulumi.ResourceOptions(depends_on=[access])),
        )

    def _kept(self, retention_days: int | None) -> None:
        versioning = s3.BucketVersioning(
            self._name,
            bucket=self._bucket.id,
            versioning_configuration={"status": "Enabled"},
            opts=self._child,
        )
        s3.BucketLifecycleConfiguration(
            self._name,
            bucket=self._bucket.id,
            rules=[
                {
                    "id": "expire",
                    "status": "Enabled",
                    "filter": {"prefix": ""},
                    "expiration": {"days": retention_days} if retention_days else None,
                    "noncurrent_version_expiration": {"noncurrent_days": 30},
                    "abort_incomplete_multipart_upload": {"days_after_initiation": 7},
                }
            ],
            opts=pulumi.ResourceOptions.merge(self._child, pulumi.ResourceOptions(depends_on=[versioning])),
        )


def _policy(arn: str, logs_of: str | None) -> str:
    """Nobody without TLS; where it takes logs, S3's log service for that account."""
    statements: list[Statement] = [
        {
            "Sid": "TlsAlone",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": [arn, f"{arn}/*"],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
    ]
    if logs_of is not None:
        statements.append(
            {
                "Sid": "AccessLogs",
                "Effect": "Allow",
                "Principal": {"Service": "logging.s3.amazonaws.com"},
                "Action": "s3:PutObject",
                "Resource": f"{arn}/*",
                "Condition": {"StringEquals": {"aws:SourceAccount": logs_of}},
            }
        )
    return document(statements)
