"""The stage `verify`: reports, their retries, and what is asked from inside clusters."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from cutover.actions.jobs import job_of, run_job
from cutover.actions.report_now import FAILS_ONCE, ReportNow, SeeRetries, fails_once, redirected
from cutover.conditions.in_cluster import AnswersInCluster
from cutover.context import Context
from cutover.errors import StepError, StepTimeoutError
from stacks.settings import CronJobReport, Environment, HttpInCluster
from tests.cutover.objects import cron_job, manifest
from tests.cutover.world import DOMAIN, FakeCluster, World


@pytest.fixture
def report(environment: Environment) -> CronJobReport:
    return next(item for item in environment.verifications if isinstance(item, CronJobReport))


@pytest.fixture
def context(world: World) -> Context:
    return world.context()


def watch(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What is created from now on."""
    made: list[Any] = []
    create = FakeCluster.create

    def watched(self: FakeCluster, plural: str, item: Mapping[str, Any]) -> None:
        made.append(item)
        create(self, plural, item)

    monkeypatch.setattr(FakeCluster, "create", watched)
    return made


def jobs(world: World) -> list[str]:
    return world.others["truewatch-1"].store.named("jobs", "kodo")


def test_the_schedule_is_identified_and_a_report_made(
    world: World, context: Context, report: CronJobReport
) -> None:
    evidence = ReportNow(report=report).apply(context)

    assert evidence["schedule"]["schedule"] == "0 1 * * *"
    assert (evidence["schedule"]["retries"], evidence["schedule"]["retry_seconds"]) == ("5", "not declared")
    assert "kodo-billing-report-now: 1 succeeded" in evidence["report"]
    assert world.events == ["truewatch-1 job kodo-billing-report-now"]
    assert jobs(world) == [], "it is removed once it has succeeded"


def test_a_report_that_fails_is_an_error_that_says_where_to_look(
    world: World, context: Context, report: CronJobReport
) -> None:
    world.jobs_end = "Failed"

    with pytest.raises(
        StepError, match=r"kubectl --context truewatch-1 logs -n kodo job/kodo-billing-report-now"
    ):
        ReportNow(report=report).apply(context)

    assert jobs(world) == ["kodo-billing-report-now"], "its log can be read"
    world.jobs_end = "Complete"
    ReportNow(report=report).apply(context)
    assert jobs(world) == []


def test_a_job_that_a_killed_runner_left_is_awaited_and_not_repeated(
    world: World, context: Context, report: CronJobReport
) -> None:
    cluster = world.others["truewatch-1"]
    made = job_of(cluster.get("batch/v1", "cronjobs", "kodo", "kodo-billing-report") or {}, "x", 60)
    cluster.create("jobs", made)
    world.events.clear()

    assert run_job(context, cluster, made, 60)[0]
    assert world.events == []


def test_a_cron_job_that_is_absent_is_named(world: World, context: Context, report: CronJobReport) -> None:
    world.others["truewatch-1"].store.objects.clear()

    with pytest.raises(StepError, match="cluster truewatch-1 has no CronJob kodo/kodo-billing-report"):
        ReportNow(report=report).apply(context)


def test_retries_are_seen_and_nothing_is_left(world: World, context: Context, report: CronJobReport) -> None:
    evidence = SeeRetries(report=report).apply(context)

    assert evidence == {"retries": "seen: answered 503, then 201", "answers": [503, 201]}
    assert jobs(world) == []
    assert world.others["truewatch-1"].store.named("pods", "kodo") == []


