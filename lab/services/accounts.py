"""Accounts with passwords, in a table of a service's own schema."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Mapping
from functools import partial

from pymysql.connections import Connection
from pymysql.cursors import Cursor

from lab.services.database import Pool

ROUNDS = 1000  # a lab's logins share two cores; a real service takes many times that
TABLE = """
CREATE TABLE IF NOT EXISTS accounts (
    user VARCHAR(64) NOT NULL PRIMARY KEY,
    salt BINARY(16) NOT NULL,
    digest BINARY(32) NOT NULL,
    created_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4
"""
TABLES = {"accounts": TABLE}


class Accounts:
    """Checks passwords. Raises `pymysql.MySQLError` or OSError."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def check(self, user: str, password: str) -> bool:
        """Whether there is such an account and that is its password."""
        found = await self._pool.run(partial(_select, user))
        salt, digest = found or (bytes(16), bytes(32))
        return hmac.compare_digest(_digest(password, salt), digest)


def create_accounts(connection: Connection[Cursor], schema: str, passwords: Mapping[str, str]) -> None:
    """Makes the table in a schema, with these accounts in it. Raises pymysql.MySQLError."""
    with connection.cursor() as cursor:
        cursor.execute(f"USE `{schema}`")
        cursor.execute(TABLE)
        cursor.executemany(
            "INSERT INTO accounts (user, salt, digest) VALUES (%s, %s, %s)", list(_rows(passwords.items()))
        )


def _rows(passwords: Iterable[tuple[str, str]]) -> Iterable[tuple[str, bytes, bytes]]:
    for user, password in passwords:
        salt = secrets.token_bytes(16)
        yield user, salt, _digest(password, salt)


def _digest(password: str, salt: bytes) -> bytes:
    return hashlib.pbkdf2_hmac("sha256", password.encode(), salt, ROUNDS)


def _select(user: str, connection: Connection[Cursor]) -> tuple[bytes, bytes] | None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT salt, digest FROM accounts WHERE user = %s", (user,))
        row = cursor.fetchone()
    return None if row is None else (bytes(row[0]), bytes(row[1]))
