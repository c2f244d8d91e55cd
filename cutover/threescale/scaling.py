"""Scaling 3scale down and up in the right order, and pausing the operators that would scale it back."""

from __future__ import annotations

from dataclasses import dataclass

from cutover.actions.base import NO_CHANGE, Action, Condition, Evidence, Look, Observation
from cutover.context import Context
from cutover.errors import StepError
from cutover.threescale.controllers import Named, find
from cutover.threescale.site import APPS, Site

_STAYS_SECONDS = 3.0
"""How long a workload that was scaled is watched for somebody who scales it back."""


def replicas_fact(site: Site) -> str:
    """The fact: replicas of a 3scale's Deployments, as they were."""
    return f"replicas-{site.cluster}"


def operator_fact(cluster: str, workload: Named) -> str:
    """The fact: replicas of an operator, as they were."""
    return f"operator-{cluster}-{workload.key}"


@dataclass(frozen=True, kw_only=True)
class RememberReplicas(Look):
    """Writes into the journal how many pods each Deployment of a 3scale has."""

    site: Site

    @property
    def gives(self) -> tuple[str, ...]:
        """See Action."""
        return (replicas_fact(self.site),)

    def describe(self) -> str:
        """See Action."""
        return f"remember the replicas of {', '.join(self.site.components)} of {self.site.title}"

    def apply(self, context: Context) -> Evidence:
        """What was remembered of a workload that is at 0 by now stays. Raises StepError."""
        cluster = self.site.on(context)
        found = {
            name: find(cluster, self.site.component(name)).state().wanted for name in self.site.components
        }
        before: dict[str, int] = context.facts.values.get(replicas_fact(self.site), {})
        counts = {name: count or before.get(name, 0) for name, count in found.items()}
        if not any(counts.values()):
            raise StepError(
                f"every Deployment of {self.site.title} is at 0 replicas, so that nobody knows how many it "
                "has while it serves: scale it up, see that it serves, and go on"
            )
        context.facts.remember(replicas_fact(self.site), counts)
        return {"replicas": counts}


@dataclass(frozen=True, kw_only=True)
class PauseOperator(Action):
    """Scales an operator to 0, so that it leaves what it manages as it is."""

    cluster: str
    workload: Named
    seconds: float
    """How long its pods may take to end, and to be ready again."""
    once_there: Site | None = None
    """Wait until this 3scale's APIManager is there, which the operator makes."""
    once_there_seconds: float = 0

    @property
    def gives(self) -> tuple[str, ...]:
        """See Action."""
        return (operator_fact(self.cluster, self.workload),)

    def describe(self) -> str:
        """See Action."""
        when = (
            f"as soon as the APIManager {self.once_there.namespace}/{self.once_there.api_manager} is there, "
            if self.once_there
            else ""
        )
        return f"{when}scale the operator {self.workload.key} on {self.cluster} to 0"

    def preview(self, context: Context) -> tuple[str, ...]:
        """See Action."""
        wanted = find(context.cluster(self.cluster), self.workload).state().wanted
        return (f"{self.workload.key}: {wanted} -> 0 replicas",) if wanted else NO_CHANGE

    def observe(self, context: Context) -> Observation:
        """See Action."""
        state = find(context.cluster(self.cluster), self.workload).state()
        known = operator_fact(self.cluster, self.workload) in context.facts.values
        done = known and state.wanted == 0 and state.settled
        return Observation("done" if done else "not done", str(state))

    def apply(self, context: Context) -> Evidence:
        """Raises StepError."""
        cluster = context.cluster(self.cluster)
        if (site := self.once_there) is not None:
            context.wait_for(
                f"the APIManager {site.namespace}/{site.api_manager} on {self.cluster}",
                self.once_there_seconds,
                lambda: (
                    cluster.get(APPS, "apimanagers", site.namespace, site.api_manager) is not None,
                    "not there yet",
                ),
            )
        fact = operator_fact(self.cluster, self.workload)
        operator = find(cluster, self.workload)
        before = operator.state().wanted or int(context.facts.values.get(fact, 1))
        context.facts.remember(fact, before)
        operator.scale(0)
        operator.await_settled(context, 0, self.seconds)
        return {"operator": self.workload.key, "replicas_before": before}

    def undo(self, context: Context) -> Evidence:
        """Raises StepError."""
        return _resume(context, self.cluster, self.workload, self.seconds)


