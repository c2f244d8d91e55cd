"""Users: those of the replication on both servers, and the services' accounts on the target."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from cutover.errors import StepError
from cutover.fence import GrantsFence
from cutover.fence.methods import account_name, unlogged
from cutover.mysql import DatabaseError, Session, quoted

READS = "SELECT, SHOW VIEW"
_FOLLOWS = "REPLICATION SLAVE, REPLICATION CLIENT"
_APPLIES = "SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX"


def make_replication_user(session: Session, schemas: Iterable[str], user: str, password: str) -> None:
    """On either server: it follows the binlog and applies changes, over TLS alone. May be repeated."""
    name = account_name(f"{user}@%")
    with unlogged(session):
        for verb in ("CREATE USER IF NOT EXISTS", "ALTER USER"):
            # the name's own % is none of a value
            statement = f"{verb} {name.replace('%', '%%')} IDENTIFIED BY %s REQUIRE SSL"
            session.execute(statement, (password,))
        session.execute(f"GRANT {_FOLLOWS} ON *.* TO {name}")
        for schema in schemas:
            session.execute(f"GRANT {_APPLIES} ON {quoted(schema)}.* TO {name}")


def copy_accounts(source: Session, target: Session, accounts: Sequence[str]) -> list[dict[str, Any]]:
    """Makes the services' accounts on the target with their passwords, but with rights to read alone.

    Returns:
        The rights that they have on the source, as the fence gives them when its database begins to serve.
    """
    found: list[dict[str, Any]] = []
    with unlogged(target):
        for account in accounts:
            rights = GrantsFence(source.server, (), accounts=(account,)).rights(source)
            if not rights:
                raise StepError(
                    f"{account} may not write to any schema of {source.server}: is it a service's account?"
                )
            _create(target, account, _definition(source, account))
            for place in dict.fromkeys(str(right["on"]) for right in rights):
                target.execute(f"GRANT {READS} ON {place} TO {account_name(account)}")
            found += rights
    return found


def _definition(source: Session, account: str) -> str:
    """`CREATE USER …` with the password's hash, in plain characters."""
    if source.flavour.family == "mysql":
        source.execute("SET SESSION print_identified_with_as_hex = 1")
    return str(source.value(f"SHOW CREATE USER {account_name(account)}"))


def _create(target: Session, account: str, definition: str) -> None:
    """The definition holds a hash, which no error may show."""
    try:
        target.execute(definition.replace("CREATE USER", "CREATE USER IF NOT EXISTS", 1))
    except DatabaseError as error:
        raise DatabaseError(
            f"{target.server} does not take the account {account}: error {error.code}", error.code
        ) from None
