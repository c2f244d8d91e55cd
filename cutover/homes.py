"""Where a plan's journal, its environment's lease and approvals are kept: local files, or a team's table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from cutover.approvals import SlipFolder, Slips
from cutover.clock import BootClock, Clock
from cutover.errors import JournalError, LeaseError, TableError
from cutover.journal import FileHome, Home, read_journal
from cutover.lease import Holder, Lease, LocalLease
from stacks.settings.cutover import TableJournalSettings

if TYPE_CHECKING:
    from cutover.dynamodb import DynamoLease, Table

Say = Callable[[str], None]
_LEASE_CALL_SHARE = 1 / 12
_LONGEST_CALL = 5.0


def _silent(_text: str) -> None:
    """Where progress goes when nobody asked."""


def nobody() -> Holder | None:
    """Who holds the lease in a process that does not hold it."""
    return None


class Homes(Protocol):
    """One of the two."""

    def journal(self, holder: Callable[[], Holder | None] = nobody) -> Home:
        """The plan's journal; `holder`: who holds the lease here. Raises JournalError."""

    def lease(self, last_epoch: int = 0, say: Say = _silent) -> Lease:
        """The environment's lease; `last_epoch`: the highest that the journal knows. Raises LeaseError."""

    def slips(self) -> Slips:
        """The plan's approvals. Raises JournalError."""


@dataclass(frozen=True)
class LocalHomes:
    """Files in a folder. Implements Homes."""

    journal_path: Path
    lease_path: Path
    approvals: Path
    clock: Clock

    def journal(self, holder: Callable[[], Holder | None] = nobody) -> Home:  # noqa: ARG002 - its protocol's
        """See Homes."""
        return FileHome(self.journal_path)

    def lease(self, last_epoch: int = 0, say: Say = _silent) -> Lease:  # noqa: ARG002 - its protocol's
        """See Homes."""
        return LocalLease(self.lease_path, self.clock, last_epoch)

    def slips(self) -> Slips:
        """See Homes."""
        return SlipFolder(self.approvals)


class TeamHomes:
    """Items of a table. Implements Homes."""

    def __init__(self, settings: TableJournalSettings, environment: str, plan: str, local: Path) -> None:
        """`local`: where this plan's journal would be as a file.

        Raises:
            JournalError: one is there, that was begun before the settings named a table.
        """
        self._settings = settings
        self._environment = environment
        self._key = f"{environment}.{plan}"
        if read_journal(local).records:
            raise JournalError(
                f"the settings keep the journal in table {settings.table}, but this plan was begun with the "
                f"journal {local}. Go on with `kind: local`, or move that file away if it is done with"
            )

    def journal(self, holder: Callable[[], Holder | None] = nobody) -> Home:
        """See Homes."""
        from cutover.dynamodb_journal import DynamoJournal  # noqa: PLC0415 - boto3 is for teams alone

        try:
            return DynamoJournal(self._table, self._key, self._dynamo_lease, holder)
        except TableError as error:
            raise JournalError(str(error)) from error

    def lease(self, last_epoch: int = 0, say: Say = _silent) -> Lease:
        """See Homes."""
        from cutover.table_lease import TableLease  # noqa: PLC0415 - for teams alone

        try:
            seconds = self._settings.lease_seconds
            return TableLease(self._dynamo_lease, BootClock(), last_epoch, seconds=seconds, say=say)
        except TableError as error:
            raise LeaseError(str(error)) from error

    def slips(self) -> Slips:
        """See Homes."""
        from cutover.dynamodb import DynamoSlips  # noqa: PLC0415 - for teams alone

        try:
            return DynamoSlips(self._table, self._key)
        except TableError as error:
            raise JournalError(str(error)) from error

    @cached_property
    def _table(self) -> Table:
        from cutover.dynamodb import Table  # noqa: PLC0415 - for teams alone

        return Table(self._settings.table, self._settings.region)

    @cached_property
    def _dynamo_lease(self) -> DynamoLease:
        """Asked by a client of its own: a renewal has less time than other calls."""
        from cutover.dynamodb import DynamoLease, Table  # noqa: PLC0415 - for teams alone

        call = min(_LONGEST_CALL, _LEASE_CALL_SHARE * self._settings.lease_seconds)
        table = Table(self._settings.table, self._settings.region, call, attempts=2)
        return DynamoLease(table, self._environment)
