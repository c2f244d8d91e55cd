"""Run in a world by test_watched_night: a rehearsal that is followed, approved and rolled back on the page.

The browser stands where the operator's does: at the workspace instance, on whose loopback the page is served.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ViewportSize, expect, sync_playwright
from playwright.sync_api import Page as Tab

from cutover.session import Session
from lab import topology
from lab.clouds import DOMAIN, Clouds
from lab.moved import Moved
from lab.objects import differences
from lab.options import REPOSITORY
from lab.people import Deed, People, deeds_of
from lab.scene import ENVIRONMENT, Scene
from lab.setup import find_tools
from lab.topology import AWS
from lab.verdict import look
from lab.watching import NAME, watching

PLAN = "boss-corestone"
RATE = 40
MARKUP = '<img src=x onerror="document.title=1"><b>bold</b>'
DESK, PHONE = ViewportSize(width=1280, height=900), ViewportSize(width=390, height=844)
STEP_MS = 240_000
"""Far more than a step takes: only one that hangs is meant."""
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
)


class Night:
    """A lab, its traffic, and a browser in it."""

    def __init__(self, folder: Path, browser: Browser, clouds: Clouds) -> None:
        self.folder = folder
        self.browser = browser
        self.clouds = clouds
        self.moved = Moved.read(REPOSITORY / f"Pulumi.{ENVIRONMENT}.yaml")
        self.before = look(clouds, self.moved)
        self.scene = Scene(clouds, plan=PLAN, progress=_say)
        self.scene.set_up("lab")
        self.session = Session.at(self.scene.project, ENVIRONMENT, PLAN)
        deeds = {**deeds_of(clouds), "open-database": Deed(clouds.open_database, approved=False)}
        self.people = People(clouds, self.scene.cutover_argv(), self.session, deeds)
        self.pictures = REPOSITORY / "out" / "pictures"
        self.pictures.mkdir(parents=True, exist_ok=True)
        self.seen: dict[str, Any] = {"serious": []}

    def traffic(self) -> None:
        """Users, until the lab ends."""
        argv = [
            *(sys.executable, "-m", "lab.traffic", "generate", "--rate", str(RATE), "--domain", DOMAIN),
            *("--stop-file", str(self.folder / "stop"), "--resolver", topology.PUBLIC_DNS),
            *("--ca", str(self.clouds.web_ca), "--out", str(self.folder / "requests.jsonl"), "--seed", "1"),
        ]
        self.clouds.supervisor.start("traffic", argv)

    def run(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Starts `cutover run`; what it prints goes to a file."""
        argv = self.clouds.world.command(AWS.host, [*self.scene.cutover_argv(), "run", *arguments])
        environment = {**self.clouds.workstation.environment(), "PYTHONPATH": str(REPOSITORY)}
        with (self.folder / "printed").open("ab") as out:
            return subprocess.Popen(
                argv, cwd=self.scene.project, env=environment, stdout=out, stderr=subprocess.STDOUT
            )

    @contextmanager
    def tab(self, link: str, **options: Any) -> Iterator[Tab]:
        """A tab that must see no error and ask nobody else for anything."""
        with self.browser.new_context(viewport=options.pop("viewport", DESK), **options) as context:
            tab = context.new_page()
            tab.set_default_timeout(STEP_MS)
            problems: list[str] = []
            asked: set[str] = set()
            tab.on("pageerror", lambda error: problems.append(str(error)))
            tab.on("request", lambda request: asked.add(request.url.split("/")[2]))
            tab.goto(link)
            expect(tab.locator("#connection")).to_have_text("live", timeout=STEP_MS)
            yield tab
            assert (problems, len(asked)) == ([], 1)

    def picture(self, tab: Tab, name: str) -> None:
        """Kept for people; and what axe finds is noted."""
        tab.evaluate("scrollTo(0, 0)")  # what sticks to the top is where a person sees it first
        for item in Axe().run(tab).response["violations"]:
            if item["impact"] in ("serious", "critical"):
                self.seen["serious"].append(f"{name}: {item['id']}: {item['nodes'][0]['html']}")
        tab.screenshot(path=self.pictures / f"rehearsal-{name}.png", full_page=True)

    def status(self, link: str, *options: str) -> int:
        """What the page's server answers somebody else at the same machine."""
        argv = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--max-time", "20", *options, link]
        return int(self.clouds.operator(argv, cwd=self.scene.project).stdout)


