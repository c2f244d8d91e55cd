"""How the schemas of two servers differ, object by object and property by property."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from cutover.mysql import Flavour
from cutover.verification.catalog import Catalog, Properties

ABSENT = "absent"
KINDS_BEFORE_LOAD = ("schema", "table", "column", "view", "routine", "check", "partition")
"""What must agree before rows are loaded; indexes, triggers, events, keys and counters come later."""


@dataclass(frozen=True)
class SchemaDifference:
    """One property of one object that the two servers do not agree on."""

    kind: str
    """`table`, `column`, `index`, `foreign key`, `trigger`, `counter`, `grant`, …"""
    name: str
    property: str
    source: str | None
    target: str | None
    weight: Literal["error", "note"] = "error"
    """`note`: does not change what the databases hold or how they answer."""

    def __str__(self) -> str:
        if ABSENT in (self.source, self.target):
            where = "source" if self.target == ABSENT else "target"
            return f"{self.kind} {self.name} is only on the {where}"
        said = f"{self.source!r} on the source, {self.target!r} on the target"
        return f"{self.kind} {self.name}: {self.property} is {said}"


def compare_catalogs(
    source: Catalog,
    target: Catalog,
    flavours: tuple[Flavour, Flavour],
    *,
    accounts: Mapping[str, str] | None = None,
    kinds: Sequence[str] | None = None,
) -> tuple[SchemaDifference, ...]:
    """All differences, in a stable order.

    Args:
        flavours: the source's and the target's: where they differ, spelling is made the same first.
        accounts: accounts (`user@host`) of the source by their name on the target, for definers and grants
            whose names are meant to differ.
        kinds: only these kinds of objects.
    """
    accounts = accounts or {}
    found: list[SchemaDifference] = []
    mixed = flavours[0].family != flavours[1].family
    for kind in source.objects:
        if kinds is not None and kind not in kinds:
            continue
        here = {name: _plain(kind, said, accounts, mixed) for name, said in source.objects[kind].items()}
        there = {name: _plain(kind, said, {}, mixed) for name, said in target.objects.get(kind, {}).items()}
        found += _compare(kind, here, there)
    if kinds is None or "grant" in kinds:
        found += _grants(source, target, accounts)
    return tuple(found)


def _compare(
    kind: str, here: Mapping[str, Properties], there: Mapping[str, Properties]
) -> list[SchemaDifference]:
    found = []
    for name in sorted({*here, *there}):
        if name not in there:
            found.append(SchemaDifference(kind, name, "", "present", ABSENT))
        elif name not in here:
            found.append(SchemaDifference(kind, name, "", ABSENT, "present"))
        else:
            found += [
                SchemaDifference(kind, name, said, here[name].get(said), there[name].get(said))
                for said in sorted({*here[name], *there[name]})
                if here[name].get(said) != there[name].get(said)
            ]
    return found


def compare_counters(source: Mapping[str, int], target: Mapping[str, int]) -> tuple[SchemaDifference, ...]:
    """Counters that would give out a number for the second time; one that is ahead on the target does not."""
    return tuple(
        SchemaDifference("counter", place, "next", str(number), str(target.get(place)))
        for place, number in sorted(source.items())
        if place in target and target[place] < number
    )


def _grants(source: Catalog, target: Catalog, accounts: Mapping[str, str]) -> list[SchemaDifference]:
    found = []
    here = {accounts.get(account, account): rights for account, rights in source.rights.items()}
    for account in sorted({*here, *target.rights}):
        if account not in target.rights:
            found.append(SchemaDifference("grant", account, "", ", ".join(here[account]), ABSENT))
        elif account not in here:
            found.append(
                SchemaDifference("grant", account, "", ABSENT, ", ".join(target.rights[account]), "note")
            )
        else:
            missing = sorted(set(here[account]) - set(target.rights[account]))
            further = sorted(set(target.rights[account]) - set(here[account]))
            found += [SchemaDifference("grant", account, right, "yes", "no") for right in missing]
            found += [SchemaDifference("grant", account, right, "no", "yes", "note") for right in further]
    return found


_WIDTH = re.compile(r"\b(tinyint|smallint|mediumint|int|bigint|year)\(\d+\)")


def _plain(kind: str, said: Properties, accounts: Mapping[str, str], mixed: bool) -> Properties:
    """The properties in the one spelling that all versions can be compared in."""
    plain = dict(said)
    if definer := plain.get("definer"):
        plain["definer"] = accounts.get(definer, definer)
    if kind == "column":
        # MySQL dropped the display width from 8.0.19 on; it changes nothing but what a client may show.
        if plain["type"] and plain["type"] != "tinyint(1)":
            plain["type"] = _WIDTH.sub(r"\1", plain["type"])
        plain["extra"] = (plain["extra"] or "").replace("DEFAULT_GENERATED", "").strip().lower()
    # utf8 is what utf8mb3 was called before MySQL 8.0.29 and MariaDB 10.6.
    for name in ("charset", "collation", "type"):
        if plain.get(name):
            plain[name] = re.sub(r"\butf8(?=_|$)", "utf8mb3", str(plain[name]))
    return _plain_mixed(kind, plain) if mixed else plain


def _plain_mixed(kind: str, plain: Properties) -> Properties:
    """Between MySQL and MariaDB: how they spell defaults, JSON and functions."""
    if kind == "column":
        default = plain["default"]
        if default is not None:
            default = re.sub(r"^'(.*)'$", r"\1", default, flags=re.DOTALL).replace("''", "'")
            default = re.sub(r"^current_timestamp(\(\))?", "current_timestamp", default, flags=re.IGNORECASE)
            plain["default"] = None if default == "NULL" else default
        plain["extra"] = (plain["extra"] or "").replace("current_timestamp()", "current_timestamp")
        if plain["type"] in ("json", "longtext"):
            plain |= {"type": "json or longtext", "charset": None, "collation": None}
    if kind == "check" and "json_valid" in (plain.get("clause") or ""):
        plain["clause"] = "json_valid"
    return plain
