"""What pgloader is told, and what is read out of what it says; its words are those of version 3.6.7."""

from __future__ import annotations

from pathlib import Path

import pytest

from cutover.errors import StepError
from cutover.mysql import Server
from cutover.postgres import PostgresServer
from cutover.transfer.pgloader import command_file, outcome, refuse

MYSQL = Server("the old one", "10.0.0.1", 3306, "land@fall", "canary", ca="ca.pem")
POSTGRES = PostgresServer("the new one", "10.0.0.2", 5432, "landfall", "canary")
DONE = (
    '"fetch meta data";16;16;0;0;"0.080s"\n"Create Schemas";0;0;0;0;"0.000s"\n'
    '"Create tables";12;12;0;0;"0.024s"\n"public.users";4;4;0;24;"0.064s"\n'
    '"public.\\"Mixed Case\\"";1;1;0;4;"0.3s"\n'
    '"Create Indexes";9;9;0;0;"0.1s"\n"Reset Sequences";3;3;0;0;"0.1s"\n"Create Foreign Keys";1;1;0;0;"0.0s"'
)
LOG = "2026-01-01T00:00:00.0Z LOG report summary reset"


def test_it_is_told_no_password() -> None:
    told = command_file(MYSQL, "system", POSTGRES, "system", ("sessions",))
    assert "canary" not in told
    assert "mysql://land%40fall@10.0.0.1:3306/system?useSSL=true" in told
    assert "EXCLUDING TABLE NAMES MATCHING 'sessions'" in told
    assert "to boolean drop typemod using tinyint-to-boolean" in told


@pytest.mark.parametrize("name", ["a b", "a'b", "a;b", "", "a\nb"])
def test_a_name_that_its_language_cannot_hold_is_refused(name: str) -> None:
    with pytest.raises(StepError, match="cannot be told the name"):
        command_file(MYSQL, name, POSTGRES, "system", ())
    with pytest.raises(StepError, match="cannot be told the name"):
        command_file(MYSQL, "system", POSTGRES, "system", (name,))


def test_a_run_without_trouble() -> None:
    found = outcome(DONE, LOG)
    assert [(table.name, table.written) for table in found.tables] == [("users", 4), ("Mixed Case", 1)]
    assert found.rows == 5
    refuse(found, "the old one")


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ('"public.users";4;4;0', '"public.users";4;3;2', "users: 1 of 4 rows were rejected"),
        ('"public.users";4;4;0', '"public.users";4;0;1', "users: 4 of 4 rows were rejected"),
        ('"Create Indexes";9;9;0', '"Create Indexes";9;8;1', "Create Indexes: 1 of 9 failed"),
        ('"Create Foreign Keys";1;1;0', '"Create Foreign Keys";1;0;1', "Create Foreign Keys: 1 of 1 failed"),
        ('"Reset Sequences";3;3;0;0;"0.1s"', "", "it did not come to its end: its summary has no Reset Seq"),
    ],
)
def test_what_the_summary_shows_stops_the_plan(before: str, after: str, told: str) -> None:
    assert before in DONE
    with pytest.raises(StepError) as error:
        refuse(outcome(DONE.replace(before, after), LOG), "the old one")
    assert told in str(error.value)
    assert "then `cutover run` converts anew" in str(error.value)


def test_rejected_rows_are_told_with_their_reason_and_without_their_values(tmp_path: Path) -> None:
    (tmp_path / "users").mkdir()
    (tmp_path / "users" / "users.log").write_text(
        'Database error 22007: invalid input syntax for type time: "canary"\n'
        'CONTEXT: COPY users, line 4, column at: "canary"\n'
        'Database error 23502: null value in column "day" of relation "users" violates not-null constraint\n'
        "DETAIL: Failing row contains (canary).\n"
    )
    found = outcome(DONE.replace('"public.users";4;4;0', '"public.users";4;2;4'), LOG, tmp_path)
    assert found.problems == (
        "users: 2 of 4 rows were rejected (22007: invalid input syntax for type time: …; "
        '23502: null value in column "day" of relation "users" violates not-null constraint)',
    )


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (
            '2026-01-01T00:00:00.0Z ERROR mysql: Failed to connect to mysql at "10.0.0.1" (port 3306)',
            "Failed to connect to mysql",
        ),
        (
            "2026-01-01T00:00:00.0Z FATAL Failed to create the schema, see above.",
            "Failed to create the schema",
        ),
        (
            "2026-01-01T00:00:00.0Z ERROR mysql: QMYND-IMPL::MYSQL-UNSUPPORTED-AUTHENTICATION",
            "IDENTIFIED WITH mysql_native_password",
        ),
    ],
)
def test_what_the_log_shows_stops_the_plan_although_it_ends_with_0(line: str, told: str) -> None:
    found = outcome(DONE, f"{LOG}\n{line}")
    assert any(told in problem for problem in found.problems)


def test_nothing_at_all_is_no_success() -> None:
    with pytest.raises(StepError, match="fetch meta data, Create tables, Reset Sequences"):
        refuse(outcome("", ""), "the old one")
