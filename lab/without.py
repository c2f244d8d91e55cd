"""Negative controls: the plan `boss-corestone` with one of its protections taken away.

A rehearsal that cannot fail proves nothing. With `WITHOUT=<part>` the cutover runs one of these plans, as
`lab.without:<part>`, and the rehearsal has to fail and say why. Where the absence would show by bad luck
alone, the bad luck is made: a writer beside the gate, a lag, a row that somebody changes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import pymysql

from cutover.database_move.switching import Switching
from cutover.fence import FenceReport, GrantsFence
from cutover.gate import Gates
from cutover.journal import read_journal
from cutover.mysql import Session
from cutover.plan import Plan
from cutover.plans.boss_corestone import boss_corestone
from cutover.switching import NativeDrain
from lab.clouds import Clouds
from lab.database import connect
from stacks.settings import Environment

PARTS = ("gate", "fence", "drain", "reverse", "recheck")
_BETWEEN_WRITES_SECONDS = 0.005
_LOOK_SECONDS = 0.2
_LAG_SECONDS = 0.5


def gate(environment: Environment) -> Plan:
    """Nothing holds requests: those that write meet the fence."""
    mock.patch.object(Gates, "park", lambda _gates, _seconds: 0.0).start()
    return boss_corestone(environment)


def fence(environment: Environment) -> Plan:
    """Nothing refuses who writes beside the gate."""

    def none(
        _fence: GrantsFence,
        session: Session,
        position_query: str,
        _seconds: float,
        mark: Callable[[], None] = lambda: None,
    ) -> FenceReport:
        mark()
        return FenceReport(str(session.value(position_query)).replace("\n", ""), (), 0.0)

    mock.patch.object(GrantsFence, "raise_fence", none).start()
    return boss_corestone(environment)


def drain(environment: Environment) -> Plan:
    """Nothing waits until the target has applied everything, and it has not."""
    prepare = NativeDrain.prepare

    def lagging(drained: NativeDrain) -> None:
        prepare(drained)
        session, _ = drained._open()
        session.execute("STOP SLAVE SQL_THREAD")
        time.sleep(_LAG_SECONDS)

    mock.patch.object(NativeDrain, "prepare", lagging).start()
    mock.patch.object(NativeDrain, "wait", lambda _drain, _position, _seconds: None).start()
    return boss_corestone(environment)


def reverse(environment: Environment) -> Plan:
    """The source does not follow the target once that serves."""

    def none(_switching: Switching) -> Mapping[str, Any]:
        return {"kind": "none"}

    mock.patch.object(Switching, "start_reverse", none).start()
    return boss_corestone(environment)


def recheck(environment: Environment) -> Plan:
    """What changed since the comparison is not compared again under the fence."""

    def none(*_: object) -> dict[str, Any]:
        return {}

    mock.patch.object(Switching, "_compare", none).start()
    return boss_corestone(environment)


@contextmanager
def bad_luck(part: str, clouds: Clouds, journal: Path) -> Iterator[None]:
    """What makes it show that a part is absent, while it is."""
    over = threading.Event()
    luck = {"fence": _write_beside_the_gate, "recheck": _change_a_row}.get(part)
    if luck is None:
        yield
        return
    thread = threading.Thread(target=luck, args=(clouds, journal, over), name=f"bad luck: {part}")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _write_beside_the_gate(clouds: Clouds, journal: Path, over: threading.Event) -> None:
    """A program that nobody named uses BOSS's own account on the source's database."""
    if not _done("verify-data", journal, over):
        return
    login = replace(clouds.database.application, unix_socket=clouds.database.operator.unix_socket)
    number = 0
    with connect(login) as connection, connection.cursor() as cursor:
        while not over.wait(_BETWEEN_WRITES_SECONDS):
            number += 1
            try:
                cursor.execute(
                    "INSERT INTO records (client_id, amount) VALUES (%s, 1)", (f"beside-{number}",)
                )
            except pymysql.MySQLError:
                return


def _change_a_row(clouds: Clouds, journal: Path, over: threading.Event) -> None:
    """Somebody changes a row on the target after it was compared, and no binlog tells of it."""
    if not _done("verify-data", journal, over):
        return
    with connect(clouds.target_database.operator) as connection, connection.cursor() as cursor:
        cursor.execute("SET SESSION sql_log_bin = 0")
        cursor.execute("UPDATE records SET amount = amount + 1 ORDER BY client_id LIMIT 1")


def _done(step: str, journal: Path, over: threading.Event) -> bool:
    """Waits until a step is done; False: it was over before."""
    while not over.wait(_LOOK_SECONDS):
        records = read_journal(journal).records if journal.exists() else ()
        if any(
            record.kind == "outcome" and record.data.get("step") == step and record.data["result"] == "done"
            for record in records
        ):
            return True
    return False
