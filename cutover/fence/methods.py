"""The ways to refuse writes: the whole server, the application's rights, or the network."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from cutover.errors import StepError
from cutover.fence.fence import Fence, end_connection
from cutover.mysql import DatabaseError, Session, quoted

_DENIED = (1227, 1045, 1044)
PATIENCE_SECONDS = 0.005
"""How long a transaction that is open may still go on before it is ended: most commit by themselves."""
WRITE_RIGHTS = (
    "INSERT",
    "UPDATE",
    "DELETE",
    "CREATE",
    "DROP",
    "ALTER",
    "INDEX",
    "REFERENCES",
    "TRIGGER",
    "EVENT",
    "CREATE VIEW",
    "CREATE ROUTINE",
    "ALTER ROUTINE",
    "EXECUTE",  # a routine may write with its definer's rights
    "LOCK TABLES",
    "CREATE TEMPORARY TABLES",
    "DELETE HISTORY",
)
_SYSTEM_USERS = ("root", "mariadb.sys", "rdsadmin", "mysql.session")
_BYPASSES = ("SUPER", "READ_ONLY ADMIN", "READ ONLY ADMIN", "CONNECTION_ADMIN", "CONNECTION ADMIN")


@dataclass
class ReadOnlyFence(Fence):
    """`read_only`, where the server lets us set it. Replication by the server itself goes on applying.

    A connection that has no transaction open can do no harm then, and is left alone: if the switch is given
    up, its next statement works. Open transactions are ended, and so is whoever may write all the same
    (SUPER, CONNECTION_ADMIN, READ_ONLY ADMIN); as he could come back, `problems` names him.
    """

    bypassing: tuple[str, ...] = ()
    """Users who may write in spite of it; looked up by `prepare`."""

    def problems(self, session: Session) -> Sequence[str]:
        """See Fence."""
        self.prepare(session)
        found = [
            f"{user} may write on {self.server} in spite of read_only (SUPER, CONNECTION_ADMIN or READ_ONLY "
            "ADMIN): revoke that, or lock the account while the fence is up"
            for user in self.bypassing
        ]
        try:
            session.execute("SET GLOBAL read_only = @@GLOBAL.read_only")
        except DatabaseError as error:
            if error.code not in _DENIED:
                raise
            found.append(
                f"{self.server} does not let {self.server.user} set read_only: choose the fence `grants`, or "
                "`network`"
            )
        return found

    def prepare(self, session: Session) -> None:
        """See Fence."""
        ours = (*_SYSTEM_USERS, *self.exempt.users, self.server.user)
        users = {
            str(grantee).rpartition("@")[0].strip("'")
            for (grantee,) in session.rows(
                "SELECT DISTINCT GRANTEE FROM information_schema.USER_PRIVILEGES WHERE PRIVILEGE_TYPE IN %s",
                (_BYPASSES,),
            )
        }
        self.bypassing = tuple(sorted(user for user in users if user and user not in ours))

    def refuse_writes(self, session: Session, seconds: float) -> None:
        """See Fence. Setting read_only waits for whoever is writing: those who do not end are ended."""
        stop = threading.Event()
        failed: list[StepError] = []
        helper = threading.Thread(target=self._end_who_blocks, args=(stop, failed, seconds), daemon=True)
        helper.start()
        try:
            session.execute("SET GLOBAL read_only = 1")
        except DatabaseError as error:
            reason = failed[0] if failed else error
            raise StepError(f"{self.server} could not be set read_only: {reason}") from error
        finally:
            stop.set()
            helper.join(seconds)

    def admit_writes(self, session: Session) -> None:
        """See Fence."""
        session.execute("SET GLOBAL read_only = 0")

    def is_up(self, session: Session) -> bool:
        """See Fence."""
        return str(session.value("SELECT @@GLOBAL.read_only")) == "1"

    def connections(self, session: Session) -> list[tuple[int, str]]:
        """See Fence."""
        open_transactions = {
            int(thread)
            for (thread,) in session.rows(
                "SELECT trx_mysql_thread_id FROM information_schema.INNODB_TRX WHERE trx_mysql_thread_id > 0"
            )
        }
        return [
            (thread, client)
            for thread, client in super().connections(session)
            if thread in open_transactions or client.rpartition("@")[0] in self.bypassing
        ]

    def _end_who_blocks(self, stop: threading.Event, failed: list[StepError], seconds: float) -> None:
        """Only needed where setting read_only does not come back at once."""
        if stop.wait(PATIENCE_SECONDS):
            return
        deadline = time.monotonic() + seconds
        try:
            with self.server.connect() as session:
                self.end_connections(session, deadline)
                if stop.wait(PATIENCE_SECONDS * 10):
                    return
                # Whoever holds LOCK TABLES has no transaction that shows.
                for thread, _ in super().connections(session):
                    end_connection(session, thread)
                if not stop.wait(max(0.0, deadline - time.monotonic())):
                    self._give_up(session)
        except StepError as error:
            failed.append(error)

    def _give_up(self, session: Session) -> None:
        """Ends our own attempt to set read_only, which still waits: while it does, nobody can write."""
        for (thread,) in session.rows(
            "SELECT ID FROM information_schema.PROCESSLIST WHERE USER = %s AND INFO LIKE %s "
            "AND ID <> CONNECTION_ID()",
            (self.server.user, "SET GLOBAL read_only = 1%"),
        ):
            session.execute(f"KILL QUERY {int(thread):d}")


@dataclass(frozen=True)
class _Right:
    """Rights of an account on something, as they were before they were revoked."""

    rights: tuple[str, ...]
    on: str
    account: str
    option: bool


@dataclass
class GrantsFence(Fence):
    """Takes the accounts' rights to write, where a managed server denies read_only. They can still read.

    What is revoked can be remembered (`remembered`, without any password) and given back by `admit_writes`.
    A session keeps the rights on a schema that it had when it chose that, so all sessions are ended; and
    rights are given back by table first, which sessions that are open by then see at once.
    """

    accounts: tuple[str, ...] = ()
    """Accounts of the application, as `user@host`."""
    remembered: list[dict[str, Any]] = field(default_factory=list)
    """What was revoked, as data that a journal can keep; needed to lower the fence."""

    def problems(self, session: Session) -> Sequence[str]:
        """See Fence."""
        found = [
            f"{account} may write to all schemas of {self.server}: give it rights on "
            f"{', '.join(self.schemas)} alone, so that they can be revoked"
            for account in self.accounts
            for right in self._rights(session, account)
            if right.on == "*.*" and set(right.rights) & {"ALL PRIVILEGES", *WRITE_RIGHTS}
        ]
        if not self.accounts:
            found.append("the settings name no accounts of the application whose rights could be revoked")
        return found

    def rights(self, session: Session) -> list[dict[str, Any]]:
        """The accounts' rights on schemas by which they may write now, as `remembered` keeps them."""
        return [
            {
                "rights": list(right.rights),
                "on": right.on,
                "account": right.account,
                "option": right.option,
            }
            for account in self.accounts
            for right in self._rights(session, account)
            if right.on != "*.*" and _writing(right.rights)
        ]

    def refuse_writes(self, session: Session, seconds: float) -> None:  # noqa: ARG002 - an interface's method
        """See Fence. What was revoked before by an attempt that was cut short stays remembered."""
        with unlogged(session) as revoke:
            for entry in self.rights(session):
                if entry not in self.remembered:
                    self.remembered.append(entry)
                taken, account = _writing(entry["rights"]), account_name(entry["account"])
                session.execute(f"{revoke} {', '.join(taken)} ON {entry['on']} FROM {account}")
                if "ALL PRIVILEGES" in taken:
                    session.execute(f"GRANT SELECT, SHOW VIEW ON {entry['on']} TO {account}")

    def admit_writes(self, session: Session) -> None:
        """See Fence."""
        with unlogged(session):
            self._give_back(session)

    def _give_back(self, session: Session) -> None:
        for schema, table in session.rows(
            "SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES "
            "WHERE TABLE_SCHEMA IN %s AND TABLE_TYPE = 'BASE TABLE'",
            (self.schemas,),
        ):
            for entry in self.remembered:
                if rights := _on_a_table(entry, str(schema)):
                    place = quoted(str(schema), str(table))
                    session.execute(f"GRANT {rights} ON {place} TO {account_name(entry['account'])}")
        for entry in self.remembered:
            option = " WITH GRANT OPTION" if entry["option"] else ""
            account = account_name(entry["account"])
            session.execute(f"GRANT {', '.join(entry['rights'])} ON {entry['on']} TO {account}{option}")

    def is_up(self, session: Session) -> bool:
        """See Fence."""
        return bool(self.accounts) and not any(
            set(right.rights) & {"ALL PRIVILEGES", "INSERT", "UPDATE", "DELETE"}
            for account in self.accounts
            for right in self._rights(session, account)
        )

    def _rights(self, session: Session, account: str) -> list[_Right]:
        """What the server says of an account, its password left out."""
        found = []
        for (line,) in session.rows(f"SHOW GRANTS FOR {account_name(account)}"):
            said = re.match(r"GRANT (.+?) ON (?:TABLE )?(\S+) TO ", str(line))
            if said and said.group(1) != "USAGE":
                rights = tuple(part.strip() for part in re.split(r",(?![^(]*\))", said.group(1)))
                found.append(_Right(rights, said.group(2), account, "WITH GRANT OPTION" in str(line)))
        return found


