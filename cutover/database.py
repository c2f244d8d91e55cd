"""What a MySQL database says about itself."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import closing

import pymysql

from cutover.errors import StepError
from cutover.ports import Connection
from stacks.settings import DatabaseSettings

CONNECT_SECONDS = 5.0


class MySql:
    """Implements ports.Database with the administrator's credentials from the environment."""

    def __init__(self, settings: DatabaseSettings, call_seconds: float) -> None:
        self._settings = settings
        self._seconds = call_seconds

    def connections(self, host: str) -> Sequence[Connection]:
        """See ports.Database."""
        place = f"the database at {host}:{self._settings.port}"
        try:
            with closing(self._connect(host)) as database, database.cursor() as cursor:
                cursor.execute(
                    "SELECT USER, HOST FROM information_schema.PROCESSLIST "
                    "WHERE DB = %s AND ID <> CONNECTION_ID()",
                    (self._settings.name,),
                )
                rows = cursor.fetchall()
        except pymysql.MySQLError as error:
            raise StepError(f"{place} could not be asked for its connections: {error}") from error
        return [
            Connection(str(user), str(address).rpartition(":")[0] or str(address)) for user, address in rows
        ]

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
        )


def _secret(variable: str) -> str:
    value = os.environ.get(variable)
    if not value:
        raise StepError(
            f"the environment variable {variable} is not set; it holds a credential of the database"
        )
    return value
