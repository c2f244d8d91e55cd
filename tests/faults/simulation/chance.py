"""Chance that is the same for the same seed."""

from __future__ import annotations

from random import Random


def chance(seed: int, what: str = "") -> Random:
    """A source of its own for each thing that is left to chance: one does not shift another."""
    return Random(f"{seed} {what}")  # noqa: S311 - a schedule of faults