class PacketFilter(Protocol):
    """Something that decides who can connect to a server. Methods raise StepError."""

    def close(self) -> None:
        """Lets no new connection of the application in; may be repeated."""

    def open(self) -> None:
        """Lets them in again; may be repeated."""

    def is_closed(self) -> bool:
        """Whether they are kept out."""

    def problems(self) -> Sequence[str]:
        """Why it would not work, with what to do."""


@dataclass
class NetworkFence(Fence):
    """Keeps the application out by the network. Connections that are open stay open, so they are ended."""

    packet_filter: PacketFilter | None = None

    def problems(self, session: Session) -> Sequence[str]:  # noqa: ARG002 - an interface's method
        """See Fence."""
        return self._filter().problems()

    def refuse_writes(self, session: Session, seconds: float) -> None:  # noqa: ARG002 - an interface's method
        """See Fence."""
        self._filter().close()

    def admit_writes(self, session: Session) -> None:  # noqa: ARG002 - an interface's method
        """See Fence."""
        self._filter().open()

    def is_up(self, session: Session) -> bool:  # noqa: ARG002 - an interface's method
        """See Fence."""
        return self._filter().is_closed()

    def _filter(self) -> PacketFilter:
        if self.packet_filter is None:
            raise StepError(f"the network fence of {self.server} has no packet filter to close")
        return self.packet_filter


