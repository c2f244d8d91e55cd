"""RDS's upgrades of a major version, which moto takes for done at once.

An instance whose version is raised is `upgrading` until its server has been upgraded: whoever runs the
servers is told by a file in the folder that LANDFALL_RDS_UPGRADES names, `<instance>.wanted` with the version
in it, and answers by `<instance>.done`. Without that folder there is no server, and it is available at once.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from moto.rds.models import rds_backends
from moto.rds.responses import RDSResponse

from lab.aws.fakes.operation import Parameters, Place, add, follow, precede, refuse
from lab.rhoam.upgrades import UPGRADES

_PATHS = {
    "mysql": ("5.7.44", "8.0.39", "8.0.40", "8.4.3"),
    "postgres": ("13.18", "14.15", "15.10", "16.6", "17.2"),
}
"""Some versions of each engine, in their order: from one, those of the next major version can be had."""
_upgrading: dict[tuple[Place, str], str] = {}


def install() -> None:
    """Put it in the place of moto's."""
    add(RDSResponse, {"DescribeDBEngineVersions": _engine_versions})
    precede(RDSResponse, "ModifyDBInstance", _may_upgrade)
    follow(RDSResponse, "ModifyDBInstance", _upgrade)
    precede(RDSResponse, "DescribeDBInstances", _look)


def _major(engine: str, version: str) -> tuple[int, ...]:
    parts = tuple(int(part) for part in version.split("."))
    return parts[:2] if engine == "mysql" else parts[:1]


def _engine_versions(_place: Place, given: Parameters) -> Mapping[str, Any]:
    engine, wanted = given.get("Engine", "mysql"), given.get("EngineVersion", "")
    known = _PATHS.get(engine, ())
    majors = sorted({_major(engine, version) for version in known})
    found = []
    for version in known:
        if wanted and not f"{version}.".startswith(f"{wanted}."):
            continue
        own = majors.index(_major(engine, version))
        targets = [
            {
                "Engine": engine,
                "EngineVersion": other,
                "AutoUpgrade": False,
                "IsMajorVersionUpgrade": _major(engine, other) != majors[own],
            }
            for other in known
            if other != version and majors.index(_major(engine, other)) in (own, own + 1) and other > version
        ]
        found.append({"Engine": engine, "EngineVersion": version, "ValidUpgradeTarget": targets})
    return {"DBEngineVersions": found}


def _instance(place: Place, name: str) -> Any:
    return rds_backends[place.account][place.region].databases.get(name)


def _may_upgrade(place: Place, given: Parameters) -> None:
    found, version = _instance(place, given["DBInstanceIdentifier"]), given.get("EngineVersion")
    if found is None or not version or found.engine not in _PATHS:
        return
    major = _major(found.engine, found.engine_version) != _major(found.engine, version)
    if major and not given.get("AllowMajorVersionUpgrade"):
        raise refuse(
            "InvalidParameterCombination",
            "The AllowMajorVersionUpgrade flag must be present when upgrading to a new major version.",
        )
    if major and given.get("ApplyImmediately"):
        _upgrading[place, found.db_instance_identifier] = version


def _upgrade(place: Place, given: Parameters) -> None:
    name = given["DBInstanceIdentifier"]
    version, folder = _upgrading.get((place, name)), os.environ.get(UPGRADES)
    if version is None or not folder:
        _upgrading.pop((place, name), None)
        return
    _instance(place, name).status = "upgrading"
    wanted = Path(folder, f"{name}.wanted")
    wanted.with_suffix(".new").write_text(version, encoding="utf-8")
    wanted.with_suffix(".new").rename(wanted)


def _look(_place: Place, _given: Parameters) -> None:
    folder = os.environ.get(UPGRADES)
    for place, name in [*_upgrading] if folder else ():
        done = Path(str(folder), f"{name}.done")
        if done.exists():
            done.unlink()
            _instance(place, name).status = "available"
            del _upgrading[place, name]
