"""The counters of AUTO_INCREMENT columns on the target, which may not give out a number twice."""

from __future__ import annotations

from collections.abc import Sequence

from cutover.mysql import Session, quoted
from cutover.verification.catalog import fresh_statistics, read_counters


def seed_counters(source: Session, target: Session, schemas: Sequence[str], margin: int) -> dict[str, int]:
    """Sets the target's counters ahead of the source's by `margin` numbers, where they are not yet.

    Done ahead of the switch, so that nothing is left to do inside it: the margin is more than the source can
    give out until then. It changes no row, and replicated rows bring their own numbers.

    Returns:
        The new counters, by `schema.table`.

    Raises:
        DatabaseError: a server did not answer, or refused.
    """
    for session in (source, target):
        fresh_statistics(session)
    here, there = read_counters(source, schemas), read_counters(target, schemas)
    seeded = {}
    for place, number in here.items():
        if place in there and there[place] < number + margin:
            schema, _, table = place.partition(".")
            seeded[place] = number + margin
            target.execute(f"ALTER TABLE {quoted(schema, table)} AUTO_INCREMENT = {number + margin:d}")
    return seeded
