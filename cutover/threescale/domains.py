"""The domains in 3scale's database: master's, the tenants' and the gateways', moved to another cluster's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from cutover.actions.base import NO_CHANGE, Action, Evidence, Observation
from cutover.context import Context
from cutover.errors import StepError
from cutover.postgres import PostgresSession
from cutover.threescale.site import Site
from cutover.transfer.places import StackDatabase
from cutover.transfer.reach import postgres_server

COLUMNS = (
    ("accounts", "domain"),
    ("accounts", "self_domain"),
    ("proxies", "endpoint"),
    ("proxies", "sandbox_endpoint"),
    ("proxy_configs", "hosts"),
    ("proxy_configs", "content"),
)
"""Where 3scale keeps names below the cluster's domain."""
_END = r"(?=$|[:/\"|,\s])"
"""What a host name ends with, where it stands in a longer text."""


@dataclass(frozen=True, kw_only=True)
class EditDomains(Action):
    """Moves every name below the old cluster's domain to the one of another; a domain of their own stays."""

    database: StackDatabase
    site: Site
    """The 3scale whose routes are to match."""
    tenants: tuple[str, ...]
    """Organization names that have to be in it."""
    back: Site | None = None
    """The 3scale whose routes are to match again after a rollback; None: there is none to serve then."""

    def describe(self) -> str:
        """See Action."""
        columns = ", ".join(f"{table}.{column}" for table, column in COLUMNS)
        return (
            f"in {self.database.name} replace the domain of the cluster that the data comes from by that of "
            f"{self.site.title} (its APIManager's wildcardDomain), for the master account, the tenants "
            f"{', '.join(self.tenants)} and their gateways: {columns}"
        )

    def preview(self, context: Context) -> tuple[str, ...]:
        """See Action."""
        new = self.site.wildcard(context)
        with self._session(context) as session:
            old = self._old(session)
        return NO_CHANGE if old == new else (f"names below {old} -> {new}",)

    def observe(self, context: Context) -> Observation:
        """See Action."""
        new = self.site.wildcard(context)
        with self._session(context) as session:
            old = self._old(session)
            left = list(self._left(session, old, new))
        done = old == new and not left
        return Observation(
            "done" if done else "not done", f"master is below {old}; {'; '.join(left) or 'all moved'}"
        )

    def apply(self, context: Context) -> Evidence:
        """Raises StepError."""
        new = self.site.wildcard(context)
        with self._session(context) as session:
            old = self._old(session)
            changed = self._replace(session, old, new) if old != new else {}
            if left := list(self._left(session, old, new)):
                raise StepError(
                    f"in {self.database.name}: {'; '.join(left)}. Look at the table accounts (org_name, "
                    "domain, self_domain) and at threescale.tenants in the settings, mend what is wrong, "
                    "and go on"
                )
        return {"from": old, "to": new, "rows": changed}

    def undo(self, context: Context) -> Evidence:
        """Raises StepError."""
        return super().undo(context) if self.back is None else replace(self, site=self.back).apply(context)

    def _session(self, context: Context) -> PostgresSession:
        server, database = postgres_server(context, self.database)
        return server.connect(database)

    def _old(self, session: PostgresSession) -> str:
        """The domain that the master account's name is below. Raises StepError."""
        name = session.value("SELECT self_domain FROM accounts WHERE master = true")
        _, dot, domain = str(name or "").partition(".")
        if not dot:
            raise StepError(
                f"{self.database.name} has no master account with a self_domain in its table accounts: the "
                "database was not loaded"
            )
        return domain

    def _replace(self, session: PostgresSession, old: str, new: str) -> dict[str, int]:
        """In one statement a column, so that a row is moved as a whole or not; how many rows each changed."""
        pattern = rf"\.{re.escape(old)}{_END}"
        there = set(
            session.rows(
                "SELECT table_name, column_name FROM information_schema.columns "
                "WHERE table_schema = current_schema()"
            )
        )
        # the master account comes last: what `_old` reads says how far an interrupted run has come
        changed = {}
        for table, column in sorted(COLUMNS, key=lambda item: item == ("accounts", "self_domain")):
            if (table, column) not in there:
                continue
            changed[f"{table}.{column}"] = session.execute(
                f'UPDATE "{table}" SET "{column}" = regexp_replace("{column}", %s, %s, \'g\') '  # noqa: S608 - our own names
                f'WHERE "{column}" ~ %s',
                (pattern, f".{new}", pattern),
            )
        return changed

    def _left(self, session: PostgresSession, old: str, new: str) -> Iterator[str]:
        """Who is still below the old domain, and which tenants are not there at all."""
        rows = session.rows(
            "SELECT org_name, self_domain, domain FROM accounts WHERE provider = true OR master = true"
        )
        names = {str(row[0]) for row in rows}
        yield from (f"there is no tenant {name}" for name in self.tenants if name not in names)
        if old != new:
            for name, *hosts in rows:
                if any(str(host or "").endswith(f".{old}") for host in hosts):
                    yield f"{name} is still below {old}"
