"""A managed database to a later major version."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from cutover.actions.base import NO_CHANGE, Action, Evidence, Observation
from cutover.context import Context
from cutover.errors import StepError
from cutover.transfer import manifest, reach
from cutover.transfer.manifest import TableSum
from cutover.transfer.places import StackDatabase
from cutover.transfer.sums import sums
from cutover.transfer.upgrade_path import Offer, major, upgrade_path

_AVAILABLE = "available"
_BEGIN_SECONDS = 300.0
"""After an order the status stays `available` for a while."""
_CHANGED_BY_PEOPLE = "user"
_REFUSED_PARAMETERS = ("InvalidParameterValue", "InvalidParameterCombination", "DBParameterGroupNotFound")


@dataclass(frozen=True, kw_only=True)
class UpgradeDatabase(Action):
    """Upgrades a managed database along the path that AWS allows, with a snapshot first."""

    database: StackDatabase
    to: str
    """The major version, such as `8.0`."""
    wait_seconds: float = 7200
    """For each of: the snapshot, and every upgrade on the way."""

    @property
    def gives(self) -> tuple[str, ...]:
        """See Action."""
        return (self._snapshot_fact, self._sums_fact)

    @property
    def _snapshot_fact(self) -> str:
        return f"snapshot before {self.to} of {self.database.name}"

    @property
    def _sums_fact(self) -> str:
        return f"sums before {self.to} of {self.database.name}"

    def describe(self) -> str:
        """See Action."""
        return (
            f"upgrade {self.database.name} to {self.database.engine} {self.to} along the path that AWS "
            "allows, with a snapshot first, and compare what it holds before and after"
        )

    def preview(self, context: Context) -> tuple[str, ...]:
        """See Action."""
        rds = _Rds.of(context, self.database)
        version = rds.version()
        if major(version) == self.to:
            return NO_CHANGE
        path = rds.path(version, self.to)
        return (f"a snapshot of {rds.name}", *(f"{rds.name}: {version} -> {offer.version}" for offer in path))

    def observe(self, context: Context) -> Observation:
        """What AWS says of its version. One that is on its way is waited for by `apply`."""
        rds = _Rds.of(context, self.database)
        found = rds.instance()
        detail = f"{rds.name} is {found['EngineVersion']}, {found['DBInstanceStatus']}"
        done = major(found["EngineVersion"]) == self.to and found["DBInstanceStatus"] == _AVAILABLE
        compared = not context.facts.values.get(self._sums_fact)
        return Observation("done" if done and compared else "not done", detail)

    def apply(self, context: Context) -> Evidence:
        """Raises StepError."""
        rds = _Rds.of(context, self.database)
        rds.await_available(self.wait_seconds)
        first = rds.version()
        server, database = reach.database_server(context, self.database)
        if major(first) != self.to:
            path = rds.path(first, self.to)
            context.facts.remember(
                self._sums_fact,
                {name: table.model_dump() for name, table in sums(context, server, database).items()},
            )
            self._snapshot(context, rds)
            for offer in path:
                context.say(f"{rds.name}: {rds.version()} -> {offer.version}")
                rds.upgrade(offer)
                rds.await_version(offer.version, self.wait_seconds)
        self._await_answer(context)
        after = sums(context, server, database)
        known = context.facts.values.get(self._sums_fact)
        if known:
            before = {name: TableSum.model_validate(table) for name, table in known.items()}
            manifest.refuse_differences(
                before,
                after,
                f"{rds.name} does not hold what it did before the upgrade",
                f"restore the snapshot {context.facts.values.get(self._snapshot_fact, '')}, or load the dump "
                "anew",
            )
            context.facts.remember(self._sums_fact, {})
        rows = sum(table.rows for table in after.values())
        context.say(f"{rds.name} is {rds.version()}; its {len(after)} tables hold the same {rows} rows")
        return {
            "version": rds.version(),
            "snapshot": context.facts.values.get(self._snapshot_fact, ""),
            "tables": len(after),
            "rows": rows,
            "compared": bool(known),
        }

    def _snapshot(self, context: Context, rds: _Rds) -> None:
        """One of this attempt or of the one before it, waited for."""
        name = str(context.facts.values.get(self._snapshot_fact, ""))
        if not name or rds.snapshot(name) is None:
            stamp = context.clock.now().strftime("%Y%m%d%H%M%S")
            name = f"{rds.name}-before-{self.to.replace('.', '-')}-{stamp}"
            context.facts.remember(self._snapshot_fact, name)
            rds.take_snapshot(name)

        def taken() -> tuple[bool, str]:
            found = rds.snapshot(name) or {}
            return found.get("Status") == _AVAILABLE, (
                f"{found.get('Status', 'not there yet')}, {found.get('PercentProgress', 0)} %"
            )

        context.wait_for(f"the snapshot {name}", self.wait_seconds, taken)

    def _await_answer(self, context: Context) -> None:
        server, database = reach.database_server(context, self.database)

        def answers() -> tuple[bool, str]:
            try:
                server.connect(database).close()
            except StepError as error:
                return False, str(error)
            return True, "it answers"

        context.wait_for(f"{server} to answer", self.wait_seconds, answers)


@dataclass(frozen=True)
class _Rds:
    """One instance, as RDS's API shows it. Methods raise StepError."""

    context: Context
    client: Any
    name: str
    engine: str

    @staticmethod
    def of(context: Context, place: StackDatabase) -> _Rds:
        """The instance whose endpoint is the stack's output."""
        client = reach.client(context, "rds", place.region, stack=place.stack, role_output=place.role_output)
        host, _, _ = reach.stack_login(context, place)
        with _asked("describing the instances"):
            pages = client.get_paginator("describe_db_instances").paginate()
            found = [item for page in pages for item in page["DBInstances"]]
        for item in found:
            if item.get("Endpoint", {}).get("Address") == host:
                return _Rds(context, client, item["DBInstanceIdentifier"], item["Engine"])
        raise StepError(f"RDS in {place.region} has no instance at {host}: is it another account's?")

    def instance(self) -> Mapping[str, Any]:
        """How it is."""
        with _asked(f"describing {self.name}"):
            found: Mapping[str, Any] = self.client.describe_db_instances(DBInstanceIdentifier=self.name)[
                "DBInstances"
            ][0]
            return found

    def version(self) -> str:
        """Its version."""
        return str(self.instance()["EngineVersion"])

    def path(self, version: str, wanted: str) -> Sequence[Offer]:
        """The versions to go by. Raises StepError where AWS offers no way."""
        path = upgrade_path(version, wanted, self._offers)
        if not path:
            raise StepError(
                f"AWS offers no upgrade of {self.name} from {self.engine} {version} to {wanted}: load the "
                "dump into an instance of a version that has one"
            )
        return path

    def _offers(self, version: str) -> Sequence[Offer]:
        with _asked(f"looking up the upgrades of {self.engine} {version}"):
            answer = self.client.describe_db_engine_versions(Engine=self.engine, EngineVersion=version)
        return [
            Offer(str(target["EngineVersion"]), bool(target.get("IsMajorVersionUpgrade")))
            for found in answer["DBEngineVersions"]
            for target in found.get("ValidUpgradeTarget", ())
        ]

    def snapshot(self, name: str) -> Mapping[str, Any] | None:
        """A snapshot; None where there is none of that name."""
        from botocore.exceptions import ClientError  # noqa: PLC0415

        with _asked(f"looking at the snapshot {name}"):
            try:
                found: Mapping[str, Any] = self.client.describe_db_snapshots(DBSnapshotIdentifier=name)[
                    "DBSnapshots"
                ][0]
            except ClientError as error:
                if "NotFound" not in error.response["Error"]["Code"]:
                    raise
                return None
            return found

    def take_snapshot(self, name: str) -> None:
        """Orders one."""
        with _asked(f"taking the snapshot {name}"):
            self.client.create_db_snapshot(DBInstanceIdentifier=self.name, DBSnapshotIdentifier=name)

    def upgrade(self, offer: Offer) -> None:
        """Orders an upgrade, at once."""
        groups = self._groups(offer.version) if offer.is_major else {}
        with _asked(f"upgrading {self.name} to {offer.version}"):
            self.client.modify_db_instance(
                DBInstanceIdentifier=self.name,
                EngineVersion=offer.version,
                AllowMajorVersionUpgrade=offer.is_major,
                ApplyImmediately=True,
                **groups,
            )

    def _groups(self, version: str) -> dict[str, str]:
        """Groups of the new version, where the instance has some of its own: AWS takes no others."""
        found = self.instance()
        groups: dict[str, str] = {}
        given = [group["DBParameterGroupName"] for group in found.get("DBParameterGroups", ())]
        if given and not given[0].startswith("default."):
            groups["DBParameterGroupName"] = self._parameter_group(given[0], version)
        options = [group["OptionGroupName"] for group in found.get("OptionGroupMemberships", ())]
        if options and not options[0].startswith("default:"):
            groups["OptionGroupName"] = f"default:{self.engine}-{major(version).replace('.', '-')}"
        return groups

    def _parameter_group(self, before: str, version: str) -> str:
        """A group of the new version's family, with what people have set in the one before."""
        from botocore.exceptions import ClientError  # noqa: PLC0415

        name = f"{self.name}-{major(version).replace('.', '-')}"
        with _asked(f"making the parameter group {name}"):
            try:
                self.client.create_db_parameter_group(
                    DBParameterGroupName=name,
                    DBParameterGroupFamily=f"{self.engine}{major(version)}",
                    Description=f"Of {self.name} since its upgrade",
                )
            except ClientError as error:
                if "AlreadyExists" not in error.response["Error"]["Code"]:
                    raise
            pages = self.client.get_paginator("describe_db_parameters").paginate(
                DBParameterGroupName=before, Source=_CHANGED_BY_PEOPLE
            )
            for parameter in (item for page in pages for item in page["Parameters"]):
                if "ParameterValue" not in parameter:
                    continue
                try:
                    self.client.modify_db_parameter_group(
                        DBParameterGroupName=name,
                        Parameters=[
                            {
                                "ParameterName": parameter["ParameterName"],
                                "ParameterValue": parameter["ParameterValue"],
                                "ApplyMethod": "pending-reboot",
                            }
                        ],
                    )
                except ClientError as error:
                    if error.response["Error"]["Code"] not in _REFUSED_PARAMETERS:
                        raise
                    self.context.say(
                        f"{version} has no parameter {parameter['ParameterName']}: left out of {name}"
                    )
        return name

    def await_available(self, seconds: float) -> None:
        """Waits until whatever is under way has ended."""

        def available() -> tuple[bool, str]:
            found = self.instance()
            status = str(found["DBInstanceStatus"])
            return status == _AVAILABLE, f"{status}, {found['EngineVersion']}"

        self.context.wait_for(f"{self.name} to be available", seconds, available)

    def await_version(self, version: str, seconds: float) -> None:
        """Waits until it is of that version. Raises StepError where AWS gave the upgrade up."""
        begun = self.context.clock.monotonic()

        def upgraded() -> tuple[bool, str]:
            found = self.instance()
            status, there = str(found["DBInstanceStatus"]), str(found["EngineVersion"])
            pending = found.get("PendingModifiedValues", {}).get("EngineVersion")
            idle = status == _AVAILABLE and there != version and not pending
            if idle and self.context.clock.monotonic() - begun > _BEGIN_SECONDS:
                raise StepError(
                    f"AWS gave up the upgrade of {self.name} to {version}; it is {there} as before. Its "
                    "events (`aws rds describe-events`) and its file PrePatchCompatibility.log say why; mend "
                    "that, then `cutover run` goes on"
                )
            return status == _AVAILABLE and there == version, f"{status}, {there}"

        self.context.wait_for(f"{self.name} to be upgraded to {version}", seconds, upgraded)


@contextmanager
def _asked(what: str) -> Iterator[None]:
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise StepError(f"RDS: {what} failed: {error}") from error
