"""When requests are due and what they are: decided by a seed, independent of any answer."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

Kind = Literal["record", "usage", "read", "login", "me", "begin", "check"]
"""At BOSS: a write, a write through the buffer, a read, the begin of a session, its use. At Corestone: the
begin of a session, its use."""
WRITES: tuple[Kind, ...] = ("record", "usage")
CORESTONE: tuple[Kind, ...] = ("begin", "check")
SESSION_USES: Mapping[Kind, Kind] = {"me": "login", "check": "begin"}
"""What uses a session, and what begins it."""
RECORDS_ALONE: Mapping[Kind, float] = {"record": 1 / 6, "usage": 1 / 6, "read": 2 / 3}
WITH_SESSIONS: Mapping[Kind, float] = {
    "record": 0.15,
    "usage": 0.15,
    "read": 0.4,
    "login": 0.01,
    "me": 0.19,
    "begin": 0.01,
    "check": 0.09,
}
"""Shares of all requests; they add up to 1."""


@dataclass(frozen=True, slots=True)
class Planned:
    """One request: `at` seconds after the start, by client number `client`.

    A write brings its own id and amount; a read picks one that was acknowledged before, by `pick` in [0, 1).
    """

    at: float
    client: int
    kind: Kind
    id: str
    amount: str
    pick: float


def arrivals(
    rate: float, clients: int, seed: int, shares: Mapping[Kind, float] = RECORDS_ALONE
) -> Iterator[Planned]:
    """Endless Poisson arrivals at `rate` requests a second, spread evenly over the clients."""
    if rate <= 0 or clients < 1:
        raise ValueError(f"expected a rate above 0 and at least one client, not {rate} and {clients}")
    kinds, bounds = list(shares), list(accumulate(shares.values()))
    chance = random.Random(seed)
    at = 0.0
    while True:
        at += chance.expovariate(rate)
        (kind,) = chance.choices(kinds, cum_weights=bounds)
        yield Planned(
            at=at,
            client=chance.randrange(clients),
            kind=kind,
            id=str(uuid.UUID(int=chance.getrandbits(128), version=4)),
            amount=f"{chance.randint(1, 999_999) / 100:.2f}",
            pick=chance.random(),
        )
