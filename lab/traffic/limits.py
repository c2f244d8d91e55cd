"""What the generator asks of this machine, and what it has used."""

from __future__ import annotations

import resource


def raise_descriptor_limit() -> None:
    """When answers stop, every request that is due opens a connection of its own."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def cpu_seconds() -> float:
    """Processor time that this process has used."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return round(usage.ru_utime + usage.ru_stime, 2)
