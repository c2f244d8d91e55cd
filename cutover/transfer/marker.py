"""A mark in a database that is being filled: what bears it is ours, and may be emptied and filled again."""

from __future__ import annotations

from cutover.context import Context
from cutover.errors import StepError
from cutover.mysql import Server
from cutover.postgres import PostgresServer
from cutover.transfer import mysql_dump
from cutover.transfer.places import DatabasePlace

MARK = "landfall_being_filled"
"""A table of MySQL, a schema of PostgreSQL."""
_POSTGRES_TABLES = (
    "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
    "WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p')"
)


def fact(server: Server | PostgresServer | DatabasePlace) -> str:
    """The fact that a database is filled by us, and may be emptied on the way back."""
    return f"filled {server.name}"


def begin(context: Context, server: Server | PostgresServer, database: str) -> None:
    """Empties a database that is empty or bears the mark, and marks it.

    Raises:
        StepError: it holds tables that no attempt of ours made.
    """
    tables, marked = state(server, database)
    if tables and not marked:
        raise StepError(
            f"{server} already holds {tables} tables in {database}, which landfall did not put there: "
            f"see what they are, and drop them if nobody needs them; then `cutover run` goes on"
        )
    context.facts.remember(fact(server), True)
    empty(server, database)
    if isinstance(server, Server):
        with server.connect(database) as session:
            session.execute(f"CREATE TABLE {MARK} (id INT PRIMARY KEY)")
    else:
        with server.connect(database) as found:
            found.execute(f"CREATE SCHEMA {MARK}")
    context.activity.note(f"{server.name} is empty")


def undo(context: Context, server: Server | PostgresServer, database: str) -> dict[str, str]:
    """Empties a database that we have filled; another is left as it is. Raises StepError."""
    if fact(server) not in context.facts.values:
        return {"emptied": "nothing: it was not filled"}
    empty(server, database)
    return {"emptied": str(server)}


def end(server: Server | PostgresServer, database: str) -> None:
    """Takes the mark away: all is there. Raises StepError."""
    if isinstance(server, Server):
        with server.connect(database) as session:
            session.execute(f"DROP TABLE IF EXISTS {MARK}")
    else:
        with server.connect(database) as found:
            found.execute(f"DROP SCHEMA IF EXISTS {MARK}")


def state(server: Server | PostgresServer, database: str) -> tuple[int, bool]:
    """How many tables there are, the mark left out, and whether it is marked. Raises StepError."""
    if isinstance(server, Server):
        with server.connect() as session:
            names = [
                str(name)
                for (name,) in session.rows(
                    "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s", (database,)
                )
            ]
        return len([name for name in names if name != MARK]), MARK in names
    with server.connect(database) as found:
        marked = found.value("SELECT count(*) FROM pg_namespace WHERE nspname = %s", (MARK,))
        return int(found.value(_POSTGRES_TABLES)), bool(marked)


def empty(server: Server | PostgresServer, database: str) -> None:
    """Drops all that a database holds, the mark too. Raises StepError."""
    if isinstance(server, Server):
        mysql_dump.recreate(server, database)
        return
    with server.connect(database) as session, session.transaction():
        session.execute("DROP SCHEMA IF EXISTS public CASCADE")
        session.execute("CREATE SCHEMA public")
        session.execute(f"DROP SCHEMA IF EXISTS {MARK} CASCADE")
