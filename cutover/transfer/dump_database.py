"""A dump of a database into a bucket."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cutover.actions.base import Action, Evidence, Observation
from cutover.context import Context
from cutover.errors import StepError
from cutover.mysql import Server
from cutover.postgres import PostgresServer
from cutover.transfer import manifest, mysql_dump, postgres_dump, reach
from cutover.transfer.manifest import Manifest
from cutover.transfer.places import DatabasePlace, DumpPlace
from cutover.transfer.sums import sums
from cutover.transfer.work import work_folder


@dataclass(frozen=True, kw_only=True)
class DumpDatabase(Action):
    """Dumps a database, MySQL or PostgreSQL, and puts it into a bucket with a manifest."""

    source: DatabasePlace
    dump: DumpPlace
    threads: int = 2
    """Of mydumper, where it is installed; with 1 mysqldump is used."""

    def describe(self) -> str:
        """See Action."""
        return f"dump {self.source.name} to {self.dump}, with row counts, sizes and checksums"

    def preview(self, context: Context) -> tuple[str, ...]:
        """See Action."""
        found = manifest.find(context, self.dump)
        replaced = f", instead of the one of {found.taken}" if found else ""
        return (f"a dump of {self.source.name} at {self.dump}{replaced}",)

    def observe(self, context: Context) -> Observation:
        """The manifest is written last, and an attempt begins by deleting it."""
        found = manifest.find(context, self.dump)
        if found is None:
            return Observation("not done", f"{self.dump} has no manifest")
        return Observation("done", f"{self.dump} is whole: {found.rows} rows, taken {found.taken}")

    def apply(self, context: Context) -> Evidence:
        """Raises StepError; also where the database was written to meanwhile."""
        manifest.discard(context, self.dump)
        server, database = reach.database_server(context, self.source)
        before = sums(context, server, database)
        if not before:
            raise StepError(f"{server} has no table in {database}: is this the right database?")
        with work_folder(context, self.dump.prefix) as folder:
            made = _dump(context, server, database, folder, self.threads)
            after = sums(context, server, database)
            manifest.refuse_differences(
                before,
                after,
                f"{server} was written to while it was dumped",
                "stop whatever still writes to it; then `cutover run` dumps again",
            )
            files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
            written = Manifest(
                kind="mysql" if isinstance(server, Server) else "postgres",
                tool=made[0],
                server=made[1],
                database=database,
                taken=context.clock.now().isoformat(timespec="seconds"),
                files=tuple(manifest.file_of(path, str(path.relative_to(folder))) for path in files),
                tables=after,
            )
            manifest.put(context, self.dump, folder, written)
        context.say(f"{self.source.name} is dumped: {len(after)} tables, {written.rows} rows")
        return written.evidence()

    def undo(self, context: Context) -> Evidence:
        """Deletes the dump."""
        return {"deleted": len(manifest.discard(context, self.dump))}


def _dump(
    context: Context, server: Server | PostgresServer, database: str, folder: Path, threads: int
) -> tuple[str, str]:
    """Dumps into a folder, and sees that it is whole; returns the tool and the server with their versions."""
    if isinstance(server, Server):
        with server.connect() as session:
            version = str(session.flavour)
        tool = mysql_dump.dump(context, server, database, folder, threads)
        mysql_dump.refuse_cut_short(folder)
        return tool, version
    with server.connect(database) as found:
        version = found.version
    tool = postgres_dump.dump(context, server, database, folder)
    postgres_dump.refuse_cut_short(context, folder)
    return tool, version
