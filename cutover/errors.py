"""The errors of a cutover. Each text says what happened, where, and what was expected."""

from __future__ import annotations


class CutoverError(Exception):
    """The base of all errors that the cutover raises on purpose."""


class PlanError(CutoverError):
    """A plan that contradicts itself, or is not the plan that the journal was written for."""


class JournalError(CutoverError):
    """A journal that cannot be read, trusted or written."""


class LeaseError(CutoverError):
    """Somebody else runs a cutover of this environment, or the lease cannot be kept."""


class TableError(CutoverError):
    """The table that holds a team's lease and journals cannot be asked, or holds what was not expected."""


class StepError(CutoverError):
    """A step cannot go on: a gate, an effect or a check of it failed. The text says what was found."""


class StepTimeoutError(StepError):
    """A step, or a wait in it, took longer than it may."""


class UnfinishedError(StepError):
    """It ended in the middle, and has left something to be cleared away before it is begun again."""


class CutOffError(UnfinishedError, StepTimeoutError):
    """A command took too long and was ended in the middle."""


class BreachError(StepError):
    """What was watched while a stage soaked went beyond its limits: the stage is undone."""


class InterruptedRunError(CutoverError):
    """The operator asked to stop, and a safe point was reached."""
