"""What of a journal is worth telling somebody who does not look."""

from __future__ import annotations

from dataclasses import dataclass

from cutover.history import BACK, FORWARD, OPERATOR, History, Status, add
from cutover.journal import Record
from cutover.plan import Plan
from cutover.times import duration
from stacks.settings.notices import NoticeKind


@dataclass(frozen=True)
class Happening:
    """One notice. `number` is of the record that it tells of."""

    number: int
    at: str
    kind: NoticeKind
    title: str
    text: str


class Teller:
    """Reads records in their order, each once."""

    def __init__(self, plan: Plan, program: str) -> None:
        self._plan = plan
        self._program = program
        self._history = History()
        self._stages = {step.id: stage for stage in plan.stages for step in stage.steps}
        self._at: tuple[str, str] = ("", "")

    def read(self, record: Record) -> Happening | None:
        """What the next record says."""
        add(self._history, record)
        found = self._found(record)
        if found is None:
            return None
        kind, title, text = found
        head = f"{self._plan.title} ({self._plan.environment})"
        return Happening(record.number, record.at, kind, f"{head}: {title}", text)

    def _found(self, record: Record) -> tuple[NoticeKind, str, str] | None:
        data = record.data
        match record.kind:
            case "started" if data["direction"] == BACK:
                why = "as asked" if data["cause"] == OPERATOR else data["cause"]
                return "rollback", f"going back to {data['until'] or 'the start'}", why
            case "intent" | "outcome":
                return self._stage(record)
            case "reminder":
                asked = self._history.step(data["step"]).waiting
                title = f"{self._owner(data['step'])}: {data['step']} has waited for you for "
                how = f"{self._program} approve {data['step']} --as NAME --note TEXT"
                return "waiting", f"{title}{duration(data['seconds'])}", f"{asked}\n{how}"
            case "waiting":
                owner = self._owner(data["step"])
                how = f"{self._program} approve {data['step']} --as NAME --note TEXT"
                return "waiting", f"{owner}: {data['step']} waits for you", f"{data['instructions']}\n{how}"
            case "finished":
                where = f" in {data['step']}" if data.get("step") else ""
                stopped = data["outcome"] in ("halted", "interrupted")
                return "halt" if stopped else "end", f"{data['outcome']}{where}", data["reason"]
        return None

    def _owner(self, name: str) -> str:
        return next((step.owner for step in self._plan.steps if step.id == name), "its owner")

    def _stage(self, record: Record) -> tuple[NoticeKind, str, str] | None:
        data = record.data
        stage = self._stages.get(data["step"])
        if stage is None:
            return None
        if record.kind == "intent":
            before, self._at = self._at, (stage.id, data["direction"])
            word = "begins" if data["direction"] == FORWARD else "is undone"
            return ("stage", f"stage {stage.id} {word}", stage.title) if before != self._at else None
        done = all(self._history.step(step.id).status == Status.DONE for step in stage.steps)
        if done and data["direction"] == FORWARD and data["result"] == "done":
            return "stage", f"stage {stage.id} is done", stage.title
        return None
