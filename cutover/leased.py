"""What a run may use of the outside world, as long as its lease is held: each call asks first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, cast, runtime_checkable

from cutover.context import Context
from cutover.ports import KeyStore


@runtime_checkable
class LeaseAware(Protocol):
    """What begins one thing after another within one call, and asks in between."""

    def only_while(self, ensure: Callable[[], None]) -> None:
        """Nothing more is begun once `ensure` raises LeaseError."""


class _Leased:
    """A part of the outside world whose methods ask the lease before they begin."""

    def __init__(self, part: Any, ensure: Callable[[], None]) -> None:
        self.part = part
        self.ensure = ensure

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.part, name)
        if not callable(found):
            return found

        def call(*args: Any, **named: Any) -> Any:
            self.ensure()
            return found(*args, **named)

        return call


def only_while_held(context: Context, ensure: Callable[[], None]) -> None:
    """Nothing more is begun through a context once `ensure` raises LeaseError."""

    def leased(part: Any) -> Any:
        found = part.part if isinstance(part, _Leased) else part
        if isinstance(found, LeaseAware):
            found.only_while(ensure)
        return _Leased(found, ensure)

    context.clusters = {name: leased(cluster) for name, cluster in context.clusters.items()}
    for name in ("stacks", "dns", "web", "database", "database_move", "api"):
        if getattr(context, name) is not None:
            setattr(context, name, leased(getattr(context, name)))
    keys = context.keys
    context.keys = lambda side: cast(KeyStore, leased(keys(side)))
