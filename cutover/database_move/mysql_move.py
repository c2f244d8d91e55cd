"""The pair of databases for real: MySQL or MariaDB on both sides, replication natively or by DMS."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Literal

from cutover.clock import Clock
from cutover.database_move import verifying
from cutover.database_move.accounts import copy_accounts, make_replication_user
from cutover.database_move.load import copy
from cutover.database_move.port import Back, Lag, Replicating, Rights, Say, Switched
from cutover.database_move.servers import Servers
from cutover.database_move.switching import Switching
from cutover.errors import StepError
from cutover.fence import GrantsFence
from cutover.mysql import DatabaseError, quoted
from cutover.ports import Cluster, Connection, Side, Stacks
from cutover.replication.counters import seed_counters
from cutover.replication.dms import DmsReplication
from cutover.replication.native import NativeReplication, ReplicationUser
from cutover.replication.preflight import errors, inspect_pair
from cutover.verification.catalog import read_catalog
from cutover.verification.schema import compare_catalogs
from stacks.settings import Environment

_SERVER_THREADS = ("system user", "event_scheduler", "rdsadmin", "mysql.session")
_LAG_SECONDS = 60.0
_SHOWN_ROWS = 20
WATCHED_LAG_SECONDS = 5.0
"""Whoever looks on waits so long for a replica to catch up."""
COUNTER_MARGIN = 10_000
"""Numbers that the source gave out without a row to show for them; with each row the target's follows."""


