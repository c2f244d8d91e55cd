"""Parses a command line as the official executable does: flags may stand anywhere before `--`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lab.engine.errors import EngineError, RefusedError

SWITCH, VALUE, IGNORED, IGNORED_VALUE, REFUSED, REFUSED_VALUE = range(6)

SHORT = {
    "-s": "--stack",
    "-C": "--cwd",
    "-y": "--yes",
    "-j": "--json",
    "-m": "--message",
    "-r": "--refresh",
    "-d": "--debug",
    "-i": "--show-ids",
    "-v": "--verbose",
    "-p": "--parallel",
    "-f": "--skip-preview",
    "-a": "--all",
    "-h": "--help",
    "-t": "--target",
}


@dataclass(frozen=True)
class Arguments:
    """What a command was given. A flag may be given several times."""

    positional: tuple[str, ...]
    flags: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    order: tuple[tuple[str, str], ...] = ()

    def has(self, flag: str) -> bool:
        """Whether a switch is on."""
        found = self.flags.get(flag)
        return found is not None and found[-1] != "false"

    def get(self, flag: str) -> str | None:
        """The value that a flag was given last."""
        found = self.flags.get(flag)
        return found[-1] if found else None


def parse(words: list[str], known: Mapping[str, int], command: str) -> Arguments:
    """The arguments of a command that knows these flags.

    Raises:
        EngineError: a flag is unknown or lacks its value.
        RefusedError: a flag is one of the official executable that this engine does not support.
    """
    positional: list[str] = []
    order: list[tuple[str, str]] = []
    rest = iter(words)
    for word in rest:
        if word == "--":
            positional.extend(rest)
            break
        if not word.startswith("-") or word == "-":
            positional.append(word)
            continue
        name, equals, value = word.partition("=")
        flag = SHORT.get(name, name)
        kind = known.get(flag)
        if kind is None:
            raise EngineError(f"unknown flag: {name} (of `pulumi {command}`)")
        if kind in {VALUE, IGNORED_VALUE, REFUSED_VALUE} and not equals:
            following = next(rest, None)
            if following is None:
                raise EngineError(f"flag needs an argument: {name}")
            value = following
        if kind == REFUSED and value == "false":
            continue
        if kind in {REFUSED, REFUSED_VALUE}:
            raise RefusedError(f"the flag {flag} of `pulumi {command}`")
        order.append((flag, value if equals or kind in {VALUE, IGNORED_VALUE} else "true"))
    flags: dict[str, tuple[str, ...]] = {}
    for flag, value in order:
        flags[flag] = (*flags.get(flag, ()), value)
    return Arguments(tuple(positional), flags, tuple(order))
