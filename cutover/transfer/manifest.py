"""What a dump consists of, written beside it once it is whole, and held against it before it is used."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from cutover.context import Context
from cutover.errors import StepError
from cutover.transfer.bucket import Bucket, as_json
from cutover.transfer.places import DumpPlace

SCHEMA = 1
FILE = "manifest.json"
_CHUNK = 1 << 20
_AGAIN = "take the dump again: `cutover rollback --to` the stage before it, then `cutover run`"


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DumpFile(_Model):
    """One file of a dump."""

    name: str
    size: int
    sha256: str


class TableSum(_Model):
    """What a table held."""

    rows: int
    checksum: str
    """Of all rows, whatever their order."""


class Manifest(_Model):
    """A whole dump."""

    schema_version: int = SCHEMA
    kind: str
    """`mysql`, `postgres` or `redis`."""
    tool: str
    """What made it, with its version."""
    server: str
    """Whose data it is, with its version."""
    database: str
    taken: str
    files: tuple[DumpFile, ...]
    tables: Mapping[str, TableSum] | None = None
    """None: whoever made the dump did not count."""
    keys: Mapping[str, int] | None = None
    """Of Redis: how many keys each of its databases had."""

    @property
    def size(self) -> int:
        """Of all files."""
        return sum(file.size for file in self.files)

    @property
    def rows(self) -> int | None:
        """Of all tables."""
        return None if self.tables is None else sum(table.rows for table in self.tables.values())

    def evidence(self) -> dict[str, object]:
        """What the journal keeps of it."""
        return {
            "kind": self.kind,
            "tool": self.tool,
            "server": self.server,
            "files": {file.name: file.sha256 for file in self.files[:50]},
            "bytes": self.size,
            **({} if self.tables is None else {"tables": len(self.tables), "rows": self.rows}),
            **({} if self.keys is None else {"keys": sum(self.keys.values())}),
        }


def file_of(path: Path, name: str) -> DumpFile:
    """A file's size and SHA-256."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while piece := file.read(_CHUNK):
            digest.update(piece)
            size += len(piece)
    return DumpFile(name=name, size=size, sha256=digest.hexdigest())


def put(context: Context, place: DumpPlace, folder: Path, manifest: Manifest) -> None:
    """Uploads a dump; the manifest comes last, so that a dump with one is whole. Raises StepError."""
    bucket = Bucket.open(context, place.bucket)
    bucket.delete([f"{place.prefix}/{FILE}"])
    stale = set(bucket.names(f"{place.prefix}/")) - {f"{place.prefix}/{file.name}" for file in manifest.files}
    bucket.delete(sorted(stale))
    for file in manifest.files:
        bucket.upload(folder / file.name, f"{place.prefix}/{file.name}")
    bucket.write(f"{place.prefix}/{FILE}", as_json(manifest.model_dump(mode="json")))


def find(context: Context, place: DumpPlace) -> Manifest | None:
    """The manifest of a dump; None where there is no whole dump. Raises StepError."""
    bucket = Bucket.open(context, place.bucket)
    content = bucket.read(f"{place.prefix}/{FILE}")
    if content is None:
        return None
    try:
        return Manifest.model_validate_json(content)
    except ValidationError as error:
        raise StepError(
            f"{place.prefix}/{FILE} in bucket {bucket.name} is no manifest of a dump: "
            f"{error.errors()[0]['msg']}: it was cut short or changed; {_AGAIN}"
        ) from None


def known(context: Context, place: DumpPlace, kind: str) -> Manifest:
    """The manifest of a dump that must be there. Raises StepError."""
    manifest = find(context, place)
    if manifest is None:
        raise StepError(
            f"there is no whole dump at {place}: it has no {FILE}, which is written last; {_AGAIN}"
        )
    if manifest.kind != kind:
        raise StepError(f"the dump at {place} is one of {manifest.kind}, and not of {kind}")
    return manifest


def fetch(context: Context, place: DumpPlace, manifest: Manifest, folder: Path) -> None:
    """Downloads a dump, and holds each file against the manifest. Raises StepError."""
    bucket = Bucket.open(context, place.bucket)
    for file in manifest.files:
        path = folder / file.name
        path.parent.mkdir(parents=True, exist_ok=True)
        digest = bucket.download(f"{place.prefix}/{file.name}", path)
        size = path.stat().st_size
        if (size, digest) != (file.size, file.sha256):
            raise StepError(
                f"{place.prefix}/{file.name} in bucket {bucket.name} is not what was dumped: {size} bytes "
                f"with SHA-256 {digest[:12]}…, and the manifest says {file.size} bytes with "
                f"{file.sha256[:12]}…: it was cut short or changed; {_AGAIN}"
            )


def discard(context: Context, place: DumpPlace) -> list[str]:
    """Deletes a dump, its manifest first. Raises StepError."""
    bucket = Bucket.open(context, place.bucket)
    bucket.delete([f"{place.prefix}/{FILE}"])
    files = bucket.names(f"{place.prefix}/")
    bucket.delete(files)
    return files


def refuse_differences(
    wanted: Mapping[str, TableSum], found: Mapping[str, TableSum], what: str, way_on: str
) -> None:
    """Raises StepError that names the tables that do not hold the same."""
    lines: list[str] = []
    for name in sorted({*wanted, *found}):
        before, after = wanted.get(name), found.get(name)
        if before is None or after is None:
            lines.append(f"{name} is {'not in the dump' if before is None else 'missing'}")
        elif before.rows != after.rows:
            lines.append(f"{name} has {after.rows} rows instead of {before.rows}")
        elif before.checksum != after.checksum:
            lines.append(f"{name} has {after.rows} rows, but other values")
    if lines:
        raise StepError(f"{what}: {_first(lines)}; {way_on}")


def _first(lines: Sequence[str], shown: int = 10) -> str:
    return "; ".join(lines[:shown]) + (f"; and {len(lines) - shown} more" if len(lines) > shown else "")
