"""Getting the database to the target: its preflight, users, replication and verification ahead."""

from __future__ import annotations

from dataclasses import dataclass

from cutover.actions.base import Action, Evidence, Look, Observation
from cutover.context import Context
from cutover.errors import StepError

RIGHTS = "database_rights"
"""The fact: what the services' accounts may do while their database serves."""


@dataclass(frozen=True)
class InspectPair(Look):
    """Looks for whatever would break the replication or the switch of the pair of databases."""

    def describe(self) -> str:
        """See Action."""
        return (
            "look at versions, binlogs, GTIDs, modes, character sets, definers, rights, tables without a "
            "key, open transactions and the fence on both databases"
        )

    def apply(self, context: Context) -> Evidence:
        """See Action."""
        found = list(context.move().inspect())
        for line in found:
            context.say(line)
        return {"findings": found}


@dataclass(frozen=True)
class PrepareUsers(Action):
    """Makes the replication's users, and the services' accounts on the target without rights to write."""

    @property
    def gives(self) -> tuple[str, ...]:
        """See Action."""
        return (RIGHTS,)

    def describe(self) -> str:
        """See Action."""
        return (
            "make the replication's users on both databases, whose passwords only AWS Secrets Manager holds, "
            "and the services' accounts on the target, which may read and not write yet"
        )

    def preview(self, context: Context) -> tuple[str, ...]:
        """See Action."""
        return tuple(f"account {account} on the target" for account in context.environment.database.accounts)

    def observe(self, context: Context) -> Observation:
        """It is repeated: all of it may be."""
        known = RIGHTS in context.facts.values
        return Observation("not done", "the rights are remembered already" if known else "looked at anew")

    def apply(self, context: Context) -> Evidence:
        """The rights of an earlier attempt stay remembered: by now some may be revoked."""
        found = [dict(right) for right in context.move().prepare_users()]
        before = context.facts.values.get(RIGHTS, [])
        rights = [*before, *(right for right in found if right not in before)]
        context.facts.remember(RIGHTS, rights)
        return {"accounts": sorted({str(right["account"]) for right in rights})}


@dataclass(frozen=True)
class Replicate(Action):
    """Copies the database to the target, and lets the target follow the source."""

    kind: str
    """`native` or `dms`."""

    def describe(self) -> str:
        """See Action."""
        how = (
            "by the databases' own GTID replication over TLS"
            if self.kind == "native"
            else "by the forward task of DMS"
        )
        return f"copy the database to the target, schema first, and let the target follow the source {how}"

    def preview(self, context: Context) -> tuple[str, ...]:
        """See Action."""
        names = context.environment.database.names
        return tuple(f"database {name} on the target: replaced by a copy of the source's" for name in names)

    def observe(self, context: Context) -> Observation:
        """See Action."""
        found = context.move().replicating()
        return Observation("done" if found.state == "running" else "not done", found.detail)

    def apply(self, context: Context) -> Evidence:
        """See Action."""
        return dict(context.move().replicate(context.say))

    def undo(self, context: Context) -> Evidence:
        """The copy stays on the target, where nobody uses it; the next one replaces it."""
        context.move().retire()
        return {"replication": "retired"}


@dataclass(frozen=True)
class PrepareReverse(Look):
    """Makes the way back ready before anybody needs it."""

    def describe(self) -> str:
        """See Action."""
        return (
            "make the way back ready: the reverse task of DMS is there, reaches both databases, and does not "
            "run; its place in the target's binlog is noted in the moment of the switch"
        )

    def apply(self, context: Context) -> Evidence:
        """See Action."""
        return {"reverse": dict(context.move().prepare_reverse())}


@dataclass(frozen=True)
class VerifyAhead(Look):
    """Compares everything while the source is written to; what changes meanwhile waits for the fence."""

    def describe(self) -> str:
        """See Action."""
        return (
            "compare schema and data of both databases while the source is written to; rows that change "
            "meanwhile are compared again under the fence"
        )

    def apply(self, context: Context) -> Evidence:
        """See Action."""
        return {"verification": dict(context.move().verify(context.say))}


