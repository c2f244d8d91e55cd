"""Keeping a target's database up to date with the source's, and the source's with the target's afterwards."""

from cutover.replication.dms import DmsReplication
from cutover.replication.model import Replication, ReplicationState
from cutover.replication.native import NativeReplication, ReplicationUser

__all__ = ["DmsReplication", "NativeReplication", "Replication", "ReplicationState", "ReplicationUser"]
