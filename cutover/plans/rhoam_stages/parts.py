"""What the stages of the plan `rhoam` share, made from an environment's settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from cutover.actions.base import Action, Condition
from cutover.actions.person import Person
from cutover.errors import PlanError
from cutover.plan import Keep, Step, Undo, WayBack
from cutover.threescale.controllers import Named
from cutover.threescale.plug_in import Stores
from cutover.threescale.secrets import MUST_MATCH, Copies
from cutover.threescale.site import Site
from cutover.transfer import (
    BucketPlace,
    DatabasePlace,
    DumpPlace,
    RedisPlace,
    SecretDatabase,
    SecretRedis,
    StackDatabase,
    StackRedis,
)
from stacks.settings import Placeholder, RhoamEnvironment
from stacks.settings.threescale import ThreescaleSide

MARGIN_SECONDS = 300.0
"""What a step may take on top of the waits that it holds."""
CHANGES_NOTHING = Keep("it changes nothing")
BUCKET_SECRETS = tuple(MUST_MATCH)
"""The Secrets that the customer's bucket has to hold."""
_ROLE = "runner_role_arn"
_DESTINATION_ROLE, _CONVERSION_ROLE = _ROLE, f"{_ROLE}s.conversion"
PLANNED: dict[str, float] = {
    "grant-account": 3600,
    "grant-kubeadmin": 3600,
    "create-cluster": 4 * 3600,
    "install-threescale": 3600,
    "configure-vpc": 3600,
    "create-stores": 3600,
    "create-workspace": 900,
    "fill-bucket": 3600,
    "grant-bucket": 1800,
    "configure-idp": 1800,
    "create-domain": 3600,
    "trigger-rhoam": 1800,
    "hold-rhoam": 3600,
    "confirm-rollback": 900,
    "agree-to-begin": 600,
    "stop-traffic": 180,
    "clear-queue": 600,
    "scale-down-source": 300,
    "dump-database": 1800,
    "dump-redis": 600,
    "load-database": 3600,
    "upgrade-mysql": 2400,
    "convert-database": 3600,
    "compare-databases": 1800,
    "scale-up-migration": 600,
    "back-up-postgres": 900,
    "restore-postgres": 1800,
    "restore-redis": 900,
    "scale-up-destination": 900,
    "await-rhoam": 3600,
    "publish-sso": 1800,
    "verify": 3600,
    "agree-engineering": 300,
    "agree-customer": 300,
    "update-systems": 3600,
}
"""How long steps are planned to take where neither the settings nor a rehearsal says it."""
_UPDATE_SECONDS, _SHORT_SECONDS = 1200.0, 60.0


