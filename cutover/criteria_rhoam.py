"""What the plan `rhoam` is judged by: its document's verification, from the evidence of its steps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cutover.history import History, Status
from cutover.plan import Plan
from cutover.report_model import Criterion, Traffic, WindowReport


def rhoam_criteria(
    plan: Plan, history: History, outcome: str, traffic: Traffic | None, window: WindowReport | None
) -> Iterator[Criterion]:
    """Each judged from evidence; None where this run cannot judge it."""
    back = "rolled back: the source serves as before" if outcome == "rolled back" else ""
    yield _same_content(history, back)
    yield _tenants(history, back)
    yield _nothing_lost(history, traffic)
    yield _versions(plan, history, back)
    yield _verified(history, back)
    yield _in_time(window)


def _done(history: History, *steps: str) -> bool:
    return all(history.step(name).status == Status.DONE for name in steps)


def _same_content(history: History, back: str) -> Criterion:
    compared = [
        name for name in ("compare-databases", "compare-redis", "confirm-tenants") if _done(history, name)
    ]
    found = _held(history, "confirm-tenants", "equal")
    counts = [
        f"{tenant}: {', '.join(f'{number} {kind}' for kind, number in kinds.items())}"
        for tenant, kinds in found.items()
    ]
    holds = _done(history, "confirm-tenants", "compare-redis")
    return Criterion(
        id="content-moved",
        title="Accounts, applications, plans, keys and usage counters are those of the source",
        holds=None if back else holds,
        evidence=back
        or (
            f"compared by {', '.join(compared)}; {'; '.join(counts)}"
            if holds
            else _open(history, "confirm-tenants")
        ),
    )


def _tenants(history: History, back: str) -> Criterion:
    found: dict[str, Any] = history.step("confirm-tenants").evidence.get("tenants", {})
    holds = _done(history, "confirm-tenants", "await-rhoam")
    hosts = ", ".join(f"{name} on {item['host']}" for name, item in found.items())
    return Criterion(
        id="tenants-answer",
        title="Every tenant answers on its new routes, before and after RHOAM has finished",
        holds=None if back else holds,
        evidence=back or (hosts if holds else _open(history, "confirm-tenants", "await-rhoam")),
    )


def _nothing_lost(history: History, traffic: Traffic | None) -> Criterion:
    lost = history.step("clear-queue").evidence.get("lost")
    by = history.step("clear-queue").evidence.get("approved_by", "")
    jobs = (
        "the job queues were not looked at"
        if lost is None
        else "the job queues were empty"
        if not lost
        else f"{lost} queued jobs are lost, accepted by {by}"
    )
    if traffic is None:
        return Criterion(
            id="nothing-lost",
            title="No acknowledged write from before the stop is missing",
            holds=None,
            evidence=f"not judged: no traffic was measured; {jobs}",
        )
    return Criterion(
        id="nothing-lost",
        title="No acknowledged write from before the stop is missing",
        holds=traffic.writes_lost == 0 and traffic.writes_duplicated == 0,
        evidence=f"{traffic.writes_acknowledged} writes acknowledged, {traffic.writes_lost} lost, "
        f"{traffic.writes_duplicated} twice; {jobs}",
    )


def _versions(plan: Plan, history: History, back: str) -> Criterion:
    updates = [step.id for step in plan.steps if step.id.startswith("update-to-")]
    holds = _done(history, *updates, "remember-destination")
    reached = ", ".join(str(history.step(name).evidence.get("version", "")) for name in updates)
    return Criterion(
        id="versions-match",
        title="3scale was brought to RHOAM's version, one version after the other",
        holds=None if back else holds,
        evidence=back or (reached or "it was of that version already" if holds else _open(history, *updates)),
    )


def _verified(history: History, back: str) -> Criterion:
    steps = [name for name in ("publish-sso", "verify") if name in history.steps]
    holds = bool(steps) and _done(history, *steps)
    said = [
        f"{name}: {history.step(name).evidence.get('approved_by', '')}: "
        f"{history.step(name).evidence.get('note', '')}"
        for name in steps
        if _done(history, name)
    ]
    return Criterion(
        id="customer-verified",
        title="The customer has tried single sign-on and performed the verification steps",
        holds=None if back else holds,
        evidence=back or ("; ".join(said) if holds else _open(history, *(steps or ["verify"]))),
    )


def _in_time(window: WindowReport | None) -> Criterion:
    title = "Service was stopped for no longer than was agreed"
    if window is None:
        return Criterion(id="window-kept", title=title, holds=None, evidence="service was not stopped")
    lasts = "" if window.ended else ", and lasts"
    return Criterion(
        id="window-kept",
        title=title,
        holds=window.seconds <= window.agreed_seconds if window.ended else None,
        evidence=f"{window.seconds:g} s{lasts}; {window.agreed_seconds:g} s were agreed",
    )


def _held(history: History, step: str, name: str) -> dict[str, Any]:
    """What a check of a step has found."""
    for found in history.step(step).evidence.get("held", {}).values():
        if isinstance(found, dict) and isinstance(found.get(name), dict):
            return dict(found[name])
    return {}


def _open(history: History, *steps: str) -> str:
    left = [f"{name}: {history.step(name).error or history.step(name).status}" for name in steps]
    return "; ".join(left) or "not all steps were run"
