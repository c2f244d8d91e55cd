"""The names by which callers reach what moves, and where a text mentions one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Way = Literal["in-cluster", "domain"]
"""`in-cluster`: leads to the source's Service and nowhere else; `domain`: follows DNS."""


@dataclass(frozen=True)
class Name:
    """What leads to something that moves: a Service's name in a cluster, or a domain."""

    way: Way
    leads_to: str
    """The Service that moves, as `namespace/name`, or the domain."""
    service: str = ""
    """The Service that is named so, as `namespace/name`; differs from `leads_to` where it leads on."""


@dataclass(frozen=True)
class Mention:
    """A text that names something that moves."""

    name: Name
    text: str
    """The name alone, as it was written; what stands around it may be secret."""


_BEFORE, _AFTER = r"(?<![A-Za-z0-9_.-])", r"(?!\.?[A-Za-z0-9_-])"


def mentions(text: str, names: tuple[Name, ...], namespace: str) -> Iterator[Mention]:
    """The names that a text of an object in `namespace` mentions, each once."""
    for name in names:
        for pattern in _patterns(name, namespace):
            if found := re.search(pattern, text, re.IGNORECASE):
                yield Mention(name, found.group(0))
                break


def _patterns(name: Name, namespace: str) -> Iterator[str]:
    if name.way == "domain" and not name.service:
        yield _BEFORE + re.escape(name.leads_to) + _AFTER
        return
    home, _, service = name.service.partition("/")
    full = rf"{re.escape(service)}\.{re.escape(home)}(?:\.svc(?:\.[A-Za-z0-9-]+)*)?"
    yield _BEFORE + full + _AFTER
    if home == namespace:
        # by its bare name only where that can be nothing else: all of a value, or the host of an address
        yield rf"\A{re.escape(service)}(?=(?::\d+)?/?\Z)|(?<=://){re.escape(service)}(?=[:/]|\Z)"
