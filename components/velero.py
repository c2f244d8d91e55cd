"""What Velero needs of AWS."""

import pulumi
from pulumi_aws import iam

from components.bucket import Bucket
from components.pod_identity import PodIdentity
from components.policies import Statement, document_output
from components.settings.access import VeleroSettings


class VeleroStorage(pulumi.ComponentResource):
    """A bucket for backups; the target cluster's Velero writes to it as its pods' role.

    The source's cluster runs in another cloud and has no such role. For it there is a user with the same
    rights and no access key: its owner makes one for the time of the migration, so that none stands in
    Pulumi's state.

    Outputs:
        bucket (its name), source_user (its name).
    """

    def __init__(
        self,
        name: str,
        settings: VeleroSettings,
        *,
        cluster_name: pulumi.Input[str],
        log_bucket: pulumi.Input[str],
        protected: bool,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("landfall:velero:Storage", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        bucket = Bucket(
            f"{name}-velero",
            retention_days=settings.retention_days,
            log_bucket=log_bucket,
            protected=protected,
            opts=child,
        )
        statements = pulumi.Output.all(bucket.arn, bucket.key_arn).apply(lambda arns: _statements(*arns))
        PodIdentity(
            f"{name}-velero",
            cluster_name=cluster_name,
            namespace=settings.namespace,
            service_account=settings.service_account,
            statements=statements,
            opts=child,
        )
        user = iam.User(f"{name}-velero-source", opts=child)
        iam.UserPolicy(
            f"{name}-velero-source",
            user=user.name,
            policy=document_output(statements),
            opts=child,
        )
        self.bucket = bucket.bucket
        self.source_user = user.name
        self.register_outputs({"bucket": self.bucket, "source_user": self.source_user})


def _statements(bucket: str, key: str) -> list[Statement]:
    return [
        {"Effect": "Allow", "Action": ["s3:ListBucket", "s3:ListBucketMultipartUploads"], "Resource": bucket},
        {
            "Effect": "Allow",
            "Action": [
                "s3:GetObject",
                "s3:PutObject",
                "s3:DeleteObject",
                "s3:AbortMultipartUpload",
                "s3:ListMultipartUploadParts",
            ],
            "Resource": f"{bucket}/*",
        },
        {"Effect": "Allow", "Action": ["kms:Decrypt", "kms:GenerateDataKey"], "Resource": key},
    ]
