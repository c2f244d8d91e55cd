"""PostgreSQL servers, and sessions on them."""

from cutover.postgres.server import PostgresError, PostgresServer, PostgresSession, quoted

__all__ = ["PostgresError", "PostgresServer", "PostgresSession", "quoted"]
