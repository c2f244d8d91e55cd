"""BOSS's settlement: each record is settled once, and a second run of a period shows."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from lab.database import Login, connect
from lab.services.ledger import TABLES
from lab.services.settlement import period_of, settle

NOON = datetime(2026, 2, 1, 12, 0)  # noqa: DTZ001 - the database's own UTC without a zone


@pytest.mark.parametrize(
    ("job", "period"),
    [
        ("boss-settlement-29832480", datetime.fromtimestamp(29832480 * 60, UTC)),
        ("boss-settlement-by-hand-7", datetime(2026, 2, 1, 11, 59, tzinfo=UTC)),
        ("by-hand", datetime(2026, 2, 1, 11, 59, tzinfo=UTC)),
    ],
)
def test_a_job_is_for_the_minute_that_its_schedule_named(job: str, period: datetime) -> None:
    now = datetime(2026, 2, 1, 11, 59, 58, 7, tzinfo=UTC)
    assert period_of(job, now) == period.replace(tzinfo=None)


def test_each_record_is_settled_once_and_two_runs_of_a_period_leave_two_rows(database: Login) -> None:
    moments = ["11:58:00", "11:59:54.999", "11:59:55", "12:00:30", "12:01:10"]
    with connect(database) as connection, connection.cursor() as cursor:
        cursor.execute(TABLES["records"])
        cursor.executemany(
            "INSERT INTO records (client_id, amount, created_at) VALUES ('x', 1.50, %s)",
            [(f"2026-02-01 {moment}",) for moment in moments],
        )
        assert settle(connection, NOON, "a") == (2, "3.00")
        assert settle(connection, NOON, "b") == (0, "0.00")
        assert settle(connection, NOON.replace(minute=1), "a") == (2, "3.00")
        assert settle(connection, NOON.replace(minute=2), "a") == (1, "1.50")
        cursor.execute("SELECT period, COUNT(*) FROM settlements GROUP BY period ORDER BY period")
        assert [count for _, count in cursor.fetchall()] == [2, 1, 1]
        cursor.execute("SELECT settled_from, settled_until FROM settlements ORDER BY seq")
        bounds = cursor.fetchall()
        assert [begin for begin, _ in bounds[1:]] == [end for _, end in bounds[:-1]]
