"""What is measured of users' requests, kept, and told to Prometheus."""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from cutover.errors import PlanError
from cutover.history import History
from cutover.measure.metrics import METRICS, Textfile, reference, text, values
from cutover.measure.series import SeriesFile, read_series, thinned
from cutover.measure.traffic import FIRST_LINES, MOST_LINES, Traffic, TrafficMeter
from cutover.plan import Plan
from cutover.session import Session
from cutover.watch.probes import Probes
from cutover.watch.server import Page
from stacks.settings import Environment
from tests.cutover.conftest import filled_settings
from tests.cutover.world import DOMAIN, World
from tests.watch.stage import ROOT, Puppet, make_plan, served

LINE = '{{"host": "{host}", "client": "198.18.0.1", "moment": {at}, "status": {status}, "seconds": {took}}}'


@pytest.fixture
def world() -> World:
    return World(Environment.model_validate(filled_settings()))


def meter(world: World) -> TrafficMeter:
    ingress = world.environment.source_ingress
    assert ingress is not None
    return TrafficMeter(world.environment, world.source, ingress, world.clock)


def lines(world: World, rate: int, seconds: int = 60, status: int = 200) -> list[str]:
    """An access log up to now."""
    now = world.clock.now().timestamp()
    return [
        LINE.format(host=DOMAIN, at=now - (rate * seconds - n) / rate, status=status, took=0.004)
        for n in range(rate * seconds)
    ]


@pytest.mark.parametrize("rate", [1, 30, 700])
def test_the_rate_is_that_of_the_last_ten_seconds(world: World, rate: int) -> None:
    world.source.printed["ingress"] = lines(world, rate)
    found = meter(world)
    found.look()
    assert found.look().rate == pytest.approx(rate, rel=0.11)


def test_what_a_log_does_not_reach_back_to_is_not_taken_for_silence(world: World) -> None:
    world.source.printed["ingress"] = lines(world, rate=1000)
    found = meter(world).look()
    assert found.seconds == pytest.approx(FIRST_LINES / 1000, rel=0.1)
    assert found.rate == pytest.approx(1000, rel=0.1)


def test_no_more_is_read_than_is_bearable(world: World) -> None:
    world.source.printed["ingress"] = lines(world, rate=10_000, seconds=12)
    found = meter(world)
    for _ in range(12):
        seen = found.look()
    assert seen.requests <= MOST_LINES
    assert seen.rate == pytest.approx(10_000, rel=0.1)


def test_errors_of_ours_are_failures_and_answers_are_not(world: World) -> None:
    world.source.printed["ingress"] = [*lines(world, 2, 5, 503), *lines(world, 2, 5, 404), "not a request"]
    found = meter(world).look()
    assert (found.requests, found.failed, found.p50_ms, found.p99_ms) == (20, 10, 4.0, 4.0)


def test_health_checks_of_our_own_are_no_users(world: World) -> None:
    own = lines(world, rate=2)
    world.source.printed["ingress"] = [line[:-1] + ', "agent": "landfall"}' for line in own]
    assert meter(world).look().requests == 0


def test_requests_of_other_hosts_are_not_ours(world: World) -> None:
    now = world.clock.now().timestamp()
    world.source.printed["ingress"] = [LINE.format(host="example.org", at=now, status=200, took=1)]
    assert meter(world).look() == Traffic(0, 0, None, None, 10.0)


def test_one_of_two_pages_keeps_what_is_measured(world: World, tmp_path: Path) -> None:
    path = tmp_path / "series.jsonl"
    first, second = SeriesFile(path), SeriesFile(path)
    sample = Probes(world.context).sample(100.0)
    first.write(sample)
    second.write(sample)
    assert len(read_series(path, 0, 200)) == 1
    first.close()
    second.write(sample)
    with path.open("a") as file:
        file.write('{"v": 1, "at": 1')  # cut off by a full disk
    assert read_series(path, 0, 200) == [sample, sample]
    assert len(thinned([sample] * 1000, 300)) <= 300


