"""`cutover watch` as a person starts it."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import yaml

from tests.cutover.conftest import filled_settings
from tests.watch.stage import ROOT


def started(project: Path, *words: str) -> subprocess.Popen[str]:
    (project / "Pulumi.prod.yaml").write_text(
        yaml.safe_dump({"config": {"landfall:environment": filled_settings()}})
    )
    return subprocess.Popen(
        [sys.executable, "-m", "cutover", "--project", str(project), "watch", "--no-probe", *words],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_it_prints_a_link_and_ends_with_a_signal(tmp_path: Path) -> None:
    with started(tmp_path, "--json") as process:
        assert process.stdout is not None
        link = json.loads(process.stdout.readline())["link"]
        with urllib.request.urlopen(link, timeout=20) as answer:  # noqa: S310 - a loopback address
            assert (answer.status, b"<title>Cutover</title>" in answer.read()) == (200, True)
        process.send_signal(signal.SIGTERM)
        _, complaint = process.communicate(timeout=20)
    assert (process.returncode, complaint) == (0, "")


def test_a_port_that_is_taken_is_one_clear_error(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with started(tmp_path, "--port", str(port)) as process:
            _, complaint = process.communicate(timeout=20)
    assert process.returncode == 3
    assert f"cannot be served on 127.0.0.1, port {port}" in complaint


def test_an_expected_report_that_is_none_is_one_clear_error(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    report.write_text('{"plan": "another", "steps": []}')
    with started(tmp_path, "--expected", str(report)) as process:
        _, complaint = process.communicate(timeout=20)
    assert (process.returncode, "is the report of plan 'another'" in complaint) == (3, True)
