"""Checks across the sections of an environment of kind `rhoam`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from components.settings.access import NotificationSettings
from components.settings.base import Placeholder
from stacks.settings.problems import CrossProblem

if TYPE_CHECKING:
    from stacks.settings.rhoam import MigrationStores, ThreescaleStores

ENGINES = {"mysql": "mysql", "postgresql": "postgres"}
"""The engine at RDS of each kind of source database that can be moved."""


def convertible(source_database: str, migration: MigrationStores) -> Iterator[CrossProblem]:
    """The source's database can be moved, and is converted where it has to be."""
    if source_database not in ENGINES:
        yield CrossProblem(
            ("source_database",),
            source_database,
            f"mysql or postgresql, as {source_database} cannot be moved yet",
        )
        return
    engine, conversion = ENGINES[source_database], migration.conversion_database
    if migration.system_database.engine != engine:
        yield CrossProblem(
            ("migration", "system_database", "engine"),
            migration.system_database.engine,
            f"{engine}, the source's",
        )
    place = ("migration", "conversion_database")
    if engine == "postgres" and conversion is not None:
        yield CrossProblem(place, conversion, "none, as nothing is converted")
    if engine == "mysql" and conversion is None:
        yield CrossProblem(place, None, "a postgres to convert mysql into")
    if engine == "mysql" and conversion is not None and conversion.engine != "postgres":
        yield CrossProblem((*place, "engine"), conversion.engine, "postgres, which mysql is converted into")


def taken_by_rhoam(destination: ThreescaleStores) -> Iterator[CrossProblem]:
    """The destination's database is one that RHOAM works on."""
    engine = destination.system_database.engine
    if engine != "postgres":
        yield CrossProblem(
            ("destination", "system_database", "engine"), engine, "postgres, which RHOAM takes"
        )


def told(notifications: NotificationSettings | None, source_database: str) -> Iterator[CrossProblem]:
    """The databases' alarms have somewhere to go; `source_database` tells an environment of this kind."""
    del source_database
    if notifications is None:
        yield CrossProblem(("notifications",), None, "this section, which the databases' alarms go to")


def apart(migration: MigrationStores, destination: ThreescaleStores) -> Iterator[CrossProblem]:
    """VPCs that are connected share no address."""
    networks = {
        ("migration", "network", "cidr"): migration.network.cidr,
        ("migration", "peer", "cidr"): migration.peer.cidr,
        ("destination", "network", "cidr"): destination.network.cidr,
        ("destination", "peer", "cidr"): destination.peer.cidr,
    }
    pairs = (
        (("migration", "network", "cidr"), ("migration", "peer", "cidr")),
        (("destination", "network", "cidr"), ("destination", "peer", "cidr")),
        (("migration", "network", "cidr"), ("destination", "network", "cidr")),
    )
    for place, other in pairs:
        one, two = networks[place], networks[other]
        if isinstance(one, Placeholder) or isinstance(two, Placeholder):
            continue
        if one.overlaps(two):
            yield CrossProblem(place, str(one), f"no address of {'.'.join(other)}, {two}")