def test_the_copy_of_the_job_asks_our_pod(
    world: World, context: Context, report: CronJobReport, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = watch(monkeypatch)

    SeeRetries(report=report).apply(context)

    pod, job = made
    assert DOMAIN in pod["spec"]["containers"][0]["command"][-1]
    env = {item["name"]: item["value"] for item in job["spec"]["template"]["spec"]["containers"][0]["env"]}
    assert env == {"BOSS_URL": "http://192.0.2.7:8080", "REPORT_RETRIES": "5"}


@pytest.mark.parametrize(
    ("end", "printed"),
    [
        ("Failed", {"landfall-seen 503": "answered 503, and was not made"}),
        ("Complete", {"landfall-seen 201": "answered 201, and was not made"}),
        ("Failed", {"starting": "answered no answer"}),
    ],
)
def test_retries_that_are_not_seen_are_a_finding(
    world: World, context: Context, report: CronJobReport, end: str, printed: dict[str, str]
) -> None:
    world.jobs_end, world.jobs_print = end, list(printed)
    (text,) = printed.values()

    evidence = SeeRetries(report=report).apply(context)

    assert text in evidence["findings"][0]
    assert jobs(world) == []


def test_a_job_that_names_no_domain_is_a_finding(
    world: World, context: Context, report: CronJobReport
) -> None:
    world.others["truewatch-1"].store.put(cron_job("kodo", "kodo-billing-report", env=[]))

    assert "no variable" in SeeRetries(report=report).apply(context)["findings"][0]


def test_addresses_are_redirected_wherever_they_come_from(world: World) -> None:
    texts = {"A": "https://b.example/x", "B": "https://b.example", "C": "https://other.example"}
    env = [
        {"name": "A", "value": "https://b.example/x"},
        {"name": "C", "value": "https://other.example"},
        {"name": "S", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
    ]

    assert redirected(env, texts, "https://b.example", "http://192.0.2.7:8080") == [
        {"name": "C", "value": "https://other.example"},
        {"name": "S", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
        {"name": "A", "value": "http://192.0.2.7:8080/x"},
        {"name": "B", "value": "http://192.0.2.7:8080"},
    ]


def test_environments_are_read_from_config_maps_too(
    world: World, context: Context, report: CronJobReport
) -> None:
    store = world.others["truewatch-1"].store
    reference = {"name": "BOSS_URL", "valueFrom": {"configMapKeyRef": {"name": "kodo", "key": "boss"}}}
    store.put(
        cron_job(
            "kodo", "kodo-billing-report", env=[reference], envFrom=[{"configMapRef": {"name": "more"}}]
        ),
        manifest("ConfigMap", "kodo", "kodo", data={"boss": f"https://{DOMAIN}"}),
        manifest("ConfigMap", "kodo", "more", data={"REPORT_RETRIES": "3"}),
    )

    assert SeeRetries(report=report).apply(context)["answers"] == [503, 201]
    assert ReportNow(report=report).apply(context)["schedule"]["retries"] == "3"


class Taking(BaseHTTPRequestHandler):
    """Takes reports."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(201)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed")
def test_the_pod_of_ours_answers_503_once_and_then_sends_on(tmp_path: Path) -> None:
    domain = HTTPServer(("127.0.0.1", 0), Taking)
    threading.Thread(target=domain.serve_forever, daemon=True).start()
    port, ready = _free_port(), _free_port()
    text = fails_once("localhost", "/unused")
    text = text.replace("localhost:443", f"127.0.0.1:{domain.server_port}").replace(
        "https://domain", "http://domain"
    )
    text = "\n".join(line for line in text.splitlines() if "proxy_ssl" not in line)
    text = text.replace("listen 8080", f"listen 127.0.0.1:{port}").replace(
        "listen 8081", f"listen 127.0.0.1:{ready}"
    )
    text = text.replace("/tmp/", f"{tmp_path}/").replace("/dev/stdout", f"{tmp_path}/access.log")
    (tmp_path / "nginx.conf").write_text(text)
    nginx = subprocess.Popen(["nginx", "-e", "stderr", "-c", str(tmp_path / "nginx.conf")])
    try:
        _await(f"http://127.0.0.1:{ready}/ready")
        answers = [_post(f"http://127.0.0.1:{port}/reports") for _ in range(4)]
    finally:
        nginx.terminate()
        nginx.wait(10)
        domain.shutdown()
        domain.server_close()

    assert answers == [503, 201, 201, 201]
    lines = (tmp_path / "access.log").read_text().splitlines()
    assert lines == [f"landfall-seen {status}" for status in answers]


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
    return port


def _await(url: str) -> None:
    for _ in range(200):
        try:
            urllib.request.urlopen(url, timeout=1).close()  # noqa: S310 - our own server
        except OSError:
            time.sleep(0.05)
        else:
            return
    pytest.fail(f"{url} does not answer")


def _post(url: str) -> int:
    try:
        with urllib.request.urlopen(url, b"{}", timeout=5) as response:  # noqa: S310 - our own server
            status: int = response.status
    except urllib.error.HTTPError as error:
        error.close()
        status = error.code
    return status


def test_an_address_is_asked_from_inside_and_waited_for(
    world: World, context: Context, environment: Environment
) -> None:
    check = next(item for item in environment.verifications if isinstance(item, HttpInCluster))
    condition = AnswersInCluster(check=check, probe_seconds=5)

    assert condition.hold(context) == {"seen": "status 200"}
    world.answers[check.url] = 503
    with pytest.raises(
        StepTimeoutError, match=r"login-check from forethought-inner-app .*last seen: status 503"
    ):
        condition.hold(context)


def test_the_pod_that_fails_once_is_landfall_s_own(
    context: Context, report: CronJobReport, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = watch(monkeypatch)

    SeeRetries(report=report).apply(context)

    pod = next(item for item in made if item["kind"] == "Pod")
    assert pod["metadata"]["name"] == FAILS_ONCE
    assert pod["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "landfall"
    assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
    assert pod["spec"]["activeDeadlineSeconds"] > 0
