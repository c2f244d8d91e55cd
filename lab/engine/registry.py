"""The providers of one operation: where they listen, which instances there are, and who gets which."""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lab.engine import urn as urns
from lab.engine.errors import EngineError
from lab.engine.providers import Checked, Diff, Provider, ProviderError
from lab.engine.values import UNKNOWN_STRING, Properties

_VARIABLE = "PULUMI_DEBUG_PROVIDERS"
BUILTIN = "pulumi"


def addresses() -> dict[str, str]:
    """Where the attached providers listen, by package, from `PULUMI_DEBUG_PROVIDERS="name:port,…"`.

    Raises:
        EngineError: the variable is malformed.
    """
    found: dict[str, str] = {}
    for item in filter(None, (part.strip() for part in os.environ.get(_VARIABLE, "").split(","))):
        package, _, port = item.rpartition(":")
        if not package or not port.isdigit():
            raise EngineError(f"{_VARIABLE} must be of the form name:port,name:port; it holds {item!r}")
        found[package] = f"127.0.0.1:{port}"
    return found


@dataclass(frozen=True)
class Surroundings:
    """What an instance is told when it is attached."""

    engine_address: str
    root: str
    program: str
    preview: bool


class Registry:
    """Opens, configures and finds instances. Thread-safe.

    A provider is itself a resource: its reference is `urn::id`, its methods here are those of a provider of
    providers. The engine's own package `pulumi` has no server.
    """

    def __init__(self, where: Mapping[str, str], around: Surroundings) -> None:
        self._where = where
        self._around = around
        self._lock = threading.Lock()
        self._opened: dict[str, Provider] = {}
        self._instances: dict[str, Provider] = {}
        self._all: list[Provider] = []

    def _open(self, package: str) -> Provider:
        address = self._where.get(package)
        if address is None:
            raise EngineError(
                f"no provider for the package '{package}' is attached: start one and add "
                f"'{package}:<port>' to {_VARIABLE} (now {os.environ.get(_VARIABLE, '')!r}); "
                "the lab's engine downloads no plugins"
            )
        provider = Provider(package, address, preview=self._around.preview)
        with self._lock:
            self._all.append(provider)
        provider.attach(self._around.engine_address, self._around.root, self._around.program)
        return provider

    def check(self, urn: str, old: Properties, new: Properties) -> Checked:
        """Opens an instance for the provider `urn` and checks its configuration."""
        package = urns.package_of_provider(urns.type_of(urn))
        if package == BUILTIN:
            return Checked(new)
        provider = self._open(package)
        with self._lock:
            self._opened[urn] = provider
        return provider.check_config(urn, old, new)

    def diff(self, urn: str, old: Properties, new: Properties) -> Diff:
        """What a change of the configuration of the checked provider `urn` means."""
        provider = self._opened.get(urn)
        if provider is None or old == new:
            return Diff("none")
        return provider.diff_config(urn, old, new)

    def start(self, urn: str, identifier: str, inputs: Properties) -> str:
        """Configures the checked provider `urn` and makes it known by its reference; returns its id.

        An empty `identifier` gives a new one; in a preview that is unknown, which is an empty id.
        """
        identifier = identifier or ("" if self._around.preview else str(uuid.uuid4()))
        provider = self._opened.pop(urn, None)
        if provider is not None:
            provider.configure(urn, identifier or UNKNOWN_STRING, inputs)
            with self._lock:
                self._instances[f"{urn}::{identifier or UNKNOWN_STRING}"] = provider
        return identifier

    def find(self, reference: str, stored: Callable[[str], Properties | None]) -> Provider:
        """The instance of a reference; one that only the state knows is opened with what `stored` gives.

        Raises:
            EngineError: it is nowhere.
        """
        with self._lock:
            provider = self._instances.get(reference)
        if provider is not None:
            return provider
        urn, _, identifier = reference.rpartition("::")
        inputs = stored(reference)
        if inputs is None:
            raise EngineError(f"the provider {urn} with the id {identifier} is not known")
        provider = self._open(urns.package_of_provider(urns.type_of(urn)))
        provider.configure(urn, identifier, inputs)
        with self._lock:
            return self._instances.setdefault(reference, provider)

    def close(self) -> None:
        """Ends all instances: each is sent a Cancel, which one that stays attached survives."""
        with self._lock:
            found, self._all = self._all, []
        for provider in found:
            try:
                provider.cancel()
            except ProviderError:
                # It has answered all that was asked of it; what it thinks of the farewell changes nothing.
                continue
            finally:
                provider.close()

    def cancel(self) -> None:
        """Asks all instances to give up what they are doing."""
        for provider in list(self._all):
            provider.cancel()