@dataclass(frozen=True)
class SwitchDatabase(Action):
    """Park, fence, drain, compare, promote, let through; on the way back the same in the other direction."""

    parks: bool = True
    """Whether requests wait at a gate meanwhile; else those that write are refused until pods restart."""

    @property
    def needs(self) -> tuple[str, ...]:
        """See Action."""
        return (RIGHTS,)

    def describe(self) -> str:
        """See Action."""
        if not self.parks:
            return (
                "pause the committers, fence the source's database, wait until the target's has everything, "
                "compare what changed last, and let the target's take writes; requests that write are "
                "refused from the fence on until the services have been restarted"
            )
        return (
            "hold requests at the gate, let those in flight end, pause the committers, fence the source's "
            "database, wait until the target's has everything, compare what changed last, let the target's "
            "take writes, and send the requests to the pods that wait for it"
        )

    def preview(self, context: Context) -> tuple[str, ...]:
        """See Action."""
        deadline = context.environment.cutover.deadlines.total_ms
        return (
            f"the database that serves: source -> target; given up after {deadline:g} ms at the latest, and "
            "requests go to the source as before then",
        )

    def observe(self, context: Context) -> Observation:
        """See Action."""
        serving = context.move().serving()
        if serving is None:
            return Observation("unknown", "the record says that a switch is in the middle")
        return Observation("done" if serving == "target" else "not done", f"the {serving}'s database serves")

    def apply(self, context: Context) -> Evidence:
        """See Action."""
        done = context.move().switch(context.facts.recall(RIGHTS), context.say)
        kind = context.environment.replication
        return {
            "replication": {"kind": kind.forward if kind else "", **done.parts_ms},
            "verification": dict(done.verification),
            "parked" if self.parks else "refused": list(done.parked),
            "left_at": done.position,
            "began_at": done.began_at,
        }

    def undo(self, context: Context) -> Evidence:
        """Keeps every write, or refuses. Raises StepError."""
        if context.move().serving() == "source":
            context.move().follow_again()
            return {"switch": "it never came to its end, or was taken back: the source's database serves"}
        back = context.move().switch_back(context.facts.recall(RIGHTS), context.say)
        return {
            "replication": dict(back.parts_ms),
            "parked" if self.parks else "refused": list(back.parked),
            "rollback": {"writes_on_target": back.writes_on_target, "kept": back.kept},
        }

    def repair(self, context: Context) -> None:
        """Ends a switch whose runner was killed: ahead where requests may have got through, else back."""
        context.say(f"the switch that was cut short: {context.move().recover(context.facts.recall(RIGHTS))}")


@dataclass(frozen=True)
class ReplicateBack(Action):
    """Lets the source follow the target from where the target began to serve."""

    def describe(self) -> str:
        """See Action."""
        return "start the reverse task of DMS from the noted place, so that a rollback keeps every write"

    def preview(self, context: Context) -> tuple[str, ...]:  # noqa: ARG002 - an interface's method
        """See Action."""
        return ("the reverse task: started",)

    def observe(self, context: Context) -> Observation:  # noqa: ARG002 - an interface's method
        """It is repeated: a task that runs is left alone, and its lag measured."""
        return Observation("not done", "looked at anew")

    def apply(self, context: Context) -> Evidence:
        """See Action."""
        return {"reverse": dict(context.move().start_reverse())}


@dataclass(frozen=True)
class EndReverse(Action):
    """Ends the way back for good."""

    def describe(self) -> str:
        """See Action."""
        return "end the reverse replication: from here on the source's database is behind"

    def preview(self, context: Context) -> tuple[str, ...]:  # noqa: ARG002 - an interface's method
        """See Action."""
        return ("the reverse task: stopped for good",)

    def observe(self, context: Context) -> Observation:  # noqa: ARG002 - an interface's method
        """It is repeated: ending what has ended is harmless."""
        return Observation("not done", "ended again")

    def apply(self, context: Context) -> Evidence:
        """See Action."""
        return {"reverse": dict(context.move().end_reverse())}


@dataclass(frozen=True, kw_only=True)
class SourceQuiet(Look):
    """Nobody but the replication is connected to the source's database for a while."""

    seconds: float

    def describe(self) -> str:
        """See Action."""
        return f"see that nobody is connected to the source's database for {self.seconds:g} s"

    def apply(self, context: Context) -> Evidence:
        """Raises StepError that names who is connected."""
        until = context.clock.monotonic() + self.seconds
        while True:
            if found := context.move().connections("source"):
                who = ", ".join(sorted({f"{item.user}@{item.address}" for item in found}))
                raise StepError(
                    f"the source's database still serves {who}: find out what that is and point it at the "
                    "target; then `cutover run` goes on"
                )
            if context.clock.monotonic() >= until:
                return {"quiet_seconds": self.seconds}
            context.pause(min(1.0, max(0.01, until - context.clock.monotonic())))
