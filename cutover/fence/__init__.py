"""Keeping everybody but the replication from writing to a database, so that its position holds still."""

from cutover.fence.fence import Exempt, Fence, FenceReport
from cutover.fence.methods import GrantsFence, NetworkFence, PacketFilter, ReadOnlyFence, SecurityGroup

__all__ = [
    "Exempt",
    "Fence",
    "FenceReport",
    "GrantsFence",
    "NetworkFence",
    "PacketFilter",
    "ReadOnlyFence",
    "SecurityGroup",
]
