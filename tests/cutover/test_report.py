"""The report: approvals, what was slower, other runs, charts, and reports of earlier versions."""

from __future__ import annotations

import json
import shutil
from datetime import datetime
from pathlib import Path

import pytest

from cutover.errors import JournalError, PlanError
from cutover.export import print_page
from cutover.history import Status, fold
from cutover.journal import read_journal
from cutover.measure.series import Flow, Sample, SeriesFile
from cutover.narrative import tell
from cutover.plan import Plan
from cutover.report import ReportInput, slower, spans, with_context, write_report
from cutover.report_model import SCHEMA, EarlierRun, StepReport, read_report
from cutover.status import status_of
from tests.cutover.driver import BACKWARDS, FORWARDS, drive
from tests.cutover.world import World

RECORDED = Path(__file__).with_name("recorded")
MARKUP = "<script>alert(1)</script>"


def report_of(world: World, plan: Plan, folder: Path, name: str = "journal", planned: float = 0.1) -> Path:
    """Runs a plan and writes its report."""
    journal = folder / f"{name}.jsonl"
    drive(world, plan, journal, FORWARDS)
    records = read_journal(journal).records
    given = with_context(
        ReportInput("lab"), plan, records, series=folder / "series.jsonl", folder=folder / "out",
        expected=None, compare=(),
    )  # fmt: skip
    write_report(folder / "out", plan, records, given, world.environment.cutover)
    return folder / "out" / "report.json"


def test_approvals_are_in_the_report(world: World, plan: Plan, tmp_path: Path) -> None:
    found = read_report(report_of(world, plan, tmp_path))
    assert ("open-database", "Ada") in {(item.step, item.by) for item in found.approvals}
    assert "<h2>Approvals</h2>" in (tmp_path / "out" / "report.html").read_text()


def test_a_report_is_compared_with_those_before_it(world: World, plan: Plan, tmp_path: Path) -> None:
    first = read_report(report_of(world, plan, tmp_path))
    assert first.earlier == ()
    again = read_report(report_of(world, plan, tmp_path))
    assert again.earlier == (), "the same run, reported again, is no other run"
    world.clock.sleep(3600)
    drive(world, plan, tmp_path / "journal.jsonl", BACKWARDS)
    other = read_report(report_of(world, plan, tmp_path, "second"))
    assert [run.started for run in other.earlier] == [first.started]
    assert [path.suffix for path in sorted((tmp_path / "out" / "earlier").iterdir())] == [".html", ".json"]
    assert "Beside earlier runs and rehearsals" in (tmp_path / "out" / "report.html").read_text()


def test_what_was_slower_than_planned_is_named() -> None:
    steps = [
        StepReport(id=name, stage="s", owner="o", outcome="done", seconds=seconds, attempts=attempts)
        for name, seconds, attempts in (
            ("as-planned", 10.0, 1), ("slow", 40.0, 1), ("slowest", 100.0, 2), ("a-little", 2.5, 1),
            ("not-run", 90.0, 0), ("new", 90.0, 1),
        )
    ]  # fmt: skip
    planned = {"as-planned": 9.0, "slow": 10.0, "slowest": 10.0, "a-little": 1.0, "not-run": 1.0}
    assert [step.id for step in slower(steps, planned)] == ["slowest", "slow"]


def test_charts_show_what_pages_measured(world: World, plan: Plan, tmp_path: Path) -> None:
    report_of(world, plan, tmp_path)
    begin = datetime.fromisoformat(read_report(tmp_path / "out" / "report.json").started).timestamp()
    file = SeriesFile(tmp_path / "series.jsonl")
    flow = Flow(rate=200.0, failed=0, p50_ms=4.0, p99_ms=9.0)
    for n in range(20):
        direction = "forward" if n < 10 else "reverse"
        file.write(Sample(begin + n, flow, None, 0.002 if n < 18 else None, direction if n < 18 else ""))
    file.close()
    report_of(world, plan, tmp_path)
    page = (tmp_path / "out" / "report.html").read_text()
    for title in (
        "at the ingress: requests", "at the ingress: 99 % within",
        "replication: the target behind the source", "replication: the source behind the target",
    ):  # fmt: skip
        assert title in page
    assert "what clients saw" not in page