@dataclass(frozen=True)
class SecurityGroup:
    """The rules of an AWS security group that let the application in. Implements PacketFilter."""

    ec2: Any
    """A boto3 client."""
    group_id: str
    port: int
    sources: tuple[dict[str, Any], ...]
    """The parts of `IpPermissions` that say from where: `{"IpRanges": …}` or `{"UserIdGroupPairs": …}`."""

    def close(self) -> None:
        """See PacketFilter."""
        self._change("revoke_security_group_ingress", "InvalidPermission.NotFound")

    def open(self) -> None:
        """See PacketFilter."""
        self._change("authorize_security_group_ingress", "InvalidPermission.Duplicate")

    def is_closed(self) -> bool:
        """See PacketFilter."""
        filters = [{"Name": "group-id", "Values": [self.group_id]}]
        try:
            rules = self.ec2.describe_security_group_rules(Filters=filters)["SecurityGroupRules"]
        except (BotoCoreError, ClientError) as error:
            raise StepError(f"the security group {self.group_id} could not be read: {error}") from error
        wanted = {_source(source) for source in self.sources}
        return not any(
            not rule["IsEgress"]
            and rule["FromPort"] <= self.port <= rule["ToPort"]
            and (rule.get("CidrIpv4") or rule.get("ReferencedGroupInfo", {}).get("GroupId")) in wanted
            for rule in rules
        )

    def problems(self) -> Sequence[str]:
        """See PacketFilter."""
        if self.is_closed():
            return [f"the security group {self.group_id} has no rule by which the application is let in"]
        return []

    def _change(self, operation: str, already: str) -> None:
        for source in self.sources:
            permission = {"IpProtocol": "tcp", "FromPort": self.port, "ToPort": self.port, **source}
            try:
                getattr(self.ec2, operation)(GroupId=self.group_id, IpPermissions=[permission])
            except ClientError as error:
                if error.response["Error"]["Code"] != already:
                    raise StepError(f"{operation} of {self.group_id} failed: {error}") from error
            except BotoCoreError as error:
                raise StepError(f"{operation} of {self.group_id} failed: {error}") from error


@contextmanager
def unlogged(session: Session) -> Iterator[str]:
    """Keeps statements on accounts, which are each server's own, out of the binlog where we may.

    Yields:
        The word to revoke with: where they are logged, one that fails on no replica without those rights.
    """
    revoke = "REVOKE"
    try:
        session.execute("SET SESSION sql_log_bin = 0")
    except DatabaseError as error:
        if error.code not in _DENIED:
            raise
        if session.flavour.family == "mysql" and session.flavour.version >= (8, 0, 30):
            revoke = "REVOKE IF EXISTS"
        yield revoke
        return
    yield revoke
    # after an error the session may be lost, and is thrown away by whoever has it
    session.execute("SET SESSION sql_log_bin = 1")


def _writing(rights: Sequence[str]) -> tuple[str, ...]:
    return tuple(each for each in rights if each in (*WRITE_RIGHTS, "ALL PRIVILEGES"))


def account_name(account: str) -> str:
    """`user@host` as statements name it."""
    user, _, host = account.rpartition("@")
    return f"{quoted(user)}@{quoted(host)}"


def _on_a_table(entry: dict[str, Any], schema: str) -> str:
    """The rights to change rows that an account had on all tables of a schema."""
    pattern = str(entry["on"]).replace("`", "").replace("\\", "")
    if pattern != f"{schema}.*":
        return ""
    rights = entry["rights"]
    wanted = ("INSERT", "UPDATE", "DELETE")
    return ", ".join(wanted if "ALL PRIVILEGES" in rights else [each for each in wanted if each in rights])


def _source(source: dict[str, Any]) -> str:
    if "IpRanges" in source:
        return str(source["IpRanges"][0]["CidrIp"])
    return str(source["UserIdGroupPairs"][0]["GroupId"])
