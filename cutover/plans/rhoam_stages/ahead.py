"""The stages before the migration: everything that takes long and that no user of the service notices."""

from __future__ import annotations

from cutover.actions.base import Condition
from cutover.actions.confirm import Confirm
from cutover.plan import Keep, Stage, Step
from cutover.plans.rhoam_stages.document import AHEAD, CUSTOMER, ENGINEERING, SRE
from cutover.plans.rhoam_stages.parts import BUCKET_SECRETS, MARGIN_SECONDS, Parts, building_on
from cutover.threescale.access import AccountReached, ClusterAdmin, ClusterReached, FactsKnown, StackHas
from cutover.threescale.ahead import AheadIsDayOld, NoteAheadDone
from cutover.threescale.rhoam import CustomDomainReady, IdentityProviderThere, RhoamConfigured
from cutover.threescale.scaling import PauseOperator
from cutover.threescale.versions import ThreescaleIs, ThreescaleReady
from cutover.transfer import CheckBucket

_STAYS = Keep("it is there for the next attempt, and serves nobody")
_STORES = ("backend_redis", "system_redis")


def red_hat(parts: Parts) -> Stage:
    """What Red Hat's two teams prepare."""
    return Stage(
        id="red-hat-ready",
        title="Red Hat has access, a migration cluster with the source's 3scale, and databases to convert in",
        phase=AHEAD,
        steps=building_on(
            (_preflight(parts), *_access(parts), *_cluster(parts), *_stores(parts)),
            {
                "confirm-access": ("grant-account", "grant-kubeadmin"),
                "confirm-cluster": ("create-cluster",),
                "install-threescale": ("confirm-cluster",),
                "configure-vpc": ("create-cluster",),
                "create-stores": ("configure-vpc",),
                "create-workspace": ("create-stores", "confirm-access"),
            },
        ),
    )


def customer(parts: Parts) -> Stage:
    """What the customer prepares, and what is confirmed of it."""
    return Stage(
        id="customer-ready",
        title="The customer's Secrets are in a bucket, RHOAM is installed and held, a way back is agreed",
        phase=AHEAD,
        steps=building_on(
            (*_bucket(parts), *_destination(parts), *_rollback(parts)),
            {
                "grant-bucket": ("fill-bucket",),
                "confirm-bucket": ("grant-bucket",),
                "trigger-rhoam": ("configure-idp", "create-domain"),
                "hold-rhoam": ("trigger-rhoam",),
                "note-ahead-done": ("confirm-bucket", "hold-rhoam", "confirm-rollback"),
            },
        ),
    )


def day_old(parts: Parts) -> AheadIsDayOld:
    """The gate before the migration."""
    return AheadIsDayOld(
        lead_seconds=parts.owners.lead_seconds,
        keep_seconds=parts.owners.keep_seconds,
        conditions=_still(parts),
    )


def _preflight(parts: Parts) -> Step:
    side = parts.settings.source
    return parts.step(
        "preflight",
        "See that the settings are whole, and that the source answers",
        ENGINEERING,
        Confirm(
            (
                FactsKnown(),
                ClusterReached(
                    cluster="source", namespaces=_distinct(side.namespace, side.operator_namespace)
                ),
            )
        ),
        reason="what is wrong with the settings is found before anybody waits for anybody",
        seconds=parts.limits.call * 30,
    )


