"""Phase 2, the stages `validate` and `decommission`: a last look, and the source is given up."""

from __future__ import annotations

from collections.abc import Iterator

from cutover.actions.agree import Agree
from cutover.actions.confirm import Confirm
from cutover.actions.database import EndReverse, SourceQuiet
from cutover.actions.person import Person
from cutover.conditions.in_cluster import AnswersInCluster
from cutover.plan import Keep, NoReturn, Stage, Step
from cutover.plans.parts import CHANGES_NOTHING, HUAWEI, MARGIN_SECONDS, OPERATOR, PHASE_2, Parts
from stacks.settings import HttpInCluster

_AGREED = Keep("somebody's word changes nothing by itself")
_KEPT = Keep("a snapshot that is kept does no harm")


def validate(parts: Parts) -> Stage:
    """The stage; it changes nothing."""
    return Stage(
        id="validate",
        title="Whoever depends on the services is served from the target's database",
        phase=PHASE_2,
        steps=tuple(_validated(parts)),
    )


def _validated(parts: Parts) -> Iterator[Step]:
    checks = [check for check in parts.environment.verifications if isinstance(check, HttpInCluster)]
    checks += [check for caller in parts.environment.callers if (check := caller.verification) is not None]
    yield Step(
        id="validate-services",
        title="See that every service and every integration works",
        owner=OPERATOR,
        affects_service=False,
        fulfils=("2.3.services",),
        action=Confirm(
            (
                *parts.ready("target", parts.serving),
                *parts.serves("target"),
                *(AnswersInCluster(check=check, probe_seconds=parts.limits.probe) for check in checks),
            )
        ),
        way_back=CHANGES_NOTHING,
        timeout_seconds=sum(check.timeout_seconds for check in checks)
        + parts.limits.pods_ready
        + MARGIN_SECONDS,
    )


def decommission(parts: Parts) -> Stage:
    """The stage; from `end-way-back` on there is no return."""
    quiet = parts.environment.cutover.source_quiet_seconds
    shutdown = "The Huawei RDS is to be given up"
    return Stage(
        id="decommission",
        title="The source's database is given up",
        phase=PHASE_2,
        steps=(
            Step(
                id="source-quiet",
                title="See that nobody uses the source's database any more",
                owner=OPERATOR,
                affects_service=False,
                reason="whoever still uses it would write where nobody looks",
                action=SourceQuiet(seconds=quiet),
                way_back=CHANGES_NOTHING,
                timeout_seconds=quiet + MARGIN_SECONDS,
            ),
            Step(
                id="keep-snapshot",
                title="Take a last snapshot of the source's database, and keep it",
                owner=HUAWEI,
                affects_service=False,
                reason="whatever was overlooked can still be found there",
                action=Person(
                    instructions="Take a manual backup of the RDS at {database_eip} and keep it beyond the "
                    "instance; note its name. Leave the instance running."
                ),
                way_back=_KEPT,
                timeout_seconds=parts.limits.person,
            ),
            Step(
                id="agree",
                title="Agree that there is no way back from here on",
                owner=OPERATOR,
                affects_service=False,
                reason="what cannot be taken back is agreed to by two people",
                action=Agree(
                    instructions=f"{shutdown}: the reverse replication ends, and writes since then cannot "
                    "be taken back to it. Agree if the services, their data and their speed are as they "
                    "should be."
                ),
                way_back=_AGREED,
                timeout_seconds=parts.limits.person,
            ),
            Step(
                id="agree-again",
                title="A second person agrees",
                owner=HUAWEI,
                affects_service=False,
                reason="what cannot be taken back is agreed to by two people",
                action=Agree(
                    instructions=f"{shutdown}: agree if its last backup is there and is kept.",
                    besides=("agree",),
                ),
                way_back=_AGREED,
                timeout_seconds=parts.limits.person,
            ),
            Step(
                id="end-way-back",
                title="End the reverse replication",
                owner=OPERATOR,
                affects_service=False,
                reason="the source must not be shut down while something writes to it",
                action=EndReverse(),
                way_back=NoReturn("the source's database is behind from here on"),
                timeout_seconds=MARGIN_SECONDS * 3,
            ),
            Step(
                id="shut-down-source",
                title="Shut the source's database down",
                owner=HUAWEI,
                affects_service=False,
                fulfils=("2.2.decommission",),
                action=Person(
                    instructions="Shut down the RDS at {database_eip}, and unbind its EIP. Its backup stays."
                ),
                way_back=Keep("behind the point of no return"),
                timeout_seconds=parts.limits.person,
            ),
        ),
    )
