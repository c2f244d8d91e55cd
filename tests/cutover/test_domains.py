"""Users are sent to the target: domain by domain, with their sessions, and the callers that are known."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from cutover.actions.copy_keys import CopyKeys, FollowKeys, KeysDisposable
from cutover.actions.redirect_callers import CALLS, RedirectCallers
from cutover.errors import StepError
from cutover.history import FORWARD, OPERATOR, Heading
from cutover.plan import Plan
from cutover.plans import build_plan
from cutover.ports import Change, KeyChanges
from stacks.settings import Environment
from tests.cutover.driver import BACKWARDS, drive
from tests.cutover.world import BOSS, DOMAIN, SOURCE_ADDRESS, TARGET_ADDRESS, World

OTHER = "corestone.truewatch.com"
TO_CONNECT = Heading(FORWARD, "connect", OPERATOR)
TO_SWITCH = Heading(FORWARD, "switch", OPERATOR)


def edge(world: World) -> list[str]:
    """What was done to DNS."""
    return [event for event in world.events if event.startswith("up prod-edge records")]


def automata(world: World) -> dict[str, str]:
    """The annotations of Automata's pods."""
    found = world.others["automata"].store.get("deployments", "automata", "automata")
    assert found is not None
    annotations: dict[str, str] = found["spec"]["template"]["metadata"].get("annotations", {})
    return annotations


def redirecting(plan: Plan) -> RedirectCallers:
    action = plan.step("redirect-callers-automata").action
    assert isinstance(action, RedirectCallers)
    return action


def test_domains_are_switched_one_after_another_each_watched_before_the_next(plan: Plan) -> None:
    assert [step.id for step in plan.stage("switch").steps] == [
        f"switch-{DOMAIN}",
        f"soak-{DOMAIN}",
        f"switch-{OTHER}",
        f"soak-{OTHER}",
        "redirect-callers-automata",
    ]