@dataclass(frozen=True, kw_only=True)
class ResumeOperator(Action):
    """Scales an operator that was paused up again."""

    cluster: str
    workload: Named
    seconds: float

    @property
    def needs(self) -> tuple[str, ...]:
        """See Action."""
        return (operator_fact(self.cluster, self.workload),)

    def describe(self) -> str:
        """See Action."""
        return f"scale the operator {self.workload.key} on {self.cluster} up again"

    def preview(self, context: Context) -> tuple[str, ...]:
        """See Action."""
        wanted = find(context.cluster(self.cluster), self.workload).state().wanted
        return NO_CHANGE if wanted else (f"{self.workload.key}: 0 -> as many replicas as it had",)

    def observe(self, context: Context) -> Observation:
        """See Action."""
        state = find(context.cluster(self.cluster), self.workload).state()
        return Observation("done" if state.wanted and state.settled else "not done", str(state))

    def apply(self, context: Context) -> Evidence:
        """Raises StepError."""
        return _resume(context, self.cluster, self.workload, self.seconds)

    def undo(self, context: Context) -> Evidence:
        """Raises StepError."""
        operator = find(context.cluster(self.cluster), self.workload)
        operator.scale(0)
        operator.await_settled(context, 0, self.seconds)
        return {"operator": self.workload.key, "replicas": 0}


def _resume(context: Context, name: str, workload: Named, seconds: float) -> Evidence:
    operator = find(context.cluster(name), workload)
    wanted = int(context.facts.values.get(operator_fact(name, workload), 1))
    operator.scale(wanted)
    operator.await_settled(context, wanted, seconds)
    return {"operator": workload.key, "replicas": wanted}


@dataclass(frozen=True, kw_only=True)
class ScaleDown(Action):
    """Scales Deployments of a 3scale to 0, what takes requests first; its operator is paused already."""

    site: Site
    components: tuple[str, ...]
    seconds: float
    """How long a Deployment's pods may take to end, and to be ready again."""

    @property
    def needs(self) -> tuple[str, ...]:
        """See Action."""
        return (replicas_fact(self.site), operator_fact(self.site.cluster, self.site.operator))

    def describe(self) -> str:
        """See Action."""
        return f"scale {', '.join(self._order)} of {self.site.title} to 0, one after the other"

    @property
    def _order(self) -> tuple[str, ...]:
        """The reverse of the order in which they are started."""
        return tuple(name for name in reversed(self.site.components) if name in self.components)

    def preview(self, context: Context) -> tuple[str, ...]:
        """See Action."""
        cluster = self.site.on(context)
        counts = {name: find(cluster, self.site.component(name)).state().wanted for name in self._order}
        return tuple(f"{name}: {count} -> 0 replicas" for name, count in counts.items() if count) or NO_CHANGE

    def observe(self, context: Context) -> Observation:
        """See Action."""
        cluster = self.site.on(context)
        left = [
            f"{name}: {state}"
            for name in self._order
            if (state := find(cluster, self.site.component(name)).state()).wanted or not state.settled
        ]
        return Observation("not done" if left else "done", "; ".join(left) or "all are at 0")

    def apply(self, context: Context) -> Evidence:
        """Raises StepError."""
        down(context, self.site, self._order, self.seconds)
        return {"scaled_down": list(self._order)}

    def undo(self, context: Context) -> Evidence:
        """Raises StepError."""
        return {"replicas": up(context, self.site, self._order[::-1], self.seconds)}


