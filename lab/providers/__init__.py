"""Resource providers of the lab, speaking the official Pulumi provider protocol.

They attach to any Pulumi engine by ``PULUMI_DEBUG_PROVIDERS``, the official one included.
"""
