"""What a verification is asked to do, and what it found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cutover.verification.rows import Masking, RowDifference
from cutover.verification.schema import SchemaDifference

LISTED_ROWS = 1000


@dataclass(frozen=True)
class Options:
    """How a verification is done."""

    schemas: tuple[str, ...]
    connections: int = 4
    """To each server."""
    twice: bool = False
    """Two hashes a row; see `Result.chance`."""
    left_out: tuple[str, ...] = ()
    """Tables that are not compared, as `schema.table`."""
    accounts: Mapping[str, str] = field(default_factory=dict)
    """Accounts of the source by their name on the target."""
    masking: Masking = field(default_factory=Masking)
    listed_rows: int = LISTED_ROWS
    """Differing rows that are shown with their values; all are counted."""


@dataclass(frozen=True)
class Result:
    """What a verification found."""

    tables: int
    rows: int
    """Of the source."""
    seconds: float
    """Of comparing all of them."""
    pending: int
    """Rows that changed or differed, and wait for a look under the fence; 0 once that is done."""
    rechecked_under_fence: int
    mismatches: int
    """Rows that differ. Before `finish`: so far, and some of them may only be behind."""
    differences: tuple[RowDifference, ...]
    """The first of them, with their values."""
    schema_differences: tuple[SchemaDifference, ...]
    remarks: tuple[str, ...]
    chance: float
    """At most so likely is it that a part of a table that differs was taken for the same."""
    final: bool
    """Whether the fence was there: nothing could change any more."""

    @property
    def rows_per_second(self) -> float:
        """Rows of the source that were compared with the target's in a second."""
        return self.rows / self.seconds if self.seconds else 0.0

    @property
    def same(self) -> bool:
        """Whether both databases hold the same; notes on the schema do not count."""
        return not self.mismatches and not any(
            difference.weight == "error" for difference in self.schema_differences
        )
