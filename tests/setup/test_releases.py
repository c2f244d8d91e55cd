"""Release binaries: taken where they can be had and are what their publisher says, otherwise not at all."""

from __future__ import annotations

import hashlib
import io
import socket
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from lab.setup.go_tools import PULUMI_VERSION
from lab.setup.install import REQUIREMENTS
from lab.setup.releases import NoReleaseError, Release, fetch

PROGRAM = b"#!/bin/sh\necho hello\n"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def published(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A publisher's folder, and where it is served."""
    folder = tmp_path / "published"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def release(url: str, *, member: str | None = None) -> Release:
    file = "tool-{arch}.tar.gz" if member else "tool-{arch}"
    return Release(f"{url}/{file}", f"{url}/sums", {"tool": member})


@pytest.fixture(autouse=True)
def architecture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "x86_64")


def test_a_program_is_taken_if_its_checksum_fits(published: tuple[Path, str], tmp_path: Path) -> None:
    folder, url = published
    (folder / "tool-amd64").write_bytes(PROGRAM)
    (folder / "sums").write_text(hashlib.sha256(PROGRAM).hexdigest())

    fetch(release(url), tmp_path)

    path = tmp_path / "tool"
    assert path.read_bytes() == PROGRAM
    assert path.stat().st_mode & 0o777 == 0o755


def test_a_member_of_an_archive_is_taken(published: tuple[Path, str], tmp_path: Path) -> None:
    folder, url = published
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        member = tarfile.TarInfo("tool-v1-x64/tool")
        member.size = len(PROGRAM)
        archive.addfile(member, io.BytesIO(PROGRAM))
    (folder / "tool-amd64.tar.gz").write_bytes(packed.getvalue())
    digest = hashlib.sha256(packed.getvalue()).hexdigest()
    (folder / "sums").write_text(f"{'0' * 64}  tool-arm64.tar.gz\n{digest}  tool-amd64.tar.gz\n")

    fetch(release(url, member="tool-v1-{x64}/tool"), tmp_path)

    assert (tmp_path / "tool").read_bytes() == PROGRAM
    with pytest.raises(NoReleaseError, match="no nothing in it"):
        fetch(release(url, member="nothing"), tmp_path)


def test_what_is_not_as_published_is_refused_and_leaves_nothing(
    published: tuple[Path, str], tmp_path: Path
) -> None:
    folder, url = published
    (folder / "tool-amd64").write_bytes(PROGRAM + b"more")
    (folder / "sums").write_text(hashlib.sha256(PROGRAM).hexdigest())

    with pytest.raises(NoReleaseError, match="its publisher says"):
        fetch(release(url), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["published"]


def test_without_a_checksum_nothing_is_taken(published: tuple[Path, str], tmp_path: Path) -> None:
    folder, url = published
    (folder / "tool-amd64").write_bytes(PROGRAM)
    (folder / "sums").write_text(f"{'0' * 64}  another\n{'1' * 64}  others\n")

    with pytest.raises(NoReleaseError, match="no checksum of tool-amd64"):
        fetch(release(url), tmp_path)


def test_a_network_that_refuses_or_is_silent_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.setup.releases._CONNECT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(NoReleaseError, match="cannot be read"):
            fetch(release(f"http://127.0.0.1:{port}"), tmp_path)
    with pytest.raises(NoReleaseError, match="cannot be read"):
        fetch(release(f"http://127.0.0.1:{port}"), tmp_path)
    with pytest.raises(NoReleaseError, match="none is published for"):
        monkeypatch.setattr("platform.machine", lambda: "riscv64")
        fetch(release(f"http://127.0.0.1:{port}"), tmp_path)


def test_the_command_line_is_that_of_the_sdk() -> None:
    assert f"\npulumi=={PULUMI_VERSION} " in REQUIREMENTS.read_text()
