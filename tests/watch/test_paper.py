"""The report and the runbook in a browser: for everybody, on a telephone, in dark and light, and on paper."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Request

from cutover.history import fold
from cutover.journal import read_journal
from cutover.plan import Plan
from cutover.report import ReportInput, with_context, write_report
from cutover.runbook_html import runbook_html
from cutover.session import Session
from tests.watch.stage import ROOT

COLOURS = "(({ color, backgroundColor }) => [color, backgroundColor])(getComputedStyle(document.body))"
RECORDED = ROOT / "tests" / "cutover" / "recorded"


@pytest.fixture
def plan() -> Plan:
    return Session.at(ROOT, "prod", "boss-corestone").plan()


@pytest.fixture
def pages(plan: Plan, tmp_path: Path) -> dict[str, Path]:
    records = read_journal(RECORDED / "journal-1.jsonl").records
    assert fold(records).started
    given = with_context(
        ReportInput("lab"), plan, records, series=tmp_path / "none", folder=tmp_path, expected=None,
        compare=(RECORDED / "report-1.json",),
    )  # fmt: skip
    settings = Session.at(ROOT, "prod", "boss-corestone").environment().cutover
    write_report(tmp_path, plan, records, given, settings)
    runbook = tmp_path / "runbook.html"
    runbook.write_text(runbook_html(plan, {}, None), encoding="utf-8")
    return {"report": tmp_path / "report.html", "runbook": runbook}


@pytest.mark.parametrize("name", ["report", "runbook"])
def test_a_page_is_for_everybody_and_for_paper(
    browser: Browser, pages: dict[str, Path], pictures: Path, name: str
) -> None:
    for scheme in ("light", "dark"):
        with browser.new_context(color_scheme=scheme, viewport={"width": 390, "height": 844}) as context:
            tab = context.new_page()
            asked: list[str] = []
            tab.on("request", _into(asked))
            tab.goto(pages[name].as_uri())
            assert asked == [pages[name].as_uri()], "it needs nothing else"
            assert tab.evaluate("document.documentElement.scrollWidth") <= 390
            assert Axe().run(tab).response["violations"] == []
            tab.set_viewport_size({"width": 1100, "height": 900})
            tab.screenshot(path=pictures / f"{name}-{scheme}.png", full_page=True)
            tab.emulate_media(media="print", color_scheme=scheme)
            style = tab.evaluate(COLOURS)
            assert style == ["rgb(0, 0, 0)", "rgb(255, 255, 255)"]


def _into(asked: list[str]) -> Callable[[Request], None]:
    """Notes each address that a page asks for."""
    return lambda request: asked.append(request.url)
