"""Comparing what arrived on the target with its source, object by object and field by field."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cutover.moving.arrival import Manifest, arrival
from cutover.moving.selection import Found, is_made
from stacks.settings import VeleroMove

VELERO_LABELS = ("velero.io/backup-name", "velero.io/restore-name")
"""Velero's labels say where an object came from."""
_OWN_ANNOTATIONS = ("deployment.kubernetes.io/revision", "pulumi.com/", "pv.kubernetes.io/", "volume.")
"""What the target's own controllers and stacks note on an object."""
_EXACT = (
    ("data",), ("binaryData",), ("immutable",), ("type",), ("rules",), ("subjects",), ("roleRef",),
    ("metadata", "labels"), ("metadata", "annotations"), ("spec", "selector"),
    ("spec", "template", "metadata", "labels"),
)  # fmt: skip
"""Where the target may hold nothing else. Elsewhere it may fill in defaults of its own version."""
_TELLING = frozenset({"replicas", "suspend", "image", "storageClassName", "schedule"})
"""Fields whose values are shown. No others are: they may hold secrets."""


@dataclass(frozen=True)
class Comparison:
    """How the target stands against the source."""

    alike: int
    findings: tuple[str, ...]
    """What is missing, differs, or should not have come; each names its object."""
    expected: Mapping[str, int]
    """Why objects differ as they should, and how many do."""


def compare(
    moving: Iterable[Found], arrived: Sequence[Found], move: VeleroMove, *, target: str, restores: str
) -> Comparison:
    """Compares all that should have moved with what stands on the target.

    Args:
        arrived: the objects of the same namespaces on the target.
        target: the target's name, for the findings.
        restores: how the names of landfall's restores begin: what another brought is not looked at.
    """
    there = {_key(found): found for found in arrived}
    findings: list[str] = []
    expected: Counter[str] = Counter()
    alike = 0
    wanted_keys = set()
    for found in moving:
        wanted_keys.add(_key(found))
        wanted = arrival(found.item, move)
        expected.update(wanted.why)
        if _key(found) not in there:
            findings.append(f"{found} is not on {target}")
            continue
        # The clusters may prefer other versions of one API.
        manifest = {key: value for key, value in wanted.manifest.items() if key != "apiVersion"}
        differing = list(differences(manifest, comparable(there[_key(found)].item)))
        findings += [f"{found}: {text}" for text in differing]
        alike += not differing
    for key, found in there.items():
        came_by = found.item["metadata"].get("labels", {}).get("velero.io/restore-name", "")
        if key not in wanted_keys and came_by.startswith(restores) and not is_made(found.item):
            findings.append(f"{found} is on {target}, brought by the restore {came_by}, and should not be")
    return Comparison(alike, tuple(findings), dict(expected))


def comparable(item: Mapping[str, Any]) -> Manifest:
    """An object of the target without what the target itself and Velero write on it."""
    manifest = {key: value for key, value in item.items() if key not in ("status", "apiVersion")}
    metadata = item["metadata"]
    labels = {name: value for name, value in metadata.get("labels", {}).items() if name not in VELERO_LABELS}
    annotations = {
        name: value
        for name, value in metadata.get("annotations", {}).items()
        if not name.startswith(_OWN_ANNOTATIONS)
    }
    kept = {key: metadata[key] for key in ("name", "namespace") if key in metadata}
    if labels:
        kept["labels"] = labels
    if annotations:
        kept["annotations"] = annotations
    return {**manifest, "metadata": kept}


def differences(
    wanted: Mapping[str, Any], found: Mapping[str, Any], path: tuple[str, ...] = ()
) -> Iterator[str]:
    """Where an object differs from how it should have arrived."""
    exact = any(path[: len(place)] == place for place in _EXACT)
    for key in wanted:
        yield from _difference(wanted[key], found.get(key), (*path, key))
    for key in found:
        inner = (*path, key)
        if key not in wanted and (exact or inner in _EXACT) and found[key]:
            yield f"{_show(inner)} is on the target alone"


def _difference(wanted: Any, found: Any, path: tuple[str, ...]) -> Iterator[str]:
    if isinstance(wanted, Mapping) and isinstance(found, Mapping):
        yield from differences(wanted, found, path)
    elif isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        for index, (one, other) in enumerate(zip(wanted, found, strict=True)):
            yield from _difference(one, other, (*path, f"[{index}]"))
    elif found is None:
        if wanted not in (None, "", [], {}):
            yield f"{_show(path)} is absent"
    elif wanted != found:
        values = f": {found!r}, expected {wanted!r}" if path[-1] in _TELLING else ""
        yield f"{_show(path)} differs{values}"


def _show(path: tuple[str, ...]) -> str:
    return ".".join(path).replace(".[", "[")


def _key(found: Found) -> tuple[str, str, str, str]:
    group = found.kind.api_version.rpartition("/")[0]
    return group, found.kind.kind, found.namespace, found.name