def test_a_target_that_fails_while_the_second_domain_soaks_undoes_both(
    world: World, plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered = world.ask

    def ask(domain: str, *rest: Any) -> Any:
        world.broken_target = domain == OTHER
        return answered(domain, *rest)

    monkeypatch.setattr(world, "ask", ask)

    result = drive(world, plan, tmp_path / "journal", TO_SWITCH)

    assert (result.outcome, result.breached) == ("halted", True)
    assert f"soak-{OTHER}" in result.reason
    assert "stage switch is undone" in result.reason
    assert world.records == {DOMAIN: SOURCE_ADDRESS, OTHER: SOURCE_ADDRESS}
    assert edge(world) == [
        f"up prod-edge records[{DOMAIN}]=target",
        f"up prod-edge records[{OTHER}]=target",
        f"up prod-edge records[{OTHER}]=source",
        f"up prod-edge records[{DOMAIN}]=source",
    ]
    assert CALLS not in automata(world), "the callers were not sent anywhere yet"


@pytest.mark.parametrize("trouble", ["429: rate limited", "500: internal error"])
def test_a_refusal_of_cloudflare_halts_and_the_next_run_goes_on(
    world: World, plan: Plan, tmp_path: Path, trouble: str
) -> None:
    drive(world, plan, tmp_path / "journal", TO_CONNECT)
    world.stacks.fails = [StepError(f"prod-edge: `up` failed: {trouble}")]

    halted = drive(world, plan, tmp_path / "journal", TO_SWITCH)

    assert (halted.outcome, halted.step) == ("halted", f"switch-{DOMAIN}")
    assert trouble in halted.reason
    assert world.record == SOURCE_ADDRESS
    assert drive(world, plan, tmp_path / "journal", TO_SWITCH).outcome == "reached switch"
    assert world.record == TARGET_ADDRESS


def test_a_refusal_of_cloudflare_can_be_rolled_back_too(world: World, plan: Plan, tmp_path: Path) -> None:
    drive(world, plan, tmp_path / "journal", TO_CONNECT)
    world.stacks.fails = [StepError("prod-edge: `up` failed: 429: rate limited")]
    drive(world, plan, tmp_path / "journal", TO_SWITCH)

    assert drive(world, plan, tmp_path / "journal", BACKWARDS).outcome == "rolled back"
    assert world.stacks.files == world.stacks.states
    assert world.record == SOURCE_ADDRESS


def test_a_record_that_somebody_else_changed_is_left_alone(world: World, plan: Plan, tmp_path: Path) -> None:
    drive(world, plan, tmp_path / "journal", TO_CONNECT)
    world.stacks.drifted = [Change("update", "cloudflare:index/dnsRecord:DnsRecord", DOMAIN, ("content",))]

    halted = drive(world, plan, tmp_path / "journal", TO_SWITCH)

    assert (halted.outcome, halted.step) == ("halted", f"switch-{DOMAIN}")
    assert f"update DnsRecord {DOMAIN} (content)" in halted.reason
    assert "`pulumi refresh --stack prod-edge` accepts it, `pulumi up` puts it back" in halted.reason
    assert edge(world) == []


def test_an_expired_certificate_stops_at_once_before_anybody_is_sent_there(
    world: World, plan: Plan, tmp_path: Path
) -> None:
    drive(world, plan, tmp_path / "journal", TO_CONNECT)
    begun = world.clock.seconds
    world.certificate_problem = "certificate has expired"

    halted = drive(world, plan, tmp_path / "journal", TO_SWITCH)

    assert (halted.outcome, halted.step) == ("halted", f"switch-{DOMAIN}")
    assert f"the certificate of {DOMAIN} has expired" in halted.reason
    assert world.clock.seconds == begun
    assert edge(world) == []


# sessions


def test_a_session_made_on_the_source_is_known_on_the_target(
    world: World, plan: Plan, tmp_path: Path
) -> None:
    world.keys["source"].put(b"session:before", b"ada", 60_000)
    world.keys["source"].put(b"boss:usage", b"un-committed")

    drive(world, plan, tmp_path / "journal", TO_CONNECT)

    assert world.keys["target"].names() == [b"session:before"]


def test_a_session_that_begins_while_users_move_follows_them(
    world: World, plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = world.change

    def change(stack: str, flips: Any) -> None:
        changed(stack, flips)
        if stack == "prod-edge" and world.record == TARGET_ADDRESS:
            world.keys["source"].put(b"session:late", b"ada", 60_000)
            world.keys["source"].happened.append(KeyChanges((b"session:late",)))

    monkeypatch.setattr(world, "change", change)

    assert drive(world, plan, tmp_path / "journal", TO_SWITCH).outcome == "reached switch"
    assert world.keys["target"].value(b"session:late") == b"ada"
    assert world.keys["source"].watched == 1, "followed by one connection over all the stage"


def test_a_session_made_on_the_target_is_known_on_the_source_after_the_way_back(
    world: World, plan: Plan, tmp_path: Path
) -> None:
    drive(world, plan, tmp_path / "journal", TO_SWITCH)
    world.keys["target"].put(b"session:new", b"bob", 60_000)
    world.keys["target"].put(b"boss:usage", b"drained before its pods end")

    assert drive(world, plan, tmp_path / "journal", BACKWARDS).outcome == "rolled back"
    assert world.keys["source"].names() == [b"session:new"]


def test_a_redis_that_does_not_answer_keeps_nobody_from_leaving_the_target(
    world: World, plan: Plan, tmp_path: Path
) -> None:
    drive(world, plan, tmp_path / "journal", TO_SWITCH)
    world.keys["target"].trouble = "Redis on aws does not answer"

    assert drive(world, plan, tmp_path / "journal", BACKWARDS).outcome == "rolled back"
    assert world.record == SOURCE_ADDRESS


def test_a_redis_that_does_not_answer_keeps_users_from_being_sent_to_the_target(
    world: World, plan: Plan, tmp_path: Path
) -> None:
    drive(world, plan, tmp_path / "journal", TO_CONNECT)
    world.keys["target"].trouble = "Redis on aws does not answer"

    halted = drive(world, plan, tmp_path / "journal", TO_SWITCH)

    assert (halted.outcome, halted.step) == ("halted", f"switch-{DOMAIN}")
    assert "Redis on aws does not answer" in halted.reason
    assert edge(world) == []


def test_keys_that_do_not_arrive_stop_before_anything_serves(
    world: World, plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.keys["source"].put(b"session:a", b"ada")
    monkeypatch.setattr(world.keys["target"], "write", lambda *_, **_named: 0)

    halted = drive(world, plan, tmp_path / "journal", TO_CONNECT)

    assert (halted.outcome, halted.step) == ("halted", "copy-keys")
    assert "1 keys of the source's Redis do not arrive" in halted.reason
    assert "session:a" not in halted.reason, "a key may be a token"


def test_users_who_sign_in_all_the_time_do_not_keep_the_copy_from_its_end(
    world: World, plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = world.keys["source"]
    names = source.names

    def someone_signs_in() -> Sequence[bytes]:
        source.put(b"session:%d" % len(source.values), b"ada")
        return names()

    monkeypatch.setattr(source, "names", someone_signs_in)

    result = drive(world, plan, tmp_path / "journal", TO_CONNECT)

    assert result.outcome == "reached connect", result


def test_a_plan_copies_keys_or_puts_on_record_who_says_they_may_be_lost(
    plan: Plan, settings: dict[str, Any]
) -> None:
    assert isinstance(plan.step("copy-keys").action, CopyKeys)
    assert plan.step("forward-stragglers").beside == FollowKeys(("boss:usage", "boss:usage:processing:*"))

    settings["redis_copy"] |= {"disposition": "disposable", "by": "Ada of BOSS"}
    other = build_plan("boss-corestone", Environment.model_validate(settings))

    assert other.step("keys-disposable").action == KeysDisposable(
        host="redis-basis.middleware", by="Ada of BOSS"
    )
    assert all(step.beside is None for step in other.steps)


# callers


def test_automata_is_told_of_the_domain_restarted_and_back_again(
    world: World, plan: Plan, tmp_path: Path
) -> None:
    before = automata(world)

    drive(world, plan, tmp_path / "journal", TO_SWITCH)
    assert automata(world) == {CALLS: "target"}
    assert world.events[-2].startswith("up prod-automata callers[automata/automata]=target")

    drive(world, plan, tmp_path / "journal", BACKWARDS)
    assert automata(world) == before


def test_a_caller_whose_entry_was_flipped_and_that_was_not_restarted_is_not_done(
    world: World, plan: Plan
) -> None:
    action = redirecting(plan)
    context = world.context()
    action.flip.apply(context)

    assert action.observe(context).detail == "not restarted yet: automata/automata"
    assert "restart Deployment automata/automata" in action.preview(context)

    action.apply(context)
    assert action.observe(context).state == "done"
    assert action.apply(context)["restarted"] == [], "and it is not restarted twice"


def test_a_caller_that_is_not_there_is_named(world: World, plan: Plan) -> None:
    world.others["automata"].store.objects.clear()

    with pytest.raises(StepError, match="cluster automata has no Deployment automata/automata"):
        redirecting(plan).apply(world.context())


def test_the_source_still_serves_while_callers_are_told(world: World, plan: Plan, tmp_path: Path) -> None:
    drive(world, plan, tmp_path / "journal", TO_SWITCH)

    assert world.source.replicas[BOSS] == 2
