"""The database's way to the target and back: users, copy, replication, switch, and the end of the source."""

from cutover.database_move.port import Back, DatabaseMove, Lag, Replicating, Rights, Say, Switched

__all__ = ["Back", "DatabaseMove", "Lag", "Replicating", "Rights", "Say", "Switched"]
