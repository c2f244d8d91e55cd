"""Official release binaries, where the internet can be reached: quicker than building, checked by checksum.

Without internet nothing is lost: `fetch` says within seconds that there is none, and setup builds instead.
"""

from __future__ import annotations

import hashlib
import io
import platform
import tarfile
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_CONNECT_SECONDS = 5.0
"""For each wait on the network: until it answers, and between two parts of an answer."""
_ARCHITECTURES = {"x86_64": ("amd64", "x64"), "aarch64": ("arm64", "arm64")}
"""As Go calls them, and as Pulumi does."""


class NoReleaseError(Exception):
    """There is none to be had here, or it is not what its publisher says; the message says which."""


@dataclass(frozen=True)
class Release:
    """A published file with one or more programs.

    `programs`: each one's name, with its place in a .tar.gz, or None where the file is the program.
    `checksums`: where its publisher keeps the SHA-256, bare or as lines of `sha256  name`. In all of them
    `{arch}` and `{x64}` stand for the machine's architecture, as Go and as Pulumi call it.
    """

    url: str
    checksums: str
    programs: Mapping[str, str | None]


def fetch(release: Release, folder: Path) -> None:
    """Download a release's programs into a folder. Raises NoReleaseError; then nothing is left."""
    names = _ARCHITECTURES.get(platform.machine())
    if names is None:
        raise NoReleaseError(f"none is published for {platform.machine()}")
    arch, x64 = names
    url = release.url.format(arch=arch, x64=x64)
    sums = _read(release.checksums.format(arch=arch, x64=x64)).decode(errors="replace")
    expected = _checksum(sums, url.rpartition("/")[2])
    content = _read(url)
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise NoReleaseError(f"{url} has the SHA-256 {found}, its publisher says {expected}")
    contents = {
        program: _member(content, member.format(arch=arch, x64=x64), url) if member else content
        for program, member in release.programs.items()
    }
    for program, data in contents.items():
        unfinished = folder / f"{program}.new"
        unfinished.write_bytes(data)
        unfinished.chmod(0o755)
        unfinished.rename(folder / program)


def _read(url: str) -> bytes:
    try:
        with urllib.request.urlopen(url, timeout=_CONNECT_SECONDS) as answer:  # noqa: S310 - fixed addresses
            content: bytes = answer.read()
    except (OSError, ValueError) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise NoReleaseError(f"{url} cannot be read: {reason}") from error
    return content


def _checksum(text: str, name: str) -> str:
    lines = [line.split() for line in text.splitlines() if line.strip()]
    for words in lines:
        if len(words) == 1 == len(lines) or (len(words) == 2 and words[1].lstrip("*./") == name):
            return words[0].lower()
    raise NoReleaseError(f"its publisher gives no checksum of {name}")


def _member(archive: bytes, member: str, url: str) -> bytes:
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as files:
            found = files.extractfile(member)
            if found is None:
                raise NoReleaseError(f"{url}: {member} is no file")
            return found.read()
    except (tarfile.TarError, KeyError, EOFError, OSError) as error:
        raise NoReleaseError(f"{url}: no {member} in it: {error}") from error
