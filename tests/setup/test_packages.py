"""Debian packages come without their services, now and at the next boot; a machine's policy stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.setup import SetupError, install
from tests.setup.fakes import FakeMachine

APT = """#!/bin/sh
echo "apt-get $* policy $(sh "$FAKE_POLICY" >/dev/null; echo $?)" >>"$FAKE_CALLS"
case "$*" in
*install*) [ -n "$FAKE_APT_FAILS" ] && { echo "E: Unable to fetch"; exit 100; }
    touch "$FAKE_CALLS.installed" ;;
*update*) exit 100 ;;
esac
exit 0
"""
FIND = """#!/bin/sh
echo /lib/systemd/system/mine.service
[ -e "$FAKE_CALLS.installed" ] && echo /lib/systemd/system/etcd.service
exit 0
"""
SYSTEMCTL = """#!/bin/sh
echo "systemctl $*" >>"$FAKE_CALLS"
"""


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeMachine:
    fake = FakeMachine(tmp_path)
    for name, script in (("apt-get", APT), ("find", FIND), ("systemctl", SYSTEMCTL)):
        fake.program(name, script)
    # whoever runs the tests, sudo is not asked
    fake.program("sudo", '#!/bin/sh\nexec "$@"\n')
    monkeypatch.setenv("PATH", f"{fake.path}:/usr/bin:/bin")
    monkeypatch.setenv("FAKE_CALLS", str(tmp_path / "calls"))
    monkeypatch.setenv("FAKE_POLICY", str(tmp_path / "policy-rc.d"))
    return fake


def installed(machine: FakeMachine) -> None:
    install.install_packages(["etcd-server"], machine.folder / "logs", machine.folder / "policy-rc.d")


def test_no_service_may_start_meanwhile_and_new_ones_are_disabled(machine: FakeMachine) -> None:
    installed(machine)

    update, install_, disable = machine.calls()
    assert update.endswith("update policy 101")
    assert install_.endswith("install --yes --no-install-recommends etcd-server policy 101")
    assert disable == "systemctl disable --quiet etcd.service", "a unit that was there before stays enabled"
    assert not (machine.folder / "policy-rc.d").exists()


def test_a_failure_leaves_no_policy_and_says_what_to_do(
    machine: FakeMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_APT_FAILS", "yes")
    with pytest.raises(SetupError, match=r"Unable to fetch[\s\S]*packages\.log[\s\S]*etcd-server"):
        installed(machine)
    assert not (machine.folder / "policy-rc.d").exists()


def test_a_policy_of_the_machine_stays(machine: FakeMachine) -> None:
    policy = machine.folder / "policy-rc.d"
    policy.write_text("exit 104\n")
    installed(machine)
    assert policy.read_text() == "exit 104\n"
    assert machine.calls()[1].endswith("policy 104")


def test_the_policy_of_a_killed_installation_goes(machine: FakeMachine) -> None:
    policy = machine.folder / "policy-rc.d"
    policy.write_text("#!/bin/sh\n# of landfall's setup, for the time of one installation\nexit 101\n")
    installed(machine)
    assert not policy.exists()