def condition(tab: Tab, text: str) -> None:
    expect(tab.locator("#condition")).to_have_text(text, timeout=STEP_MS)


def the_night(night: Night) -> None:
    """Everything that people do with the page, on one cutover."""
    with watching(night.clouds, night.scene.cutover_argv(), night.scene.project) as link:
        strangers(night, link)
        with night.tab(link) as tab:
            condition(tab, "Not begun")
            night.traffic()
            # the services call each other by their domains as well
            about = re.compile(rf"^{RATE // 10}\d$")
            expect(tab.locator("[data-tone=source] .figure")).to_have_text(about, timeout=STEP_MS)
            expect(tab.locator("[data-tone=target] .figure")).to_have_text("0.0", timeout=STEP_MS)
            with night.people.at_work():
                first = night.run("--to", "connect")
                followed(night, tab, link)
                approved_by_keyboard(night, tab)
                expect(tab.locator("[data-step=start-services]")).to_have_attribute(
                    "data-status", "begun", timeout=STEP_MS
                )
                first.send_signal(signal.SIGKILL)
                first.wait(60)
                condition(tab, "The runner has died")
                night.picture(tab, "runner-died")
                second = night.run("--to", "connect")
                lost(night, tab)
                assert second.wait(240) == 0, (night.folder / "printed").read_text()[-3000:]
                condition(tab, "reached connect")
                third = night.run("--to", "switch")
                expect(tab.locator(f"[data-step='soak-{DOMAIN}']")).to_have_attribute(
                    "data-status", "begun", timeout=STEP_MS
                )
                expect(tab.locator("#probed")).to_contain_text(DOMAIN)
                night.seen["requests on the target"] = target_takes_over(tab)
                night.picture(tab, "soaking")
                rolled_back(night, tab)
                night.seen["code of the runner that was stopped"] = third.wait(60)
            night.picture(tab, "rolled-back")


def strangers(night: Night, link: str) -> None:
    """Whoever has not the link, or comes from elsewhere."""
    base, _, token = link.partition("?token=")
    port = base.rstrip("/").rpartition(":")[2]
    cookie = ("-H", f"Cookie: landfall-{port}={token}")
    body = ("-X", "POST", "-H", "Content-Type: application/json", "-d", "{}")
    night.seen["refused"] = {
        "no token": night.status(base),
        "a wrong token": night.status(f"{base}?token=guessed"),
        "events without a token": night.status(f"{base}events"),
        "a forged Host": night.status(base, "-H", f"Host: evil.example.org:{port}", *cookie),
        "a forged Origin": night.status(
            f"{base}approve", "-H", "Origin: https://evil.example.org", *cookie, *body
        ),
        "no CSRF token": night.status(f"{base}rollback", "-H", f"Origin: {base[:-1]}", *cookie, *body),
    }
    night.seen["let in"] = night.status(base, *cookie)


def followed(night: Night, tab: Tab, link: str) -> None:
    """Live, up to where somebody is waited for; and the same on a telephone that comes late."""
    condition(tab, "Waiting for a person")
    expect(tab.locator("[data-stage=prepare] > summary .word")).to_have_text("done")
    night.picture(tab, "waiting")
    with night.tab(link, viewport=PHONE, color_scheme="dark") as late:
        for place in ("#condition", "#list", "#log", "#next", "#back", "#waiting"):
            expect(late.locator(place)).to_have_text(tab.locator(place).inner_text(), use_inner_text=True)
        assert late.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        night.picture(late, "telephone-dark")


