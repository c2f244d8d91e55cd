"""What the client programs of MySQL and MariaDB are told of a server, and not by their arguments."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cutover.mysql.server import Server


@contextmanager
def option_file(server: Server, *groups: str) -> Iterator[Path]:
    """A file for `--defaults-file` that only we can read: a password never stands in a process list.

    `groups`: the programs that read it, by their groups' names; none: those that read `client`.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "client.cnf"
        path.touch(mode=0o600)
        lines = [
            f"host = {server.host}",
            f"port = {server.port}",
            f'user = "{server.user}"',
            'password = "{}"'.format(server.password.replace("\\", "\\\\").replace('"', '\\"')),
            "protocol = tcp",
        ]
        if server.ca is not None:
            lines += [f"ssl-ca = {server.ca}", *(["ssl-verify-server-cert"] if server.verify_name else [])]
        text = "".join(f"[{group}]\n" + "\n".join(lines) + "\n" for group in (groups or ("client",)))
        path.write_text(text, encoding="utf-8")
        yield path
