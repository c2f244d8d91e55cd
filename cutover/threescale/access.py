"""Whether we get at what the owners gave: the account, the clusters, and what the stacks declared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cutover.actions.base import Condition, Evidence
from cutover.aws import client_as
from cutover.context import Context, fact
from cutover.errors import StepError
from stacks.settings import Placeholder

_CALL_SECONDS = 10


@dataclass(frozen=True, kw_only=True)
class AccountReached(Condition):
    """Our credentials, or the role that the stack made for us, are of the destination's account."""

    account: str | Placeholder
    region: str
    role: str = ""
    """The role's name, once it is there; empty: as we are."""

    def describe(self) -> str:
        """See Condition."""
        return "the runner's credentials are of the destination's AWS account"

    def hold(self, context: Context) -> Evidence:
        """See Condition."""
        context.activity.note("asking AWS whose credentials we have")
        wanted = fact(self.account, "destination.account")
        identity = caller_identity(
            self.region, f"arn:aws:iam::{wanted}:role/{self.role}" if self.role else ""
        )
        if identity["Account"] != wanted:
            raise StepError(
                f"the credentials are of account {identity['Account']}, and the destination's is {wanted}: "
                "give the runner a role there (`aws sts get-caller-identity` shows whose it is), and go on"
            )
        return {"account": wanted}


def caller_identity(region: str, role: str) -> dict[str, Any]:
    """Who AWS says that we are. Raises StepError."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - takes a second to load

    try:
        client = client_as(
            role, "sts", region, session="landfall-preflight", seconds=_CALL_SECONDS, attempts=2
        )
        found: dict[str, Any] = client.get_caller_identity()
    except (BotoCoreError, ClientError, KeyError) as error:
        raise StepError(f"AWS does not say whose the runner's credentials are: {error}") from error
    return found


@dataclass(frozen=True, kw_only=True)
class ClusterAdmin(Condition):
    """Our kubeconfig's user may do everything on a cluster."""

    cluster: str

    def describe(self) -> str:
        """See Condition."""
        return f"the kubeconfig's user of {self.cluster} may do everything there"

    def hold(self, context: Context) -> Evidence:
        """See Condition."""
        cluster = context.cluster(self.cluster)
        version = cluster.version()
        if not cluster.allowed("*", "*", "*", ""):
            raise StepError(
                f"the user of context {cluster.context} may not do everything there (`oc auth can-i '*' '*' "
                "-A`): log in as kubeadmin, or have the role cluster-admin bound, and go on"
            )
        return {"context": cluster.context, "version": version}


@dataclass(frozen=True, kw_only=True)
class ClusterReached(Condition):
    """A cluster answers, and lets us do what the plan does there."""

    cluster: str
    namespaces: tuple[str, ...]

    def describe(self) -> str:
        """See Condition."""
        return (
            f"cluster {self.cluster} answers, and we may scale Deployments and read Secrets in "
            f"{', '.join(self.namespaces)}"
        )

    def hold(self, context: Context) -> Evidence:
        """See Condition."""
        cluster = context.cluster(self.cluster)
        needed = (("patch", "apps", "deployments"), ("get", "", "secrets"), ("create", "", "pods"))
        missing = [
            f"{verb} {resource} in {namespace}"
            for namespace in self.namespaces
            for verb, group, resource in needed
            if not cluster.allowed(verb, group, resource, namespace)
        ]
        if missing:
            raise StepError(f"the user of context {cluster.context} may not {', '.join(missing)}")
        return {"context": cluster.context, "version": cluster.version()}


@dataclass(frozen=True, kw_only=True)
class StackHas(Condition):
    """A stack was brought up and has what is needed of it."""

    part: str
    """`""`: the environment's own stack."""
    outputs: tuple[str, ...]

    def describe(self) -> str:
        """See Condition."""
        stack = f"`<environment>-{self.part}`" if self.part else "`<environment>`"
        return f"stack {stack} has {', '.join(self.outputs)}"

    def hold(self, context: Context) -> Evidence:
        """See Condition."""
        stack = context.stack(self.part)
        found = context.stacks.outputs(stack)
        if missing := [name for name in self.outputs if not found.get(name)]:
            raise StepError(
                f"stack {stack} has no output {', '.join(missing)}: `pulumi up --stack {stack}`, and go on"
            )
        return {name: found[name] for name in self.outputs}


@dataclass(frozen=True, kw_only=True)
class FactsKnown(Condition):
    """No setting that its owner has to fill in is left open."""

    def describe(self) -> str:
        """See Condition."""
        return "the settings hold no placeholder any more"

    def hold(self, context: Context) -> Evidence:
        """See Condition."""
        open_ = [
            f"{path}: {need}"
            for path, need in context.settings.placeholders()
            if not path.startswith(("notifications.", "cloudflare."))
        ]
        if open_:
            raise StepError(f"settings are open: {'; '.join(open_)}. Fill them in, and go on")
        return {"open": 0}