def _distinct(*names: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def _account(parts: Parts) -> AccountReached:
    stores = parts.environment.destination
    return AccountReached(account=stores.account, region=stores.network.region)


def _access(parts: Parts) -> tuple[Step, ...]:
    account, admin = _account(parts), ClusterAdmin(cluster="destination")
    role = f"{parts.environment.name}-runner-destination"
    return (
        parts.step(
            "grant-account",
            "Give RHOAM Engineering access to the destination's AWS account",
            SRE,
            parts.asked(
                "Give RHOAM Engineering the right to bring up the stack of the destination's account, by a "
                f"role of that account; the stack itself makes the role {role}, which the workspace "
                "instance takes.",
                "the account's number and the name of the role",
                take_back="the access to the destination's AWS account may be taken back",
            ),
            fulfils=("ahead.account",),
            way_back=_STAYS,
            seconds=parts.person_seconds,
        ),
        parts.step(
            "grant-kubeadmin",
            "Give RHOAM Engineering kubeadmin access to the destination cluster",
            SRE,
            parts.asked(
                "Hand RHOAM Engineering the destination cluster's API address and kubeadmin's credentials "
                "over the secrets' own channel, never in the note; they put them into the runner's "
                f"kubeconfig as the context {parts.environment.openshift.destination.context}.",
                "to whom they were handed, and how",
                take_back="kubeadmin's password of the destination cluster may be changed",
            ),
            fulfils=("ahead.kubeadmin",),
            way_back=_STAYS,
            seconds=parts.person_seconds,
        ),
        parts.step(
            "confirm-access",
            "Confirm the access to both",
            ENGINEERING,
            Confirm((account, admin)),
            fulfils=("ahead.access",),
            seconds=parts.limits.call * 10,
        ),
    )


def _cluster(parts: Parts) -> tuple[Step, ...]:
    site = parts.site("migration")
    context = parts.environment.openshift.migration.context
    admin = ClusterAdmin(cluster="migration")
    right = ThreescaleIs(site=site, version=parts.version, channel=parts.settings.channel)
    return (
        parts.step(
            "create-cluster",
            "Create the migration cluster",
            ENGINEERING,
            parts.asked(
                "Create an OpenShift cluster in the account of the migration, and put kubeadmin's "
                f"credentials into the runner's kubeconfig as the context {context}.",
                "the cluster's name and version",
                take_back="the migration cluster may be deleted, or kept for the next attempt",
            ),
            fulfils=("ahead.cluster",),
            way_back=_STAYS,
            seconds=parts.person_seconds,
        ),
        parts.step(
            "confirm-cluster",
            "Confirm the access to the migration cluster",
            ENGINEERING,
            Confirm((admin,)),
            fulfils=("ahead.cluster.access",),
            seconds=parts.limits.call * 10,
        ),
        parts.step(
            "install-threescale",
            f"Install 3scale {parts.version} on the migration cluster from the channel "
            f"{parts.settings.channel}",
            ENGINEERING,
            parts.asked(
                f"On the migration cluster create the project {site.namespace}, in "
                f"{site.operator_namespace} the OperatorGroup and a Subscription {site.subscription} with "
                f"spec.channel {parts.settings.channel}, and the APIManager {site.api_manager} with "
                "spec.wildcardDomain below the cluster's own domain. Wait until all its Deployments are "
                "ready.",
                "the output of `oc get apimanager -o jsonpath={.metadata.annotations}`",
            ),
            fulfils=("ahead.cluster.threescale",),
            checks=(right, ThreescaleReady(site=site, seconds=parts.limits.pods_ready)),
            way_back=_STAYS,
            seconds=parts.person_seconds + parts.limits.pods_ready,
        ),
    )


def _stores(parts: Parts) -> tuple[Step, ...]:
    name = parts.environment.name
    migration = parts.environment.migration
    databases = ("system_database", *(("conversion_database",) if parts.converts else ()))
    kinds = (*databases, *_STORES)
    up = f"`pulumi up --stack {name}-migration`"
    convert = ("ahead.stores.postgres",) if parts.converts else ()
    return (
        parts.step(
            "configure-vpc",
            "Configure the standalone VPC",
            ENGINEERING,
            parts.asked(
                "Fill in the facts of the migration's account and of its cluster's VPC in "
                f"Pulumi.{name}.yaml, and run {up}; then accept the peering in the cluster's VPC where it "
                "is another account's.",
                "the update's number",
                take_back=f"`pulumi destroy --stack {name}-migration` removes it, once `protected` is false",
            ),
            fulfils=("ahead.vpc",),
            checks=(StackHas(part="migration", outputs=("vpc_id", "peering_connection_id")),),
            way_back=_STAYS,
            seconds=parts.person_seconds,
        ),
        parts.step(
            "create-stores",
            f"Create {migration.system_database.engine} {migration.system_database.version}, two Redis"
            + (", and the PostgreSQL to convert into" if parts.converts else ""),
            ENGINEERING,
            parts.asked(
                f"See that {up} has made the databases and the Redis: the system database of the source's "
                "type and version, two Redis of RHOAM's version"
                + (
                    ", and a PostgreSQL that the system database is converted into."
                    if parts.converts
                    else "."
                ),
                "the versions, as AWS shows them",
            ),
            fulfils=("ahead.stores.system", "ahead.stores.redis", *convert),
            checks=(
                StackHas(
                    part="migration",
                    outputs=tuple(f"{kind}_{what}" for kind in kinds for what in ("address", "secret_arn")),
                ),
            ),
            way_back=_STAYS,
            seconds=parts.person_seconds,
        ),
        parts.step(
            "create-workspace",
            "Create the migration workspace instance",
            ENGINEERING,
            parts.asked(
                f"Start a session on the workspace instance that {up} has made (`aws ssm start-session`), "
                "clone this project there, and go on from there: it reaches the clusters, the databases "
                f"and both Redis. Then bring up the destination's stack from it: `pulumi up --stack {name}`.",
                "the instance's id",
            ),
            fulfils=("ahead.workspace",),
            checks=(
                StackHas(part="migration", outputs=("workspace_instance_id", "dump_bucket")),
                StackHas(part="", outputs=("system_database_address", "backend_redis_address")),
            ),
            way_back=_STAYS,
            seconds=parts.person_seconds,
        ),
    )


def _bucket(parts: Parts) -> tuple[Step, ...]:
    prefix = parts.settings.secrets_prefix
    names = ", ".join(BUCKET_SECRETS)
    return (
        parts.step(
            "fill-bucket",
            "Create an S3 bucket with the Secrets of 3scale in it",
            CUSTOMER,
            parts.asked(
                "Create a bucket that is encrypted and lets nobody public in, and put the Secrets of the "
                f"source's 3scale into it, each as `{prefix}/NAME.json`: `oc get secret NAME -n "
                f"{parts.settings.source.namespace} -o json` for {names}.",
                "the bucket's name and region, which go into `threescale.bucket` and `bucket_region`",
                take_back="the bucket may be deleted, or kept for the next attempt",
            ),
            fulfils=("ahead.bucket",),
            way_back=_STAYS,
            seconds=parts.person_seconds,
        ),
        parts.step(
            "grant-bucket",
            "Give RHOAM Engineering access to the bucket",
            CUSTOMER,
            parts.asked(
                "Let the role of the workspace instance read the bucket (s3:ListBucket, s3:GetObject, "
                "s3:GetEncryptionConfiguration, s3:GetBucketPolicyStatus, and kms:Decrypt for its key).",
                "the statement of the bucket's policy",
                take_back="the statement may be taken out of the bucket's policy",
            ),
            fulfils=("ahead.bucket.access",),
            way_back=_STAYS,
            seconds=parts.person_seconds,
        ),
        parts.step(
            "confirm-bucket",
            "Confirm that the bucket can be read, and that every Secret is in it",
            ENGINEERING,
            CheckBucket(bucket=parts.customer_bucket, prefix=prefix, secrets=BUCKET_SECRETS),
            fulfils=("ahead.bucket.confirmed",),
            seconds=parts.limits.call * 30,
        ),
    )


def _destination(parts: Parts) -> tuple[Step, ...]:
    rhoam = parts.settings.destination
    site = parts.site("destination")
    domain = rhoam.custom_domain
    create: tuple[Step, ...] = ()
    if domain is not None:
        create = (
            parts.step(
                "create-domain",
                "Create the CustomDomain on the destination cluster",
                CUSTOMER,
                parts.asked(
                    "Create a CustomDomain (managed.openshift.io/v1alpha1) for your domain on the "
                    "destination cluster, with its certificate's Secret; in your DNS point `*.` below it "
                    "to the endpoint that its status names.",
                    "the output of `oc get customdomains`",
                    take_back="the CustomDomain may be deleted",
                ),
                fulfils=("ahead.domain",),
                checks=(CustomDomainReady(cluster="destination", domain=domain),),
                way_back=_STAYS,
                seconds=parts.person_seconds,
            ),
        )
    return (
        parts.step(
            "configure-idp",
            "Configure an identity provider on the destination cluster, and log in by it",
            CUSTOMER,
            parts.asked(
                "Add an identity provider to the destination cluster (OpenShift Cluster Manager > Access "
                "control), log in by it, and see that the console opens.",
                "who has logged in by it, and when",
            ),
            fulfils=("ahead.idp",),
            checks=(IdentityProviderThere(cluster="destination"),),
            way_back=_STAYS,
            seconds=parts.person_seconds,
        ),
        *create,
        parts.step(
            "trigger-rhoam",
            "Trigger RHOAM's installation, rightly configured",
            CUSTOMER,
            parts.asked(
                "Install the add-on Red Hat OpenShift API Management on the destination cluster, with your "
                "mail server (SMTP), "
                + ("the custom domain, " if domain is not None else "")
                + "an address for notifications, and the quota.",
                "the add-on's page of parameters, without the password",
                take_back="the add-on may be uninstalled, or kept for the next attempt",
            ),
            fulfils=(
                "ahead.rhoam.smtp",
                "ahead.rhoam.domain",
                "ahead.rhoam.email",
                "ahead.rhoam.quota",
                "ahead.rhoam",
            ),
            checks=(_configured(parts),),
            way_back=_STAYS,
            seconds=parts.person_seconds,
        ),
        parts.step(
            "hold-rhoam",
            "Scale down RHOAM's operator as soon as the APIManager is there",
            ENGINEERING,
            PauseOperator(
                cluster="destination",
                workload=parts.rhoam_operator,
                seconds=parts.limits.pods_gone,
                once_there=site,
                once_there_seconds=parts.settings.install_seconds,
            ),
            fulfils=("ahead.hold",),
            way_back=parts.undo(parts.limits.pods_ready),
            seconds=parts.settings.install_seconds + parts.limits.pods_gone,
        ),
    )


def _configured(parts: Parts) -> RhoamConfigured:
    rhoam = parts.settings.destination
    return RhoamConfigured(cluster="destination", namespace=rhoam.rhoam_namespace, domain=rhoam.custom_domain)


def _rollback(parts: Parts) -> tuple[Step, ...]:
    return (
        parts.step(
            "confirm-rollback",
            "Confirm that there is a way back should the migration fail",
            CUSTOMER,
            parts.asked(
                "Read `cutover plan show`, section `The way back`: until `update-systems` the source's "
                "databases and Redis are only read, and `cutover rollback` scales the source up again as "
                "it was. Say who decides on it and until when, and that your systems go on asking the old "
                "routes until then.",
                "who decides, by which time, and how they are reached",
            ),
            fulfils=("ahead.rollback",),
            way_back=Keep("an agreement is not undone"),
            seconds=parts.person_seconds,
        ),
        parts.step(
            "note-ahead-done",
            "See once more that all of it holds, and note the time",
            ENGINEERING,
            NoteAheadDone(conditions=_still(parts)),
            reason="the migration begins a day later at the earliest, and not on what was right a month ago",
            seconds=MARGIN_SECONDS,
        ),
    )


def _still(parts: Parts) -> tuple[Condition, ...]:
    """What was right when it was done, and has to be so when the migration begins."""
    site = parts.site("migration")
    domain = parts.settings.destination.custom_domain
    return (
        ThreescaleIs(site=site, version=parts.version, channel=parts.settings.channel),
        ClusterAdmin(cluster="destination"),
        IdentityProviderThere(cluster="destination"),
        *(() if domain is None else (CustomDomainReady(cluster="destination", domain=domain),)),
        _configured(parts),
    )