def approved_by_keyboard(night: Night, tab: Tab) -> None:
    """Never a mouse, and nothing goes through until what is asked for is typed."""
    tab.locator("#stages").focus()
    for _ in range(60):
        if tab.evaluate("document.activeElement.dataset.approve") == "open-database":
            break
        tab.keyboard.press("Shift+Tab")
    tab.keyboard.press("Enter")
    expect(tab.locator("#approve-phrase")).to_have_text("open-database")
    for text in (f"Ann {MARKUP}", f"let in {MARKUP}", "open-databse"):
        tab.keyboard.type(text)
        tab.keyboard.press("Tab")
    tab.keyboard.press("Tab")
    tab.keyboard.press("Enter")
    expect(tab.locator("#approve-form .error")).to_have_text("type open-database to approve it")
    night.picture(tab, "approve")
    tab.locator("#approve-form [name=typed]").fill("open-database")
    tab.keyboard.press("Enter")
    expect(tab.locator("#approve")).not_to_be_visible()
    expect(tab.locator("#log")).to_contain_text(f"open-database: approved by Ann {MARKUP}: let in {MARKUP}")
    assert tab.locator("img, b").count() == 0


def lost(night: Night, tab: Tab) -> None:
    """The page's server hangs, and the page says so; it goes on, and so does the page."""
    night.clouds.supervisor.signal(NAME, signal.SIGSTOP)
    expect(tab.locator("#lost")).to_be_visible(timeout=STEP_MS)
    expect(tab.locator("#connection")).to_have_text("connection lost")
    night.picture(tab, "connection-lost")
    night.clouds.supervisor.signal(NAME, signal.SIGCONT)
    expect(tab.locator("#lost")).not_to_be_visible(timeout=STEP_MS)
    expect(tab.locator("#connection")).to_have_text("live", timeout=STEP_MS)


def target_takes_over(tab: Tab) -> float:
    """The users' requests a second at the target, once there are some."""
    deadline = time.monotonic() + STEP_MS / 1000
    while time.monotonic() < deadline:
        text = tab.locator("[data-tone=target] .figure").inner_text()
        if text.replace(".", "").isdigit() and float(text) > 0:
            return float(text)
        time.sleep(0.5)
    raise TimeoutError("nobody came to the target")


def rolled_back(night: Night, tab: Tab) -> None:
    """All the way, while a runner is at work."""
    tab.locator("#roll-back").click()
    tab.locator("#rollback-form [name=by]").fill("Bob")
    tab.locator("#rollback-form [name=typed]").fill("roll back")
    tab.keyboard.press("Enter")
    expect(tab.locator("#rollback-form .error")).to_have_text("type 'roll back to the start' to roll back")
    night.picture(tab, "roll-back")
    tab.locator("#rollback-form [name=typed]").fill("roll back to the start")
    tab.keyboard.press("Enter")
    expect(tab.locator("#rollback")).not_to_be_visible()
    condition(tab, "Going back")
    condition(tab, "Rolled back")
    expect(tab.locator("#asked")).to_contain_text("asked for by Bob", timeout=STEP_MS)
    expect(tab.locator("#asked")).to_contain_text("done", timeout=STEP_MS)


def browser_program(clouds: Clouds, folder: Path) -> Path:
    """Chromium, as it runs at the workspace instance."""
    found = shutil.which("chromium")
    assert found, "chromium is missing: `make setup` installs it"
    program = folder / "chromium"
    program.write_text(f'#!/bin/sh\nexec {shlex.join(clouds.world.command(AWS.host, [found]))} "$@"\n')
    program.chmod(0o755)
    return program


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def main(folder: Path) -> int:
    """Prints what was seen as JSON."""
    clouds = Clouds(folder / "lab", find_tools(), ttl_divisor=60, progress=_say)
    clouds.start()
    try:
        with sync_playwright() as playwright:
            program = browser_program(clouds, folder)
            browser = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
            night = Night(folder, browser, clouds)
            try:
                the_night(night)
            except BaseException:
                sys.stderr.write(
                    (folder / "printed").read_text()[-6000:] if (folder / "printed").exists() else ""
                )
                raise
            browser.close()
        night.seen["differences"] = list(differences(night.before.objects, look(clouds, night.moved).objects))
        night.seen["samples"] = len(night.session.series_path.read_text().splitlines())
    finally:
        clouds.stop()
    print(json.dumps(night.seen))
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
