"""The page in a real browser. Pictures of it are kept in out/pictures."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ViewportSize, expect
from playwright.sync_api import Page as Tab

from cutover.plan import Plan
from cutover.session import Session
from tests.watch.stage import Puppet, make_plan, served

MARKUP = '<img src=x onerror="document.title=1"><b>bold</b>'
ASKED = f"open the port, then say so {MARKUP}"
PHONE, DESK = ViewportSize(width=390, height=844), ViewportSize(width=1280, height=900)


@contextmanager
def opened(browser: Browser, link: str, **options: Any) -> Iterator[Tab]:
    """A tab that must see no error and ask nobody else for anything."""
    with browser.new_context(viewport=options.pop("viewport", DESK), **options) as context:
        tab = context.new_page()
        tab.set_default_timeout(20_000)
        problems: list[str] = []
        asked: set[str] = set()
        tab.on("pageerror", lambda error: problems.append(str(error)))
        tab.on("console", lambda said: problems.append(said.text) if "Policy" in said.text else None)
        tab.on("request", lambda request: asked.add(request.url.split("/")[2]))
        tab.goto(link)
        expect(tab.locator("#connection")).to_have_text("live")
        yield tab
        assert (problems, len(asked)) == ([], 1)


def serious(tab: Tab) -> list[str]:
    """What axe finds that keeps people from using the page."""
    found = Axe().run(tab).response["violations"]
    return [
        f"{item['id']}: {item['nodes'][0]['html']}"
        for item in found
        if item["impact"] in ("serious", "critical")
    ]


@pytest.fixture
def plan() -> Plan:
    return make_plan()


def test_it_follows_a_run_live_and_who_comes_late_sees_the_same(
    browser: Browser, session: Session, plan: Plan, pictures: Path
) -> None:
    with served(session, plan) as page, opened(browser, page.link) as tab:
        assert page.token not in tab.url
        expect(tab.locator("#condition")).to_have_text("Not begun")
        puppet = Puppet(session)
        puppet.open(plan)
        puppet.do("s1-1", "s1-2")
        puppet.begin("s1-3")
        expect(tab.locator("#condition")).to_have_text("Under way")
        expect(tab.locator("#now")).to_contain_text("step s1-3")
        expect(tab.locator("#next li").first).to_contain_text("step s2-1")
        expect(tab.locator("[data-step=s1-2]")).to_have_attribute("data-status", "done")
        expect(tab.locator("[data-step=s1-3]")).to_have_attribute("data-status", "begun")
        expect(tab.locator("#back")).to_contain_text("2 steps would be undone")
        assert serious(tab) == []
        tab.screenshot(path=pictures / "under-way.png", full_page=True)
        with opened(browser, page.link) as late:
            for place in ("#condition", "#list", "#log", "#next", "#back"):
                expect(late.locator(place)).to_have_text(tab.locator(place).inner_text(), use_inner_text=True)
        puppet.end("s1-3")
        puppet.do(*(step.id for step in plan.steps[3:]))
        puppet.finish("succeeded")
        expect(tab.locator("#condition")).to_have_text("Succeeded")
        expect(tab.locator("#count")).to_have_text("9 of 9 steps done.")


def test_a_step_is_approved_with_the_keyboard_alone(
    browser: Browser, session: Session, puppet: Puppet, pictures: Path
) -> None:
    plan = make_plan(title=MARKUP)
    puppet.open(plan)
    puppet.do("s1-1", "s1-2")
    puppet.begin("s1-3")
    puppet.wait_for("s1-3", ASKED)
    with served(session, plan) as page, opened(browser, page.link) as tab:
        expect(tab.locator("#condition")).to_have_text("Waiting for a person")
        expect(tab.locator("#waiting")).to_contain_text("Owner of the database")
        for _ in range(20):
            tab.keyboard.press("Tab")
            if tab.evaluate("document.activeElement.dataset.approve") == "s1-3":
                break
        tab.keyboard.press("Enter")
        expect(tab.locator("#approve-text")).to_have_text(ASKED)
        assert serious(tab) == []
        tab.screenshot(path=pictures / "approve.png")
        for text in ("Ann", "the port is open", "s1-2"):
            tab.keyboard.type(text)
            tab.keyboard.press("Tab")
        tab.keyboard.press("Tab")
        tab.keyboard.press("Enter")
        expect(tab.locator("#approve-form .error")).to_have_text("type s1-3 to approve it")
        assert session.approvals.take("s1-3", ASKED, plan.hash, 0) is None
        tab.locator("#approve-form [name=typed]").fill("s1-3")
        tab.keyboard.press("Enter")
        expect(tab.locator("#approve")).not_to_be_visible()
        given = session.approvals.take("s1-3", ASKED, plan.hash, 0)
        assert given is not None
        assert (given.by, given.note) == ("Ann", "the port is open")
        assert tab.locator("img, b").count() == 0
        assert tab.title() == MARKUP


def test_a_rollback_is_typed_and_then_carried_out(
    browser: Browser, session: Session, plan: Plan, puppet: Puppet, pictures: Path
) -> None:
    puppet.open(plan)
    puppet.do("s1-1", "s1-2", "s1-3", "s2-1")
    program = (sys.executable, "-c", "print('rolling')")
    with served(session, plan, program=program) as page, opened(browser, page.link) as tab:
        tab.get_by_role("button", name="Roll back…").click()
        tab.locator("#rollback-to").select_option("s1")
        expect(tab.locator("#rollback-phrase")).to_have_text("roll back to s1")
        assert serious(tab) == []
        tab.screenshot(path=pictures / "roll-back.png")
        tab.locator("#rollback-form [name=by]").fill("Ann")
        tab.locator("#rollback-form [name=typed]").fill("roll back to the start")
        tab.locator("#rollback-form [type=submit]").click()
        expect(tab.locator("#rollback-form .error")).to_contain_text("type 'roll back to s1'")
        assert puppet.process.poll() is None
        tab.locator("#rollback-form [name=typed]").fill("roll back to s1")
        tab.locator("#rollback-form [type=submit]").click()
        expect(tab.locator("#asked")).to_contain_text("asked for by Ann")
        expect(tab.locator("#asked")).to_contain_text("done")
    assert puppet.process.wait(10) == 7


def test_what_both_sides_answer_is_shown(
    browser: Browser, session: Session, plan: Plan, pictures: Path
) -> None:
    rows = [
        {"domain": f"{side}.example.org", "side": side, "dns": f"192.0.2.1 {MARKUP}",
         "says": "200" if good else "503", "good": good, "p50": 4.2, "p99": 11.0, "failed": 3, "of": 60}
        for side, good in (("source", True), ("target", False))
    ]  # fmt: skip
    history = [[1.8e9 + 2 * n, 220 - n, n % 3, 12.0, n, 0, 9.0, None if n < 20 else 4.0] for n in range(60)]
    side = {"rate": 161.4, "failed": 2, "requests": 1614, "seconds": 10.0, "p50": 4.1, "p99": 12.5}
    lag = {"direction": "forward", "state": "running", "detail": f"receiving {MARKUP}", "seconds": 0.0042}
    measured = {"traffic": {"source": side, "target": {"error": MARKUP}}, "lag": lag, "history": history}
    with served(session, plan) as page:
        page.feed.probed = lambda: {"error": "", "rows": rows, **measured}
        for shape, scheme in ((DESK, "light"), (DESK, "dark"), (PHONE, "light"), (PHONE, "dark")):
            with opened(browser, page.link, viewport=shape, color_scheme=scheme) as tab:
                expect(tab.locator("[data-tone=source]")).to_contain_text("161")
                expect(tab.locator("[data-tone=source]")).to_contain_text("2 of 1614 failed")
                expect(tab.locator("[data-tone=target]")).to_contain_text(MARKUP)
                expect(tab.locator("[data-tone=lag] .figure")).to_have_text("4.2 ms")
                expect(tab.locator("[data-tone=source] polyline")).to_have_count(2)
                expect(tab.locator("#probed tr")).to_have_count(2)
                expect(tab.locator("#probed tr").last).to_contain_text("503")
                expect(tab.locator("#probed tr").first).to_contain_text(MARKUP)
                assert tab.evaluate("document.documentElement.scrollWidth") <= shape["width"]
                assert serious(tab) == []
                tab.screenshot(path=pictures / f"probes-{shape['width']}-{scheme}.png", full_page=True)


def test_going_back_is_shown_step_by_step(
    browser: Browser, session: Session, plan: Plan, puppet: Puppet
) -> None:
    puppet.open(plan)
    puppet.do("s1-1", "s1-2", "s1-3")
    with served(session, plan) as page, opened(browser, page.link) as tab:
        puppet.start("back")
        puppet.begin("s1-3", "back")
        expect(tab.locator("#condition")).to_have_text("Going back")
        expect(tab.locator("#now")).to_contain_text("Undoing: A small plan, step s1-3")
        puppet.end("s1-3", direction="back")
        expect(tab.locator("[data-step=s1-3] .word")).to_have_text("undone")


def test_a_runner_that_died_and_a_connection_that_is_lost(
    browser: Browser, session: Session, plan: Plan, puppet: Puppet, pictures: Path
) -> None:
    puppet.open(plan)
    puppet.do("s1-1")
    puppet.begin("s1-2")
    with served(session, plan) as page:
        port, token, csrf = page.server_port, page.token, page.csrf
        with browser.new_context(viewport=DESK) as context:
            tab = context.new_page()
            tab.goto(page.link)
            expect(tab.locator("#now")).to_contain_text("step s1-2")
            puppet.kill()
            expect(tab.locator("#condition")).to_have_text("The runner has died", timeout=20_000)
            expect(tab.locator("#trouble")).to_contain_text("cutover")
            expect(tab.locator("[data-step=s1-2] .word")).to_have_text("broken off")
            tab.screenshot(path=pictures / "runner-died.png", full_page=True)
            page.shutdown()
            expect(tab.locator("#lost")).to_contain_text(
                "connection to the page's server is lost", timeout=30_000
            )
            tab.screenshot(path=pictures / "connection-lost.png", full_page=True)
            other = Puppet(session)
            other.start()
            other.begin("s1-2")
            with served(session, plan, port=port) as again:
                again.token, again.csrf = token, csrf  # the same page's server, back again
                expect(tab.locator("#lost")).to_be_hidden(timeout=30_000)
                expect(tab.locator("#condition")).to_have_text("Under way")
                expect(tab.locator("#connection")).to_have_text("live")
                other.end("s1-2")
                expect(tab.locator("[data-step=s1-2]")).to_have_attribute("data-status", "done")
            other.kill()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_telephone_shows_all_of_it(  # noqa: PLR0917 - fixtures
    browser: Browser, session: Session, plan: Plan, puppet: Puppet, pictures: Path, scheme: Any
) -> None:
    puppet.open(plan)
    puppet.do("s1-1", "s1-2")
    puppet.begin("s1-3")
    puppet.end("s1-3", "failed", "x" * 300)
    puppet.finish("halted", "the owner's port is closed " + "y" * 200, reached=False)
    with (
        served(session, plan) as page,
        opened(browser, page.link, viewport=PHONE, color_scheme=scheme) as tab,
    ):
        expect(tab.locator("#condition")).to_have_text("Halted")
        expect(tab.locator("[data-step=s1-3] .error")).to_be_visible()
        assert tab.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        assert serious(tab) == []
        tab.screenshot(path=pictures / f"telephone-{scheme}.png", full_page=True)


@pytest.mark.parametrize(("stages", "steps"), [(10, 50), (1, 500), (20, 250)])
def test_a_plan_with_thousands_of_steps_is_followed(  # noqa: PLR0917 - fixtures
    browser: Browser, session: Session, puppet: Puppet, pictures: Path, stages: int, steps: int
) -> None:
    plan = make_plan(stages, steps)
    puppet.open(plan)
    with served(session, plan) as page, opened(browser, page.link) as tab:
        expect(tab.locator("#count")).to_have_text(f"0 of {stages * steps} steps done.")
        for number in range(1, 41):
            puppet.do(f"s1-{number}")
        expect(tab.locator("#count")).to_have_text(f"40 of {stages * steps} steps done.")
        expect(tab.locator("[data-step=s1-40]")).to_have_attribute("data-status", "done")
        tab.locator("#owner").select_option("Owner of the database")
        expect(tab.locator("[data-step=s1-40]")).to_be_hidden()
        expect(tab.locator(f"[data-step=s1-{steps}]")).to_be_visible()
        tab.screenshot(path=pictures / f"steps-{stages * steps}.png")
