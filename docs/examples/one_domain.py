"""A plan of one's own: one domain moves by DNS alone, to a target that runs already.

`docs/writing-a-plan.md` goes through it line by line; a test runs it, there and back.
"""

from __future__ import annotations

from cutover.actions.confirm import Confirm
from cutover.actions.flip_stack import UPDATES, Expected, Flip, FlipStack
from cutover.actions.person import Person
from cutover.actions.soak import Soak
from cutover.conditions.preflight import NoPlaceholders, StackAnswers
from cutover.plan import Document, Keep, Plan, Stage, Step, Undo
from cutover.plans.parts import Parts, settings_hash
from stacks.settings import Environment

OPERATOR, SUPPORT = "Operator", "Customer support"

DOCUMENT = Document(
    title="The shop moves",
    lines={
        "tell": "Tell the customers",
        "switch": "Point the domain at the new ingress",
        "back": "If it does not work, point it back",
    },
)


def one_domain(environment: Environment) -> Plan:
    """Moves the first domain of the settings."""
    parts = Parts(environment)
    limits, checks = environment.cutover, environment.cutover.health_checks
    name = environment.domains[0].name
    seconds = parts.flip_seconds + parts.limits.dns + environment.domains[0].ttl.original
    prepare = Stage(
        id="prepare",
        title="Nothing that users could notice",
        steps=(
            Step(
                id="preflight",
                title="Check what must be right",
                owner=OPERATOR,
                affects_service=False,
                reason="finds what is missing before anything is begun",
                action=Confirm(
                    (NoPlaceholders(), StackAnswers("edge"), *parts.serves("source", domains=(name,)))
                ),
                way_back=Keep("it changes nothing"),
                timeout_seconds=300,
            ),
            Step(
                id="tell-customers",
                title="Tell the customers, and say so",
                owner=SUPPORT,
                affects_service=False,
                fulfils=("tell",),
                action=Person(
                    instructions=f"Publish the notice that {name} moves tonight, then approve.",
                    take_back="tell the customers that it did not",
                ),
                way_back=Undo(timeout_seconds=60),
                timeout_seconds=parts.limits.person,
            ),
        ),
    )
    switch = Stage(
        id="switch",
        title=f"{name} is served by the target",
        steps=(
            Step(
                id="switch-domain",
                title=f"Point {name} at the target",
                owner=OPERATOR,
                affects_service=True,
                fulfils=("switch", "back"),
                action=FlipStack(
                    stack="edge",
                    flips=(Flip(key="records", item=name, forward="target", back="source"),),
                    expected=(Expected(type="DnsRecord", name=name, operations=UPDATES, back=UPDATES),),
                ),
                gates=parts.serves("target", domains=(name,)),
                checks=parts.settled("target", domains=(name,)),
                beside=parts.follow_keys,
                way_back=Undo(
                    gates=parts.serves("source", domains=(name,)),
                    checks=parts.settled("source", domains=(name,)),
                    timeout_seconds=seconds,
                ),
                timeout_seconds=seconds,
            ),
            Step(
                id="soak",
                title=f"Watch {name}, and go back by itself if it does not hold",
                owner=OPERATOR,
                affects_service=False,
                reason="a fault shows under real traffic, while the way back is a minute",
                action=Soak(
                    domains=(name,),
                    seconds=limits.soak_seconds,
                    interval_seconds=checks.interval_ms / 1000,
                    answer_seconds=checks.timeout_ms / 1000,
                    max_error_rate=limits.max_error_rate,
                    max_p99_ms=limits.max_p99_ms,
                ),
                beside=parts.follow_keys,
                way_back=Keep("it changes nothing"),
                timeout_seconds=limits.soak_seconds + 60,
            ),
        ),
    )
    return Plan(
        id="one-domain",
        title=f"{name} moves",
        environment=environment.name,
        settings_hash=settings_hash(environment),
        owners=(OPERATOR, SUPPORT),
        document=DOCUMENT,
        stages=(prepare, switch),
    )