class MySqlMove:
    """Implements DatabaseMove."""

    def __init__(
        self,
        environment: Environment,
        project: Path,
        folder: Path,
        *,
        stacks: Stacks,
        target: Cluster,
        clock: Clock,
    ) -> None:
        """`folder`: where the switch's record and the verification's checkpoint stand."""
        self._environment = environment
        self._database = environment.database
        self._folder = folder
        self._servers = Servers(environment, project, stacks)
        self._switching = Switching(environment, self._servers, self, folder, target=target, clock=clock)
        self._watched: dict[str, NativeReplication | DmsReplication] = {}

    def only_while(self, ensure: Callable[[], None]) -> None:
        """See leased.LeaseAware: a switch asks before each of its stages."""
        self._switching.ensure = ensure

    def inspect(self) -> Sequence[str]:
        """See DatabaseMove."""
        settings = self._servers.settings
        if not self._database.accounts:
            raise StepError(
                "the settings name no database.accounts: those of the services, which are kept from writing "
                "while their database is not the one that serves"
            )
        with self._servers.source.connect() as source, self._servers.target.connect() as target:
            found = inspect_pair(
                source,
                target,
                read_catalog(source, self._database.names),
                forward=settings.forward,
                reverse="dms",
            )
            fence = GrantsFence(
                self._servers.source, self._database.names, accounts=self._database.accounts
            ).problems(source)
        if problems := [*map(str, errors(found)), *fence]:
            raise StepError("; ".join(problems))
        return [str(finding) for finding in found]

    def prepare_users(self) -> Rights:
        """See DatabaseMove."""
        for side in ("source", "target"):
            user, password = self._servers.fill_secrets("source" if side == "source" else "target")
            with self._servers.server("source" if side == "source" else "target").connect() as session:
                if side == "target":
                    for schema in self._database.names:
                        session.execute(f"CREATE DATABASE IF NOT EXISTS {quoted(schema)}")
                make_replication_user(session, self._database.names, user, password)
        with self._servers.source.connect() as source, self._servers.target.connect() as target:
            return copy_accounts(source, target, self._database.accounts)

    def forward(self, start: str | None = None) -> NativeReplication | DmsReplication:
        """From the source to the target."""
        if self._servers.settings.forward == "dms":
            return self._dms("forward")
        user = self._servers.replication_user("source")
        return NativeReplication(
            self._servers.source,
            self._servers.target,
            ReplicationUser(user.user, user.password),
            origin_ca=self._servers.authority("source"),
            start=start,
        )

    def reverse(self) -> DmsReplication:
        """From the target to the source."""
        return self._dms("reverse")

    def replicating(self) -> Replicating:
        """See DatabaseMove."""
        state = self.forward().state()
        return Replicating(state.state, state.detail)

    def lag(self) -> Lag:
        """See DatabaseMove."""
        direction: Literal["forward", "reverse"] = "reverse" if self.serving() == "target" else "forward"
        if not self._watched and not self._servers.has_replication_users():
            return Lag(direction, "absent", "its users are not made yet")
        if direction not in self._watched:  # what it takes is asked for once: secrets, outputs of stacks
            self._watched[direction] = self.reverse() if direction == "reverse" else self.forward()
        replication = self._watched[direction]
        state = replication.state()
        if not state.healthy:
            return Lag(direction, state.state, state.detail)
        seconds = replication.observed_lag(WATCHED_LAG_SECONDS)
        return Lag(direction, state.state, state.detail, seconds)

    def replicate(self, say: Say) -> Mapping[str, Any]:
        """See DatabaseMove."""
        source, target = self._servers.source, self._servers.target
        native = self._servers.settings.forward == "native"
        self.forward().retire()
        self.checkpoint.unlink(missing_ok=True)  # it was of a copy that is replaced now
        with source.connect() as here, target.connect() as there:
            flavours = (here.flavour, there.flavour)
        say(f"copying {'schema and rows' if native else 'the schema'} of {', '.join(self._database.names)}")
        start = copy(
            source,
            target,
            self._database.names,
            flavours,
            rows=native,
            seconds=self._environment.cutover.timeouts.database_copy,
            say=say,
        )
        self._refuse_other_schema()
        forward = self.forward(start)
        forward.set_up()
        forward.start()
        if isinstance(forward, DmsReplication):
            forward.wait_loaded(self._environment.cutover.timeouts.database_copy, say)
        lag = forward.measure_lag(_LAG_SECONDS)
        with source.connect() as here, target.connect() as there:
            seed_counters(here, there, self._database.names, COUNTER_MARGIN)
        say(f"the target follows the source, {lag * 1000:.0f} ms behind")
        return {"kind": forward.kind, "start": start, "lag_ms": round(lag * 1000, 1)}

    def retire(self) -> None:
        """See DatabaseMove."""
        self.forward().retire()

    def prepare_reverse(self) -> Mapping[str, Any]:
        """See DatabaseMove."""
        reverse = self.reverse()
        reverse.set_up()
        state = reverse.state()
        if state.state == "running":
            raise StepError("the reverse task runs already, while the source still serves: stop it")
        return {"kind": reverse.kind, "state": state.state, "detail": state.detail}

    def verify(self, say: Say) -> Mapping[str, Any]:
        """See DatabaseMove."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with verifying.open_verification(
            self._servers.source, self._servers.target, self._database, self.checkpoint, say
        ) as verification:
            result = verification.result()
        later = ("trigger",) if self._servers.settings.forward == "dms" else ()
        if wrong := verifying.schema_errors(result, later):
            raise StepError(f"the schemas differ: {'; '.join(wrong[:10])}")
        return {
            **verifying.evidence(result),
            "waiting": result.pending,
            "differences": [str(difference) for difference in result.differences[:_SHOWN_ROWS]],
        }

    @property
    def checkpoint(self) -> Path:
        """The verification's."""
        return self._folder / "verification.json"

    def serving(self) -> Side | None:
        """See DatabaseMove."""
        return self._switching.serving()

    def switch(self, rights: Rights, say: Say) -> Switched:
        """See DatabaseMove."""
        return self._switching.forth(rights, say)

    def recover(self, rights: Rights) -> str:
        """See DatabaseMove."""
        return self._switching.recover(rights)

    def start_reverse(self) -> Mapping[str, Any]:
        """See DatabaseMove."""
        return self._switching.start_reverse()

    def switch_back(self, rights: Rights, say: Say) -> Back:
        """See DatabaseMove."""
        return self._switching.back(rights, say)

    def follow_again(self) -> None:
        """See DatabaseMove."""
        self._switching.follow_again()

    def connections(self, side: Side) -> Sequence[Connection]:
        """See DatabaseMove."""
        server = self._servers.server(side)
        ours = (*_SERVER_THREADS, server.user, self._servers.replication_user(side).user)
        with closing(server.connect()) as session:
            rows = session.rows(
                "SELECT ID, USER, HOST, COALESCE(DB, '') FROM information_schema.PROCESSLIST "
                "WHERE ID <> CONNECTION_ID()"
            )
            kinds = self._encrypted(session)
        return [
            Connection(
                str(user), str(host).rpartition(":")[0] or str(host), str(schema), kinds.get(int(number))
            )
            for number, user, host, schema in rows
            if str(user) not in ours
        ]

    def end_reverse(self) -> Mapping[str, Any]:
        """See DatabaseMove."""
        reverse = self.reverse()
        reverse.retire()
        return {"state": reverse.state().state}

    @staticmethod
    def _encrypted(session: Any) -> dict[int, bool]:
        try:
            rows = session.rows(
                "SELECT PROCESSLIST_ID, CONNECTION_TYPE FROM performance_schema.threads "
                "WHERE PROCESSLIST_ID > 0"
            )
        except DatabaseError:
            return {}  # an administrator of a managed database may not look there
        return {int(number): str(kind) == "SSL/TLS" for number, kind in rows if kind}

    def _refuse_other_schema(self) -> None:
        """Tables and columns must agree before rows are trusted; the rest is compared with the data."""
        with self._servers.source.connect() as source, self._servers.target.connect() as target:
            found = compare_catalogs(
                read_catalog(source, self._database.names),
                read_catalog(target, self._database.names),
                (source.flavour, target.flavour),
                kinds=("table", "column"),
            )
        if wrong := [str(difference) for difference in found if difference.weight == "error"]:
            raise StepError(f"the schema did not arrive as it is: {'; '.join(wrong[:10])}")

    def _dms(self, direction: str) -> DmsReplication:
        arns = self._servers.output("replication", "task_arns")
        if direction not in arns:
            raise StepError(f"the stack of the replication has no {direction} task")
        ends = (self._servers.source, self._servers.target)
        origin, replica = ends if direction == "forward" else ends[::-1]
        clients = (self._servers.client("dms"), self._servers.client("cloudwatch"))
        return DmsReplication(clients, str(arns[direction]), origin, replica, self._database.name)