class Parts:
    """What the plan says about the three clusters, their 3scales and where the data is."""

    def __init__(self, environment: RhoamEnvironment) -> None:
        self.environment = environment
        self.settings = environment.threescale
        self.limits = environment.cutover.timeouts
        self.owners = self.settings.owners
        self.tenants = self.settings.tenants
        self.tenant_names = tuple(item.name for item in self.tenants)
        self.version = _known(self.settings.source_version, "threescale.source_version")
        self.converts = environment.source_database != "postgresql"

    # where 3scale is

    def site(self, cluster: str) -> Site:
        """The 3scale on a cluster: `source`, `migration` or `destination`."""
        side: ThreescaleSide = getattr(self.settings, cluster)
        title = "the production cluster" if cluster == "destination" else f"the {cluster} cluster"
        return Site(
            title=title,
            cluster=cluster,
            namespace=side.namespace,
            operator_namespace=side.operator_namespace,
            api_manager=side.api_manager,
            subscription=side.subscription,
            components=self.settings.components_in_order,
            router=getattr(self.environment.openshift, cluster).router,
        )

    @property
    def rhoam_operator(self) -> Named:
        """RHOAM's own operator."""
        return Named(namespace=self.settings.destination.rhoam_namespace, names=("rhmi-operator",))

    # where data is

    @property
    def source_database(self) -> DatabasePlace:
        """The system database of the source."""
        return SecretDatabase(
            name="the source's system database",
            cluster="source",
            namespace=self.settings.source.namespace,
            host=self.settings.source_database_host or "",
        )

    @property
    def source_redis(self) -> RedisPlace:
        """The backend's Redis of the source."""
        return SecretRedis(
            name="the source's backend Redis",
            cluster="source",
            namespace=self.settings.source.namespace,
            host=self.settings.source_redis_host or "",
        )

    @property
    def loaded_database(self) -> StackDatabase:
        """The database of the standalone VPC that the source's dump is loaded into."""
        return self._database(
            "the migration VPC's system database",
            "migration",
            "system_database",
            engine=self.environment.migration.system_database.engine,
        )

    @property
    def converted_database(self) -> StackDatabase:
        """The PostgreSQL of the standalone VPC that 3scale works on there."""
        if not self.converts:
            return self.loaded_database
        return self._database(
            "the migration VPC's PostgreSQL", "migration", "conversion_database", engine="postgres"
        )

    @property
    def destination_database(self) -> StackDatabase:
        """RHOAM's PostgreSQL."""
        return self._database("the destination's PostgreSQL", "", "system_database", engine="postgres")

    def _database(self, name: str, part: str, output: str, *, engine: str) -> StackDatabase:
        return StackDatabase(
            name=name,
            stack=self._stack(part),
            output=output,
            engine="mysql" if engine == "mysql" else "postgres",
            database=self.settings.system_database,
            region=self._region(part),
            role_output=_CONVERSION_ROLE if part else _DESTINATION_ROLE,
        )

    def redis(self, part: str, kind: str) -> StackRedis:
        """`backend` or `system`, of the migration's VPC (`migration`) or of the destination's (`""`)."""
        whose = "the migration VPC's" if part else "the destination's"
        return StackRedis(
            name=f"{whose} {kind} Redis",
            stack=self._stack(part),
            output=f"{kind}_redis",
            region=self._region(part),
            role_output=_CONVERSION_ROLE if part else _DESTINATION_ROLE,
        )

    def _stack(self, part: str) -> str:
        return f"{self.environment.name}-{part}" if part else self.environment.name

    def _region(self, part: str) -> str:
        stores = self.environment.migration if part else self.environment.destination
        return stores.network.region

    @property
    def customer_bucket(self) -> BucketPlace:
        """The customer's bucket, with their Secrets."""
        bucket = self.settings.bucket
        # what is open is refused by the preflight, and asked for by name; a plan is shown without it
        name = bucket if isinstance(bucket, str) else "(the customer's bucket)"
        return BucketPlace(region=self.settings.bucket_region, bucket=name)

    def dump(self, name: str) -> DumpPlace:
        """One dump, in the bucket of the migration's stack."""
        bucket = BucketPlace(
            region=self._region("migration"), stack=self._stack("migration"), role_output=_CONVERSION_ROLE
        )
        return DumpPlace(bucket=bucket, prefix=f"dumps/{name}")

    def stores(self, cluster: str) -> Stores:
        """What the 3scale of the migration or the destination cluster is to work on."""
        destination = cluster == "destination"
        part = "" if destination else "migration"
        return Stores(
            site=self.site(cluster),
            database=self.destination_database if destination else self.converted_database,
            backend_redis=self.redis(part, "backend"),
            system_redis=self.redis(part, "system"),
            also_in=self.settings.destination.rhoam_namespace if destination else "",
        )

    def copies(self, cluster: str) -> Copies:
        """The Secrets that a cluster has to have as the source does."""
        return Copies(
            site=self.site(cluster),
            bucket=self.customer_bucket,
            prefix=self.settings.secrets_prefix,
            also_in=self.settings.destination.rhoam_namespace if cluster == "destination" else "",
        )

    # steps

    def step(
        self,
        step_id: str,
        title: str,
        owner: str,
        action: Action,
        *,
        way_back: WayBack = CHANGES_NOTHING,
        seconds: float = 0.0,
        fulfils: tuple[str, ...] = (),
        reason: str = "",
        gates: tuple[Condition, ...] = (),
        checks: tuple[Condition, ...] = (),
        affects_service: bool = False,
        could_be_ahead: str = "",
    ) -> Step:
        """A step; `seconds`: the waits that it holds."""
        return Step(
            id=step_id,
            title=title,
            owner=owner,
            affects_service=affects_service,
            action=action,
            fulfils=fulfils,
            reason=reason,
            gates=gates,
            checks=checks,
            way_back=way_back,
            timeout_seconds=seconds + MARGIN_SECONDS,
            planned_seconds=self.planned(step_id),
            could_be_ahead=could_be_ahead,
        )

    def planned(self, step_id: str) -> float:
        """How long a step is planned to take."""
        usual = _UPDATE_SECONDS if step_id.startswith("update-to-") else _SHORT_SECONDS
        return self.settings.planned.get(step_id, PLANNED.get(step_id, usual))

    def asked(self, instructions: str, evidence: str, *, ahead: bool = True, take_back: str = "") -> Person:
        """What a person is asked to do. `ahead`: a day or more before, side by side with others."""
        return Person(
            instructions=instructions,
            evidence=evidence,
            take_back=take_back,
            due_seconds=self.owners.due_ahead_seconds if ahead else self.owners.due_seconds,
            early=ahead,
        )

    @property
    def person_seconds(self) -> float:
        """How long a step waits for a person before the run ends; another run waits on."""
        return self.limits.person

    def undo(self, seconds: float) -> Undo:
        """The action's own undo; `seconds`: the waits that it holds."""
        return Undo(timeout_seconds=seconds + MARGIN_SECONDS)

    @property
    def scaling_seconds(self) -> float:
        """All Deployments of a 3scale, one after the other."""
        return max(self.limits.pods_gone, self.limits.pods_ready) * 2


def chained(*steps: Step) -> tuple[Step, ...]:
    """Steps each of which builds on all before it; those that could be done ahead only on one another."""
    found: list[Step] = []
    free: list[str] = []
    last = ""
    for step in steps:
        if step.could_be_ahead:
            found.append(replace(step, after=tuple(free[-1:])))
            free.append(step.id)
            continue
        found.append(replace(step, after=(*((last,) if last else ()), *free[-1:])))
        last = step.id
        free = []
    return tuple(found)


def building_on(steps: tuple[Step, ...], after: Mapping[str, tuple[str, ...]]) -> tuple[Step, ...]:
    """Steps with what each builds on; those that `after` does not name build on nothing."""
    names = {step.id for step in steps}
    return tuple(
        replace(step, after=tuple(name for name in after.get(step.id, ()) if name in names)) for step in steps
    )


def _known(value: str | Placeholder, place: str) -> str:
    """A fact that the plan's steps are named after. Raises PlanError."""
    if isinstance(value, Placeholder):
        raise PlanError(f"{place} is still a placeholder, and the plan depends on it: {value.placeholder}")
    return value
