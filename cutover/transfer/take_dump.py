"""A dump that somebody else made."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from cutover.actions.base import NO_CHANGE, Action, Evidence, Observation
from cutover.context import Context
from cutover.errors import StepError
from cutover.transfer import manifest, mysql_dump, rdb
from cutover.transfer.bucket import Bucket
from cutover.transfer.manifest import Manifest
from cutover.transfer.places import BucketPlace, DumpPlace
from cutover.transfer.work import work_folder

_SUFFIXES = {"mysql": (".sql", ".sql.gz"), "redis": (".rdb",)}


@dataclass(frozen=True, kw_only=True)
class TakeDump(Action):
    """Takes a dump from the customer's bucket, sees that it is whole, and gives it a manifest."""

    source: BucketPlace
    key: str
    """The file in the customer's bucket: `.sql` or `.sql.gz` of mysqldump, `.rdb` of Redis."""
    dump: DumpPlace
    kind: Literal["mysql", "redis"]

    def describe(self) -> str:
        """See Action."""
        return f"take {self.key} from {self.source} to {self.dump}, and see that it is whole"

    def preview(self, context: Context) -> tuple[str, ...]:
        """See Action."""
        if self.observe(context).state == "done":
            return NO_CHANGE
        return (f"a dump at {self.dump}",)

    def observe(self, context: Context) -> Observation:
        """The manifest is written last, and an attempt begins by deleting it."""
        found = manifest.find(context, self.dump)
        if found is None:
            return Observation("not done", f"{self.dump} has no manifest")
        return Observation("done", f"{self.dump} is whole: {found.size} bytes, taken {found.taken}")

    def apply(self, context: Context) -> Evidence:
        """Raises StepError where the file is absent, of another kind, cut short or damaged."""
        name = PurePosixPath(self.key).name
        if not name.endswith(_SUFFIXES[self.kind]):
            raise StepError(f"{self.key} must end with {' or '.join(_SUFFIXES[self.kind])}")
        manifest.discard(context, self.dump)
        theirs = Bucket.open(context, self.source)
        if theirs.size(self.key) is None:
            there = ", ".join(theirs.names(self.key.rpartition("/")[0])[:5]) or "nothing"
            raise StepError(
                f"bucket {theirs.name} has no {self.key} (there is {there}): the customer puts it there; "
                "then `cutover run` goes on"
            )
        with work_folder(context, self.dump.prefix) as folder:
            path = folder / name
            theirs.download(self.key, path)
            keys = self._whole(context, path)
            written = Manifest(
                kind=self.kind,
                tool="the customer's",
                server="the customer's",
                database="",
                taken=context.clock.now().isoformat(timespec="seconds"),
                files=(manifest.file_of(path, name),),
                keys=keys,
            )
            manifest.put(context, self.dump, folder, written)
        context.say(f"{self.key} is whole: {written.size} bytes")
        return written.evidence()

    def undo(self, context: Context) -> Evidence:
        """Deletes our copy; the customer's stays."""
        return {"deleted": len(manifest.discard(context, self.dump))}

    def _whole(self, context: Context, path: Path) -> dict[str, int] | None:
        """Raises StepError where the file is not; returns how many keys a snapshot has."""
        if self.kind == "mysql":
            mysql_dump.refuse_file_cut_short(path)
            return None
        with rdb.staged(context, path) as server:
            return {str(number): count for number, count in server.used().items()}
