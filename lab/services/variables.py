"""Settings from the environment, with every problem named at once."""

from __future__ import annotations

from collections.abc import Mapping


class SettingsError(ValueError):
    """Variables of the environment that are absent or wrong; the text names each."""


class Variables:
    """Reads an environment; `check` at the end raises SettingsError for all that was wrong."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._problems: list[str] = []

    def text(self, name: str, default: str | None = None) -> str:
        """The value, or the default. A variable that is empty counts as absent."""
        value = self._environment.get(name) or default
        if not value:
            self.problem(f"{name} is not set")
        return value or ""

    def optional(self, name: str) -> str | None:
        """The value, or None where it is absent or empty."""
        return self._environment.get(name) or None

    def number(self, name: str, default: str | None = None) -> float:
        """The value as a number."""
        value = self.text(name, default)
        try:
            return float(value or "0")
        except ValueError:
            self.problem(f"{name} must be a number, not {value!r}")
            return 0.0

    def problem(self, text: str) -> None:
        """Notes something else that is wrong."""
        self._problems.append(text)

    def check(self) -> None:
        """Raises SettingsError where anything was wrong."""
        if self._problems:
            raise SettingsError("; ".join(self._problems))
