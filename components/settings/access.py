"""Settings of who may do what: on the cluster, and as the cutover's runner."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from components.settings.base import FieldsError, KubernetesName, Model, Owned, architecture

RoleArn = Annotated[str, Field(pattern=r"^arn:aws[a-z-]*:iam::[0-9]{12}:(role|user)/[\w+=,.@/-]+$")]


KeyArn = Annotated[str, Field(pattern=r"^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[0-9a-f-]+$")]


class ClusterAccess(Model):
    """An IAM principal that may use the Kubernetes API."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,39}$")]
    principal: Owned[RoleArn]
    policy: Literal["cluster-admin", "admin", "edit", "view"]
    namespaces: tuple[KubernetesName, ...] = ()
    """Empty: the whole cluster."""

    @model_validator(mode="after")
    def _scope(self) -> Self:
        if self.policy == "cluster-admin" and self.namespaces:
            text = "expected none for cluster-admin, which is for the whole cluster"
            raise FieldsError([("namespaces", text)])
        return self


class RunnerSettings(Model):
    """Who runs a cutover: the workspace instance, and people who may take its roles from elsewhere."""

    operators: tuple[Owned[RoleArn], ...] = ()
    """Principals that may assume the runner's roles besides the workspace instance, with MFA."""
    session_minutes: Annotated[int, Field(ge=60, le=720)] = 240
    """How long a session of a role may last. Whoever comes from another role, as the workspace instance does,
    gets an hour at most, and AWS's tools renew it."""
    state_bucket: Owned[Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")]] | None = None
    """The S3 bucket of Pulumi's state, which the runner's flips read and write."""
    state_key: Owned[KeyArn] | None = None
    """The KMS key of the state's secrets."""


class NotificationSettings(Model):
    """Who is told of alarms and of what happens to databases."""

    emails: tuple[Owned[Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")]], ...] = ()


class WorkspaceSettings(Model):
    """The instance that the cutover runs on."""

    instance_type: Annotated[str, Field(pattern=r"^[a-z0-9-]+\.[a-z0-9]+$")] = "t3.large"
    disk_gib: Annotated[int, Field(ge=8, le=1024)] = 100
    """Dumps pass through it."""
    image_parameter: Annotated[str, Field(pattern=r"^/[\w/.-]+$")] = (
        "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
    )
    """The public SSM parameter that names the newest image."""

    @model_validator(mode="after")
    def _runs(self) -> Self:
        wanted = architecture(self.instance_type)
        named = [name for name in ("x86_64", "arm64") if self.image_parameter.endswith(name)]
        if named and named[0] != wanted:
            text = f"expected an image for {wanted}, as {self.instance_type} is one"
            raise FieldsError([("image_parameter", text)])
        return self


class VeleroSettings(Model):
    """Where Velero keeps its backups, on both clusters."""

    namespace: KubernetesName = "velero"
    service_account: KubernetesName = "velero-server"
    retention_days: Annotated[int, Field(ge=1, le=365)] = 30


class PodRole(Model):
    """A workload's own AWS rights."""

    namespace: KubernetesName
    service_account: KubernetesName
    managed_policies: Annotated[tuple[str, ...], Field(min_length=1)]
    """Names of AWS managed policies or ARNs."""
