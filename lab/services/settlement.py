"""BOSS's settlement, a schedule: sums the records that are not settled yet, one row a run.

A run settles what was recorded between the end of the last settlement and a moment just before its own
period. Nothing keeps two runs apart, and `settlements` has no unique key: a schedule that ran twice, or on
two clusters, leaves two rows for a period.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pymysql
from pymysql.connections import Connection
from pymysql.cursors import Cursor

from lab.services.database import DatabaseSettings, open_connection
from lab.services.variables import SettingsError, Variables

PERIOD = timedelta(minutes=1)
# what was written last may not be committed yet when it is summed
_MARGIN = timedelta(seconds=5)
_FIRST = datetime(2000, 1, 1)  # noqa: DTZ001 - the database's own UTC without a zone
TABLE = """
CREATE TABLE IF NOT EXISTS settlements (
    seq BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    period DATETIME NOT NULL,
    settled_from DATETIME(3) NOT NULL,
    settled_until DATETIME(3) NOT NULL,
    records BIGINT UNSIGNED NOT NULL,
    total DECIMAL(16, 2) NOT NULL,
    pod VARCHAR(253) NOT NULL,
    created_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4
"""


@dataclass(frozen=True)
class Settings:
    """The settlement's settings, from the environment. `job`: the Job that a pod belongs to."""

    database: DatabaseSettings
    pod: str
    job: str

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Raises SettingsError that names every variable that is absent or wrong."""
        variables = Variables(environment)
        settings = cls(
            DatabaseSettings.from_variables(variables),
            variables.text("POD_NAME"),
            variables.text("JOB_NAME"),
        )
        variables.check()
        return settings


def period_of(job: str, now: datetime) -> datetime:
    """The period that a Job is for, in UTC without a zone.

    A CronJob's Jobs are named after the minute, counted since 1970, for which they were scheduled; for any
    other the period is the current one.
    """
    scheduled = re.fullmatch(r".+-(\d{8,})", job)
    moment = datetime.fromtimestamp(int(scheduled[1]) * 60, UTC) if scheduled else now
    return moment.replace(second=0, microsecond=0, tzinfo=None)


def settle(connection: Connection[Cursor], period: datetime, pod: str) -> tuple[int, str]:
    """Write the row of a period; how many records it settles and their sum. Raises pymysql.MySQLError."""
    with connection.cursor() as cursor:
        cursor.execute("SET time_zone = '+00:00'")
        cursor.execute(TABLE)
        cursor.execute("SELECT MAX(settled_until) FROM settlements")
        begin = (cursor.fetchone() or (None,))[0] or _FIRST
        end = max(begin, period - _MARGIN)
        cursor.execute(
            "SELECT COUNT(*), COALESCE(SUM(amount), 0) FROM records "
            "WHERE created_at >= %s AND created_at < %s",
            (begin, end),
        )
        count, total = cursor.fetchone() or (0, 0)
        cursor.execute(
            "INSERT INTO settlements (period, settled_from, settled_until, records, total, pod) "
            "VALUES (%s, %s, %s, %s, %s, %s)",
            (period, begin, end, count, total, pod),
        )
    return int(count), str(total)


def main() -> int:
    """One run; exit code 1 with one line where it could not settle."""
    try:
        settings = Settings.from_environment(os.environ)
        period = period_of(settings.job, datetime.now(UTC))
        with closing(open_connection(settings.database)) as connection:
            count, total = settle(connection, period, settings.pod)
    except (SettingsError, pymysql.MySQLError, OSError) as error:
        print(f"boss settlement: {error}", file=sys.stderr)
        return 1
    print(f"period {period:%Y-%m-%d %H:%M}: {count} records, {total}")
    return 0
