"""The gate before the services: closed for the moment of a switch, then open towards the other side."""

from cutover.gate.runtime import GateInstance, Gates, NoGates, PodChannel

__all__ = ["GateInstance", "Gates", "NoGates", "PodChannel"]