def test_nothing_in_a_report_is_read_as_markup(world: World, plan: Plan, tmp_path: Path) -> None:
    given = ReportInput("lab", series={"started": 0, "seconds": [{"second": 0, MARKUP: 1}]})
    drive(world, plan, tmp_path / "journal", FORWARDS)
    text = (tmp_path / "journal").read_text()
    assert "Ada" in text
    records = [
        type(record)(**{**vars(record), "data": json.loads(json.dumps(record.data).replace("Ada", MARKUP))})
        for record in read_journal(tmp_path / "journal").records
    ]
    write_report(tmp_path, plan, records, given, world.environment.cutover)
    page = (tmp_path / "report.html").read_text()
    assert MARKUP not in page
    assert "&lt;script&gt;" in page


def test_a_report_is_printed(world: World, plan: Plan, tmp_path: Path) -> None:
    browser = shutil.which("chromium")
    assert browser, "chromium is missing: `make setup` installs it"
    report_of(world, plan, tmp_path)
    print_page(browser, (tmp_path / "out" / "report.html").read_text(), tmp_path / "report.pdf")
    printed = (tmp_path / "report.pdf").read_bytes()
    assert printed.startswith(b"%PDF-")
    assert printed.count(b"/Type /Page\n") >= 2


def test_a_report_of_the_first_version_is_read_and_compared(tmp_path: Path) -> None:
    found = read_report(RECORDED / "report-1.json")
    assert (found.schema_version, found.outcome, found.approvals) == (1, "succeeded", ())
    compared = EarlierRun.of(found)
    assert (compared.requests, compared.seconds) == (83343, 239.687)
    assert compared.switch_ms == pytest.approx(52.028)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "cannot be read"),
        ("[]", "no schema_version"),
        (f'{{"schema_version": {SCHEMA + 1}}}', "Use a later one"),
        ('{"schema_version": 1}', "not a report of version 1"),
    ],
)
def test_what_is_no_report_is_one_clear_error(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "report.json"
    path.write_text(text)
    with pytest.raises(PlanError, match=says):
        read_report(path)


def test_a_journal_of_the_first_version_is_read(plan: Plan) -> None:
    """Recorded by 0.1: there with a runner killed, and all the way back."""
    records = read_journal(RECORDED / "journal-1.jsonl").records
    history = fold(records)
    assert (history.outcome, history.environment) == ("rolled back", "prod")
    assert {step.status for step in history.steps.values()} == {Status.PENDING}
    assert history.facts
    assert sum(bool(tell(record, {})) for record in records) > 100
    assert [span.direction for span in spans(plan, records)][-1] == "back"
    assert status_of(plan, history, running=False)["outcome"] == "rolled back"


def test_a_journal_of_a_later_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    line = (RECORDED / "journal-1.jsonl").read_text().splitlines()[0]
    path.write_text(line.replace('"v":1', '"v":2') + "\n")
    with pytest.raises(JournalError, match="damaged"):
        read_journal(path)  # the hash tells of a hand that changed it, before any version does
    fields = {key: value for key, value in json.loads(line).items() if key != "hash"} | {"v": 2}
    path.write_text(_line(fields))
    before = path.read_bytes()
    with pytest.raises(JournalError, match=r"version 2; this program reads version 1\. Use the program"):
        read_journal(path)
    assert path.read_bytes() == before


def _line(fields: dict[str, object]) -> str:
    import hashlib  # noqa: PLC0415 - beside its only use

    text = json.dumps(fields, sort_keys=True, separators=(",", ":"))
    whole = {**fields, "hash": hashlib.sha256(text.encode()).hexdigest()}
    return json.dumps(whole, sort_keys=True, separators=(",", ":")) + "\n"
