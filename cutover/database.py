"""What a MySQL database says about itself."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pymysql

from cutover.errors import StepError
from cutover.masking import keep_secret
from cutover.ports import Connection
from stacks.settings import Environment, Placeholder

CONNECT_SECONDS = 5.0
_CONNECTIONS = (
    "SELECT ID, USER, HOST, DB FROM information_schema.PROCESSLIST WHERE DB IN %s AND ID <> CONNECTION_ID()"
)
_ENCRYPTED = "SELECT PROCESSLIST_ID, CONNECTION_TYPE FROM performance_schema.threads WHERE PROCESSLIST_ID > 0"


class MySql:
    """Implements ports.Database with the administrator's credentials from the environment."""

    def __init__(self, environment: Environment, project: Path, call_seconds: float) -> None:
        self._settings = environment.database
        self._seconds = call_seconds
        self._verified = _verified(environment, project)

    def connections(self, host: str) -> Sequence[Connection]:
        """See ports.Database."""
        try:
            with closing(self._connect(host)) as database, database.cursor() as cursor:
                cursor.execute(_CONNECTIONS, (self._settings.names,))
                rows = cursor.fetchall()
                kinds = _kinds(cursor)
        except pymysql.MySQLError as error:
            raise StepError(f"{self._place(host)} could not be asked for its connections: {error}") from error
        return [
            Connection(
                str(user), str(address).rpartition(":")[0] or str(address), str(name), kinds.get(int(number))
            )
            for number, user, address, name in rows
        ]

    def tls(self, host: str) -> str:
        """See ports.Database."""
        try:
            with closing(self._connect(host)) as database, database.cursor() as cursor:
                cursor.execute("SHOW SESSION STATUS WHERE Variable_name IN ('Ssl_version', 'Ssl_cipher')")
                found = dict(cursor.fetchall())
        except pymysql.MySQLError as error:
            raise StepError(f"{self._place(host)} could not be asked for its TLS: {error}") from error
        if not found.get("Ssl_cipher"):
            raise StepError(
                f"{self._place(host)} offers no TLS, and passwords and data would travel the internet as "
                "plain text: turn SSL on for the instance; then `cutover run` goes on"
            )
        return f"{found['Ssl_version']} {found['Ssl_cipher']}"

    def _place(self, host: str) -> str:
        return f"the database at {host}:{self._settings.port}"

    def _connect(self, host: str) -> pymysql.Connection[pymysql.cursors.Cursor]:
        administrator = self._settings.administrator
        return pymysql.connect(
            host=host,
            port=self._settings.port,
            user=_secret(administrator.user_env),
            password=_secret(administrator.password_env),
            database=self._settings.name,
            connect_timeout=min(CONNECT_SECONDS, self._seconds),
            read_timeout=self._seconds,
            write_timeout=self._seconds,
            **self._verified,
        )


class NoDatabase:
    """Implements ports.Database for settings that name no server which is asked."""

    def connections(self, host: str) -> Sequence[Connection]:
        """See ports.Database."""
        raise StepError(f"the settings name no administrator who could ask {host} for its connections")

    def tls(self, host: str) -> str:
        """See ports.Database."""
        raise StepError(f"the settings name no administrator who could ask {host} for its TLS")


def _verified(environment: Environment, project: Path) -> dict[str, Any]:
    """How the server's certificate is verified; without a known authority TLS is used where it is offered."""
    replication = environment.replication
    if replication is None or isinstance(replication.certificates.source, Placeholder):
        return {}
    return {
        "ssl_ca": str(project / replication.certificates.source),
        "ssl_verify_cert": True,
        "ssl_verify_identity": replication.source_tls == "verify-full",
    }


def _kinds(cursor: pymysql.cursors.Cursor) -> dict[int, bool]:
    """Whether connections are encrypted, by their numbers; empty where the server does not say."""
    try:
        cursor.execute(_ENCRYPTED)
    except pymysql.MySQLError:
        return {}  # an administrator of a managed database may not look there
    return {int(number): str(kind) == "SSL/TLS" for number, kind in cursor.fetchall() if kind}


def _secret(variable: str) -> str:
    value = os.environ.get(variable)
    if not value:
        raise StepError(
            f"the environment variable {variable} is not set; it holds a credential of the database"
        )
    keep_secret(value)
    return value