@dataclass(frozen=True, kw_only=True)
class ScaleUp(Action):
    """Scales Deployments of a 3scale to the replicas that were remembered, what others need first."""

    site: Site
    components: tuple[str, ...]
    seconds: float

    @property
    def needs(self) -> tuple[str, ...]:
        """See Action."""
        return (replicas_fact(self.site),)

    def describe(self) -> str:
        """See Action."""
        return f"scale {', '.join(self.components)} of {self.site.title} up, one after the other"

    def preview(self, context: Context) -> tuple[str, ...]:
        """See Action."""
        cluster = self.site.on(context)
        counts = {name: find(cluster, self.site.component(name)).state().wanted for name in self.components}
        return tuple(f"{name}: 0 -> as it was" for name, count in counts.items() if count == 0) or NO_CHANGE

    def observe(self, context: Context) -> Observation:
        """See Action."""
        cluster = self.site.on(context)
        wanted: dict[str, int] = context.facts.recall(replicas_fact(self.site))
        left = [
            f"{name}: {state}"
            for name in self.components
            if (state := find(cluster, self.site.component(name)).state()).wanted < wanted.get(name, 0)
            or not state.settled
        ]
        return Observation("not done" if left else "done", "; ".join(left) or "all are ready")

    def apply(self, context: Context) -> Evidence:
        """Raises StepError."""
        return {"replicas": up(context, self.site, self.components, self.seconds)}

    def undo(self, context: Context) -> Evidence:
        """Raises StepError."""
        order = self.components[::-1]
        down(context, self.site, order, self.seconds)
        return {"scaled_down": list(order)}


def down(context: Context, site: Site, order: tuple[str, ...], seconds: float) -> None:
    """Scales to 0, each once those before it have ended. Raises StepError."""
    cluster = site.on(context)
    state = find(cluster, site.operator).state()
    if state.wanted or state.total:
        raise StepError(
            f"the operator {site.operator.key} of {site.title} runs ({state}), and would scale 3scale back: "
            f"`oc scale deployment {site.operator.name} -n {site.operator_namespace} --replicas=0`, and go on"
        )
    for name in order:
        context.say(f"{site.title}: {name} to 0 replicas")
        part = find(cluster, site.component(name))
        part.scale(0)
        part.await_settled(context, 0, seconds)
    _watch(context, site, dict.fromkeys(order, 0))


def up(context: Context, site: Site, order: tuple[str, ...], seconds: float) -> dict[str, int]:
    """Scales to what was remembered, each once those before it are ready. Raises StepError."""
    cluster = site.on(context)
    counts: dict[str, int] = context.facts.recall(replicas_fact(site))
    for name in order:
        wanted = counts.get(name, 0)
        context.say(f"{site.title}: {name} to {wanted} replicas")
        part = find(cluster, site.component(name))
        part.scale(wanted)
        part.await_settled(context, wanted, seconds)
    return {name: counts.get(name, 0) for name in order}


def _watch(context: Context, site: Site, wanted: dict[str, int]) -> None:
    """Sees that nobody scales back what was scaled. Raises StepError."""
    cluster = site.on(context)
    until = context.clock.monotonic() + _STAYS_SECONDS
    while True:
        for name, count in wanted.items():
            seen = find(cluster, site.component(name)).state().wanted
            if seen != count:
                raise StepError(
                    f"{site.component(name).key} on {cluster.context} was scaled to {count} and is at {seen} "
                    "again: an operator reverts it. Find out which (`oc get pods -A | grep operator`), "
                    "pause it, and go on: nothing else was changed"
                )
        if context.clock.monotonic() >= until:
            return
        context.pause()


@dataclass(frozen=True, kw_only=True)
class ScaledDown(Condition):
    """Nothing of a 3scale runs."""

    site: Site
    components: tuple[str, ...]

    def describe(self) -> str:
        """See Condition."""
        return f"{', '.join(self.components)} of {self.site.title} have no pods"

    def hold(self, context: Context) -> Evidence:
        """See Condition."""
        cluster = self.site.on(context)
        states = {name: find(cluster, self.site.component(name)).state() for name in self.components}
        if running := [f"{name} ({state})" for name, state in states.items() if state.wanted or state.total]:
            raise StepError(
                f"{self.site.title} runs again: {', '.join(running)}. Somebody has scaled it up since; what "
                "it wrote is in no dump. Take back the stage and begin it anew: `cutover rollback --to` the "
                "stage before, then `cutover run`"
            )
        return {"at_0": list(self.components)}