@pytest.fixture
def plan() -> Plan:
    return make_plan(title='A "plan"')


@pytest.fixture
def page(session: Session, plan: Plan) -> Iterator[Page]:
    with served(session, plan) as found:
        yield found


def scrape(page: Page, host: str = "") -> str:
    address = f"http://127.0.0.1:{page.server_port}/metrics"
    asked = urllib.request.Request(address, headers={"Host": host} if host else {})
    with urllib.request.urlopen(asked, timeout=20) as answer:  # noqa: S310 - a loopback address
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        return str(answer.read().decode())


def test_a_collector_reads_metrics_without_the_token(page: Page, plan: Plan, puppet: Puppet) -> None:
    flow = {"rate": 12.5, "failed": 1, "requests": 125, "seconds": 10.0, "p50": 4.0, "p99": None}
    lag = {"direction": "reverse", "state": "running", "detail": "", "seconds": 1.25}
    row = {"domain": "a.example.org", "side": "source", "good": True}
    page.feed.probed = lambda: {
        "traffic": {"source": flow, "target": {"error": "x"}},
        "lag": lag,
        "rows": [row],
    }
    puppet.open(plan)
    puppet.do("s1-1")
    puppet.begin("s1-2")
    page.feed.look()
    found = scrape(page)
    for line in (
        'landfall_cutover_condition{condition="under way"} 1',
        "landfall_cutover_running 1",
        'landfall_cutover_steps{status="done"} 1',
        'landfall_cutover_step_seconds{stage="s1",step="s1-1"} 1.5',
        "landfall_cutover_way_back 1",
        'landfall_requests_per_second{side="source"} 12.5',
        'landfall_request_seconds{side="source",quantile="0.5"} 0.004',
        'landfall_replication_lag_seconds{direction="reverse"} 1.25',
        'landfall_health{domain="a.example.org",side="source"} 1',
    ):
        assert line in found.splitlines()
    assert 'side="target"' not in found
    assert page.token not in found
    with pytest.raises(urllib.error.HTTPError, match="421"):
        scrape(page, "evil.example.org")
    puppet.kill()
    page.feed.look()
    assert "landfall_cutover_runner_died 1" in scrape(page)


def test_the_text_is_what_prometheus_reads(plan: Plan) -> None:
    head = {"condition": 'a "b"\n\\', "running": False, "died": False, "waiting": [], "started": "",
            "last": "", "way_back": {"possible": False}, "error": ""}  # fmt: skip
    found = text(values(plan, History(), head))
    value = r"-?[0-9.e+-]+"
    sample = rf'[a-z_]+(\{{[a-z_]+="([^"\\\n]|\\[\\n"])*"(,[a-z_]+="([^"\\\n]|\\[\\n"])*")*\}})? {value}'
    for line in found.splitlines():
        assert line.startswith("#") or re.fullmatch(sample, line), line
    names = [line.split()[2] for line in found.splitlines() if line.startswith("# TYPE")]
    assert len(names) == len(set(names))
    assert set(names) <= {metric.name for metric in METRICS}


def test_a_textfile_is_whole_at_any_moment(tmp_path: Path) -> None:
    path = tmp_path / "landfall.prom"
    with Textfile(path, lambda: "landfall_cutover_running 1\n"):
        assert path.read_text() == "landfall_cutover_running 1\n"
    assert [item.name for item in tmp_path.iterdir()] == ["landfall.prom"]
    with pytest.raises(PlanError, match=r"ends in \.prom"):
        Textfile(tmp_path / "landfall.txt", lambda: "")
    with pytest.raises(PlanError, match="cannot be written"):
        Textfile(tmp_path / "none" / "landfall.prom", lambda: "")


def test_the_documented_metrics_are_those_that_there_are() -> None:
    assert (ROOT / "docs" / "metrics.md").read_text() == reference()
