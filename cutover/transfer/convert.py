"""A MySQL database into PostgreSQL."""

from __future__ import annotations

from dataclasses import dataclass

from cutover.actions.base import NO_CHANGE, Action, Evidence, Observation
from cutover.context import Context
from cutover.transfer import marker, pgloader, reach
from cutover.transfer.places import DatabasePlace
from cutover.transfer.sequences import raise_sequences
from cutover.transfer.work import work_folder


@dataclass(frozen=True, kw_only=True)
class ConvertToPostgres(Action):
    """Converts by pgloader; rejected rows stop the plan."""

    source: DatabasePlace
    target: DatabasePlace
    left_out: tuple[str, ...] = ()
    """Tables that are not converted."""

    @property
    def gives(self) -> tuple[str, ...]:
        """See Action."""
        return (marker.fact(self.target),)

    def describe(self) -> str:
        """See Action."""
        without = f", without {', '.join(self.left_out)}" if self.left_out else ""
        return f"convert {self.source.name} into {self.target.name} by pgloader{without}"

    def preview(self, context: Context) -> tuple[str, ...]:
        """See Action."""
        if self.observe(context).state == "done":
            return NO_CHANGE
        return (f"{self.target.name}: filled with what {self.source.name} holds",)

    def observe(self, context: Context) -> Observation:
        """The mark is taken away once all is there; whether it is the same is seen by the comparison."""
        server, database = reach.postgres_server(context, self.target)
        tables, marked = marker.state(server, database)
        if marked or not tables:
            return Observation("not done", f"{server} is {'half filled' if marked else 'empty'}")
        return Observation("done", f"{server} holds {tables} tables, and no conversion is under way")

    def apply(self, context: Context) -> Evidence:
        """Raises StepError; what was converted until then is thrown away by the next attempt."""
        source, source_database = reach.mysql_server(context, self.source)
        target, database = reach.postgres_server(context, self.target)
        marker.begin(context, target, database)
        with work_folder(context, f"convert-{self.target.name}") as folder:
            found, version = pgloader.convert(
                context, (source, source_database), (target, database), self.left_out, folder
            )
        pgloader.refuse(found, str(source))
        raised = raise_sequences(source, source_database, target, database)
        marker.end(target, database)
        context.say(f"pgloader has converted {len(found.tables)} tables with {found.rows} rows")
        return {"tool": version, "tables": len(found.tables), "rows": found.rows, "sequences": raised}

    def undo(self, context: Context) -> Evidence:
        """Empties the PostgreSQL, if it was filled by this action."""
        return marker.undo(context, *reach.postgres_server(context, self.target))
