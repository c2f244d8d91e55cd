"""A dump into a database of the same kind."""

from __future__ import annotations

from dataclasses import dataclass

from cutover.actions.base import NO_CHANGE, Action, Evidence, Observation
from cutover.context import Context
from cutover.errors import StepError
from cutover.mysql import Server
from cutover.postgres import PostgresServer
from cutover.transfer import manifest, marker, mysql_dump, postgres_dump, reach
from cutover.transfer.manifest import Manifest
from cutover.transfer.places import DatabasePlace, DumpPlace
from cutover.transfer.sums import sums
from cutover.transfer.work import work_folder


@dataclass(frozen=True, kw_only=True)
class LoadDatabase(Action):
    """Loads a dump, and compares what is there then with the manifest."""

    dump: DumpPlace
    target: DatabasePlace
    threads: int = 2
    """Of myloader, for a dump of mydumper's."""

    @property
    def gives(self) -> tuple[str, ...]:
        """See Action."""
        return (marker.fact(self.target),)

    def describe(self) -> str:
        """See Action."""
        return f"load {self.dump} into {self.target.name}, and compare with its manifest"

    def preview(self, context: Context) -> tuple[str, ...]:
        """See Action."""
        if self.observe(context).state == "done":
            return NO_CHANGE
        return (f"{self.target.name}: filled with {self.dump}",)

    def observe(self, context: Context) -> Observation:
        """What is loaded has the manifest's sums, and no mark."""
        server, database = reach.database_server(context, self.target)
        tables, marked = marker.state(server, database)
        if not tables or marked:
            return Observation("not done", f"{server} is {'half filled' if marked else 'empty'}")
        found = self._manifest(context, server)
        if found.tables is None:
            return Observation("done", f"{server} holds {tables} tables, and no load is under way")
        if sums(context, server, database) == found.tables:
            return Observation("done", f"{server} holds what the manifest says")
        return Observation("not done", f"{server} holds {tables} tables, other than the manifest says")

    def apply(self, context: Context) -> Evidence:
        """Raises StepError."""
        server, database = reach.database_server(context, self.target)
        dumped = self._manifest(context, server)
        with work_folder(context, f"{self.dump.prefix}-load") as folder:
            manifest.fetch(context, self.dump, dumped, folder)
            if isinstance(server, Server):
                mysql_dump.refuse_cut_short(folder)
                marker.begin(context, server, database)
                mysql_dump.load(context, folder, server, database, self.threads)
            else:
                postgres_dump.refuse_cut_short(context, folder)
                marker.begin(context, server, database)
                postgres_dump.load(context, folder, server, database)
        found = {name: sum_ for name, sum_ in sums(context, server, database).items() if name != marker.MARK}
        if not found:
            raise StepError(f"{self.dump} holds no table: it is a dump of something else")
        if dumped.tables is not None:
            manifest.refuse_differences(
                dumped.tables,
                found,
                f"{server} does not hold what was dumped",
                "dump again, and load that; then `cutover run` goes on",
            )
        marker.end(server, database)
        rows = sum(table.rows for table in found.values())
        compared = "compared with the manifest" if dumped.tables is not None else "nothing to compare with"
        context.say(f"{self.target.name} is loaded: {len(found)} tables, {rows} rows, {compared}")
        return {"tables": len(found), "rows": rows, "compared": dumped.tables is not None}

    def undo(self, context: Context) -> Evidence:
        """Empties the target, if it was filled by this action."""
        return marker.undo(context, *reach.database_server(context, self.target))

    def _manifest(self, context: Context, server: Server | PostgresServer) -> Manifest:
        return manifest.known(context, self.dump, "mysql" if isinstance(server, Server) else "postgres")
