"""What an image reference runs: the lab has no registry, an image is a way to start a local program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_DEFAULT_REGISTRY = ("docker.io/library/", "docker.io/", "library/")
_NGINX_CONF = """\
user www-data;
worker_processes 1;
error_log /dev/stderr notice;
pid /run/nginx.pid;
events { worker_connections 1024; }
http {
    include /etc/nginx/mime.types;
    default_type application/octet-stream;
    access_log /dev/stdout;
    sendfile on;
    keepalive_timeout 65;
    include /etc/nginx/conf.d/*.conf;
}
"""
_NGINX_DEFAULT = """\
server {
    listen 80;
    location / { root /usr/share/nginx/html; }
}
"""
_REDIS_SERVER = """\
#!/bin/sh
# the official image is built without protected mode
exec /usr/bin/redis-server "$@" --protected-mode no
"""
_REDIS_ENTRYPOINT = 'case "${1:-}" in -*|*.conf) set -- redis-server "$@" ;; esac; exec "$@"'


class Image(BaseModel):
    """How an image starts, with the names of a Dockerfile.

    `entrypoint` is replaced by a container's command, `cmd` by its args. `files` are written into the
    container's file system before volumes are mounted, those that start with `#!` executable; `hidden`
    folders of this machine are absent in it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    env: Mapping[str, str] = Field(default_factory=dict)
    working_folder: str = "/"
    files: Mapping[str, str] = Field(default_factory=dict)
    hidden: tuple[str, ...] = ()
    applets: bool = False
    """Whether busybox's applets come first on the PATH."""
    stop_signal: Annotated[str, Field(pattern="^SIG[A-Z0-9]+$")] = "SIGTERM"


BUILT_IN: Mapping[str, Image] = {
    "busybox": Image(cmd=("sh",), applets=True),
    "redis": Image(
        entrypoint=("sh", "-c", _REDIS_ENTRYPOINT, "docker-entrypoint.sh"),
        cmd=("redis-server",),
        working_folder="/data",
        files={"/usr/local/bin/redis-server": _REDIS_SERVER},
    ),
    "haproxy": Image(cmd=("haproxy", "-f", "/usr/local/etc/haproxy/haproxy.cfg"), stop_signal="SIGUSR1"),
    "nginx": Image(
        cmd=("nginx", "-g", "daemon off;"),
        files={"/etc/nginx/nginx.conf": _NGINX_CONF, "/etc/nginx/conf.d/default.conf": _NGINX_DEFAULT},
        hidden=("/etc/nginx/sites-enabled", "/etc/nginx/modules-enabled", "/etc/nginx/conf.d"),
        stop_signal="SIGQUIT",
    ),
}

_FILE = TypeAdapter(dict[str, Image])


class ImageError(Exception):
    """An image reference that names nothing the lab has, or an images file that cannot be read."""


@dataclass
class Images:
    """The images file, read again whenever it changes; `BUILT_IN` holds what it does not name."""

    path: Path
    _read: tuple[float, Mapping[str, Image]] = field(default=(-1.0, {}), init=False)

    def find(self, reference: str) -> Image:
        """The image of a reference. Raises ImageError."""
        known = {**BUILT_IN, **self._load()}
        for name in candidates(reference):
            if name in known:
                return known[name]
        raise ImageError(
            f'Failed to pull image "{reference}": the lab has no such image; {self.path} names '
            f"{', '.join(sorted(known))}"
        )

    def _load(self) -> Mapping[str, Image]:
        try:
            changed = self.path.stat().st_mtime
            if changed != self._read[0]:
                content = yaml.safe_load(self.path.read_text(encoding="utf-8")) or {}
                self._read = (changed, _FILE.validate_python(content))
        except (OSError, yaml.YAMLError, ValidationError) as error:
            raise ImageError(f"the images file {self.path} cannot be used: {error}") from error
        return self._read[1]


def candidates(reference: str) -> Sequence[str]:
    """The names under which an image may be listed, the most exact first.

    `docker.io/library/redis:7@sha256:…` is found as itself, without its digest, without its tag, and as
    `redis`.
    """
    undigested = reference.partition("@")[0]
    folder, slash, last = undigested.rpartition("/")
    untagged = folder + slash + last.partition(":")[0]
    names = [reference, undigested, untagged]
    for name in (undigested, untagged):
        names += [name.removeprefix(prefix) for prefix in _DEFAULT_REGISTRY if name.startswith(prefix)]
    return list(dict.fromkeys(names))


def command_line(image: Image, command: Sequence[str], args: Sequence[str]) -> list[str]:
    """What is run: a container's command replaces entrypoint and cmd, its args replace cmd alone."""
    if command:
        return [*command, *args]
    return [*image.entrypoint, *(args or image.cmd)]
