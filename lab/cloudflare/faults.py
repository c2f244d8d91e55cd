"""Faults that a rehearsal puts into the API, chosen by its lab-only control interface."""

from __future__ import annotations

import random
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Kind = Literal["error", "rate_limit", "delay", "lost_answer"]


class Fault(BaseModel):
    """One way in which calls go wrong.

    `error` answers `status` with `code` and `message` and does nothing; `rate_limit` answers 429 with
    Retry-After `seconds`; `delay` answers `seconds` later; `lost_answer` does what was asked and then
    drops the connection without a word, so that the caller cannot know.
    `rate` is the share of the calls it hits, `methods` which calls, `remaining` how many at most.
    """

    model_config = ConfigDict(extra="forbid")

    kind: Kind
    rate: float = Field(default=1.0, gt=0, le=1)
    methods: tuple[str, ...] = ()
    remaining: int | None = Field(default=None, ge=1)
    seconds: float = Field(default=0.0, ge=0)
    status: int = Field(default=500, ge=400, le=599)
    code: int = 10000
    message: str = "Internal error"


class Faults:
    """The faults in force, and how many calls each kind has hit."""

    def __init__(self, seed: int = 0) -> None:
        self._random = random.Random(seed)
        self._active: list[Fault] = []
        self.injected: dict[str, int] = {}

    def replace(self, faults: list[Fault]) -> None:
        """From now on these faults and no others."""
        self._active = list(faults)

    def active(self) -> list[Fault]:
        """The faults in force."""
        return list(self._active)

    def draw(self, method: str) -> list[Fault]:
        """The faults that hit a call of this method; counts them."""
        hit: list[Fault] = []
        for fault in tuple(self._active):
            if fault.methods and method not in fault.methods:
                continue
            if self._random.random() >= fault.rate:
                continue
            hit.append(fault)
            self.injected[fault.kind] = self.injected.get(fault.kind, 0) + 1
            if fault.remaining is not None:
                fault.remaining -= 1
                if fault.remaining == 0:
                    self._active.remove(fault)
        return hit
