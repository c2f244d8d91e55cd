"""What the cutover starts: no secret stands among its arguments, which everybody on the machine may read."""

from __future__ import annotations

import os
import stat
import sys
import time
from pathlib import Path

import pytest

from cutover.children import began, machine
from cutover.clock import BootClock
from cutover.lease import Holder
from cutover.lease_guard import Guard
from cutover.masking import VARIABLES
from cutover.mysql import Server, option_file
from cutover.notices.happenings import Happening
from cutover.notices.send import send
from cutover.pulumi_command import TimedCommand
from stacks.settings.notices import CommandNotice
from tests.secrets.canaries import Canaries, environment_canaries

LOOK = """#!{python}
import os, sys
from pathlib import Path
with open({file!r}, "a") as out:
    out.write(repr(sys.argv) + "\\n")
    if {environment}:
        out.write(repr(dict(os.environ)) + "\\n")
if "version" in sys.argv:
    print("v3.200.0")
"""


@pytest.fixture
def variables(canaries: Canaries, monkeypatch: pytest.MonkeyPatch) -> Canaries:
    names = (*VARIABLES, "LANDFALL_SOURCE_DATABASE_PASSWORD", "SMTP_PASSWORD", "HOOK")
    for name, value in environment_canaries(canaries, names).items():
        monkeypatch.setenv(name, value)
    return canaries


def script(folder: Path, name: str, *, environment: bool) -> Path:
    """A program that writes down how it was called."""
    path = folder / name
    content = LOOK.format(python=sys.executable, file=str(folder / "seen"), environment=environment)
    path.write_text(content)
    path.chmod(0o755)
    return path


def test_pulumi_gets_its_secrets_by_its_environment_alone(
    variables: Canaries, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(tmp_path, "pulumi", environment=False)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    command = TimedCommand()
    command.run(["up", "--stack", "prod-edge", "--yes"], str(tmp_path), {"PULUMI_CONFIG_PASSPHRASE": "x"})
    seen = (tmp_path / "seen").read_text()
    assert "'up'" in seen
    assert variables.found("pulumi's arguments", seen) == []


def test_a_program_that_is_told_gets_no_secret(variables: Canaries, tmp_path: Path) -> None:
    program = script(tmp_path, "tell", environment=True)
    notice = CommandNotice(kind="command", command=(str(program),))
    send(notice, Happening(1, "2026-01-01T00:00:00+00:00", "halt", "halted", "why"), os.environ)
    seen = (tmp_path / "seen").read_text()
    assert "PATH" in seen
    assert variables.found("the program's arguments and environment", seen) == []


def test_the_guard_of_the_lease_gets_no_secret(variables: Canaries) -> None:
    holder = Holder(1, "c" * 32, os.getpid(), "here", "", machine(), began(os.getpid()))
    guard = Guard(holder, 1.0)
    try:
        guard.until(BootClock().monotonic() + 60)
        folder = Path(f"/proc/{guard._process.pid}")
        until = time.monotonic() + 10
        while b"lease_guard" not in (folder / "cmdline").read_bytes() and time.monotonic() < until:
            time.sleep(0.01)
        seen = (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes()
        assert b"lease_guard" in seen
        assert variables.found("the guard's arguments and environment", seen) == []
    finally:
        guard.close()


def test_a_database_client_reads_its_password_from_a_file_of_our_own(canaries: Canaries) -> None:
    with option_file(Server("a", "127.0.0.1", 3306, "u", canaries.new("password"))) as path:
        assert canaries.found("its options", path.read_bytes())
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert not path.exists()
