"""What the environment variables of `make rehearse` say."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lab.without import PARTS
from lab.world import LabError

REPOSITORY = Path(__file__).resolve().parents[1]
DEFAULT_TTL_DIVISOR = 30
SHIPPED = "boss-corestone"
RHOAM = "rhoam"
"""The second plan, which has a lab of its own."""
_MOST_KILLS = 20


@dataclass(frozen=True)
class Options:
    """A rehearsal's options, each named as its variable."""

    plan: str
    before: str | None
    """A stage of the plan that ships: it is run to there first, where a plan of one's own begins later."""
    until: str | None
    """A stage or a phase; None: to the end."""
    then: str | None
    """`rollback`, or None."""
    kill: int
    """How often the runner is killed with SIGKILL on its way forward, and started again."""
    engine: str
    rate: float
    """Requests a second."""
    seed: int
    switch: str
    """How the database is switched, `armed` or `restart`; nothing: as the settings say."""
    without: str
    """A protection that is taken away, so that the rehearsal has to fail; see lab.without."""
    ttl_divisor: int
    watch: int
    """The port of this machine's loopback at which the page is served; 0: none."""
    output: Path
    keep: bool

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Options:
        """Read the variables. Raises LabError naming every one that is wrong."""
        problems: list[str] = []

        def choice(name: str, allowed: tuple[str, ...]) -> str:
            value = environment.get(name, "")
            if value not in allowed:
                expected = ", ".join(option or "nothing" for option in allowed)
                problems.append(f"{name}={value}: expected {expected}")
            return value

        def number(name: str, default: float, least: float, most: float = float("inf")) -> float:
            text = environment.get(name, "") or str(default)
            try:
                value = float(text)
            except ValueError:
                value = float("nan")
            if not least <= value <= most:
                limit = "" if most == float("inf") else f" and at most {most:g}"
                problems.append(f"{name}={text}: expected a number of at least {least:g}{limit}")
                return default
            return value

        options = cls(
            plan=_plan(environment.get("PLAN", ""), problems),
            before=environment.get("BEFORE") or None,
            until=environment.get("UNTIL") or None,
            then=choice("THEN", ("", "rollback")) or None,
            kill=int(number("KILL", 0, 0, _MOST_KILLS)),
            engine=choice("ENGINE", ("", "official", "lab")),
            rate=number("RATE", 310, 1),
            seed=int(number("SEED", 1, 0)),
            switch=choice("SWITCH", ("", "armed", "restart")),
            without=choice("WITHOUT", ("", *PARTS)),
            ttl_divisor=int(number("LAB_TTL_DIVISOR", DEFAULT_TTL_DIVISOR, 1)),
            watch=int(number("WATCH", 0, 0, 65535)),
            output=Path(environment.get("OUT") or REPOSITORY / "out").resolve(),
            keep=bool(environment.get("KEEP")),
        )
        if options.without == "reverse" and options.then != "rollback":
            problems.append("WITHOUT=reverse: it shows on the way back alone, so add THEN=rollback")
        if options.before and options.plan in (SHIPPED, RHOAM):
            problems.append(
                f"BEFORE={options.before}: only a plan of one's own (PLAN) has something before it"
            )
        if options.plan == RHOAM and (options.without or options.switch or options.watch):
            problems.append(f"PLAN={RHOAM}: it has no WITHOUT, SWITCH or WATCH")
        if problems:
            raise LabError("; ".join(problems))
        return options

    @property
    def plan_name(self) -> str:
        """What the cutover is told as its plan."""
        return f"lab.without:{self.without}" if self.without else self.plan

    @property
    def wanted(self) -> str:
        """The outcome that makes the rehearsal a success."""
        return "rolled back" if self.then == "rollback" else "succeeded"


def _plan(given: str, problems: list[str]) -> str:
    """The plan that ships, or one of one's own by `module:function`."""
    if given in ("", SHIPPED, RHOAM) or re.fullmatch(r"[\w.]+:\w+", given):
        return given or SHIPPED
    problems.append(f"PLAN={given}: expected {SHIPPED}, {RHOAM}, or MODULE:FUNCTION of a plan of one's own")
    return SHIPPED
