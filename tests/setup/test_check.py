"""What setup says of a machine before it changes anything."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lab.setup.check import PACKAGES, Facts, decide

READY = Facts(
    python=(3, 11),
    system="Debian GNU/Linux 12 (bookworm)",
    has_apt=True,
    is_root=True,
    sudo="works",
    namespaces=True,
    missing_programs=frozenset(),
    venv=True,
    python_is_debians=True,
    certificates=True,
    free_bytes=2**40,
)


def test_a_ready_machine_needs_nothing() -> None:
    verdict = decide(READY, builds=True)
    assert (verdict.packages, verdict.problems) == ((), ())


def test_each_missing_program_brings_its_package() -> None:
    for package, programs in PACKAGES.items():
        for program in programs:
            verdict = decide(replace(READY, missing_programs=frozenset({program})), builds=False)
            assert (verdict.packages, verdict.problems) == ((package,), ())


def test_the_module_venv_comes_from_debian_for_debians_python_alone() -> None:
    bare = replace(READY, venv=False, certificates=False)
    assert decide(bare, builds=False).packages == ("ca-certificates", "python3.11-venv")
    (problem,) = decide(replace(bare, python_is_debians=False), builds=False).problems
    assert "venv" in problem


def test_one_verdict_lists_all_that_is_missing() -> None:
    bad = Facts(
        python=(3, 9),
        system="Fedora Linux 42",
        has_apt=False,
        is_root=False,
        sudo="absent",
        namespaces=False,
        missing_programs=frozenset({"etcd", "nginx"}),
        venv=False,
        python_is_debians=False,
        certificates=False,
        free_bytes=2**30,
    )
    problems = decide(bad, builds=True).problems

    for expected in (
        "Python 3.11",
        "etcd-server, nginx-light",
        "Fedora",
        "root, or sudo",
        "CAP_SYS_ADMIN",
        "1.0 GiB are free",
    ):
        assert len([problem for problem in problems if expected in problem]) == 1, expected


@pytest.mark.parametrize(("sudo", "problems"), [("works", 0), ("refuses", 1), ("absent", 1)])
def test_without_root_sudo_has_to_work(sudo: str, problems: int) -> None:
    assert len(decide(replace(READY, is_root=False, sudo=sudo), builds=False).problems) == problems


def test_space_matters_only_to_a_build() -> None:
    assert decide(replace(READY, free_bytes=0), builds=False).problems == ()
