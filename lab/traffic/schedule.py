"""When requests are due and what they are: decided by a seed, independent of any answer."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Kind = Literal["record", "usage", "read"]
WRITE_SHARE = 1 / 3


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


def arrivals(rate: float, clients: int, seed: int) -> Iterator[Planned]:
    """Endless Poisson arrivals at `rate` requests a second, spread evenly over the clients.

    A third are writes, half of them direct and half through the buffer; the rest are reads.
    """
    if rate <= 0 or clients < 1:
        raise ValueError(f"expected a rate above 0 and at least one client, not {rate} and {clients}")
    chance = random.Random(seed)
    at = 0.0
    while True:
        at += chance.expovariate(rate)
        draw = chance.random()
        kind: Kind = "read"
        if draw < WRITE_SHARE:
            kind = "record" if draw < WRITE_SHARE / 2 else "usage"
        yield Planned(
            at=at,
            client=chance.randrange(clients),
            kind=kind,
            id=str(uuid.UUID(int=chance.getrandbits(128), version=4)),
            amount=f"{chance.randint(1, 999_999) / 100:.2f}",
            pick=chance.random(),
        )
