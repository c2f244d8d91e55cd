"""Whether the source's database speaks TLS on its public address, before passwords travel over it."""

from __future__ import annotations

from dataclasses import dataclass

from cutover.actions.base import Condition, Evidence
from cutover.context import Context, fact


@dataclass(frozen=True)
class DatabaseTls(Condition):
    """A connection to the public address is encrypted."""

    def describe(self) -> str:
        """See Condition."""
        return "the database speaks TLS on its public address"

    def hold(self, context: Context) -> Evidence:
        """See Condition."""
        address = fact(context.environment.database.source.eip, "database.source.eip")
        return {"address": address, "tls": context.database.tls(address)}
