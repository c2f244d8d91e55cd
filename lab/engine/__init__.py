"""The lab's own small `pulumi`: the commands, services and state that a rehearsal needs, and nothing else.

It speaks the official gRPC protocol to the unmodified Python SDK and to providers that are attached by
`PULUMI_DEBUG_PROVIDERS`, and keeps its state in the official checkpoint format. All else it refuses by name.
"""

# The version whose behaviour is followed. The Automation API derives from it what it may ask for.
VERSION = "3.260.0"
