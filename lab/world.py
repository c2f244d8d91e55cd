"""The network of a lab: Linux namespaces that nothing outside can see, and that end with their first process.

`python -m lab.world -- CMD ARG…` runs CMD in a new world: network, mount and process namespaces of its own.
The world's own network stands for the internet; each cluster is a further namespace, a *host*, linked to it.
Two labs side by side use the same addresses without a clash, and a lab that is killed leaves nothing behind.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

WORLD = "world"
INSIDE = "LANDFALL_WORLD"
_COMMAND_TIMEOUT_SECONDS = 20.0


class LabError(Exception):
    """Something in the lab did not work; the message says what and where."""


def inside_world() -> bool:
    """Whether this process runs in a world made by `enter`."""
    return os.environ.get(INSIDE) == "1"


def enter(argv: Sequence[str]) -> int:
    """Run `argv` in a new world and give its exit code. Needs root."""
    if os.geteuid() != 0:
        raise LabError("a lab needs root to make its network namespaces: run it as root or with sudo")
    unshare = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    first = [sys.executable, "-m", "lab.world", "--first", "--", *argv]
    repository = str(Path(__file__).resolve().parent.parent)
    path = os.pathsep.join(filter(None, [repository, os.environ.get("PYTHONPATH")]))
    # whatever happens to this process, the kernel ends the world with it
    bound = ["setpriv", "--pdeathsig", "KILL", *unshare, *first]
    process = subprocess.Popen(bound, env={**os.environ, "PYTHONPATH": path, INSIDE: "1"})
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _: _tell(process.pid, received))
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue  # the terminal sends Ctrl-C to the lab as well, which decides how to end


def _tell(unshare: int, number: int) -> None:
    """Sends a signal to a world's first process: `unshare`, which waits for it, takes none itself."""
    children = Path(f"/proc/{unshare}/task/{unshare}/children").read_text().split()
    for process in map(int, children or [str(unshare)]):
        os.kill(process, number)


def _first(argv: Sequence[str]) -> int:
    """The first process of a world: readies the namespaces, runs `argv`, reaps orphans until it ends."""
    _run(["mount", "-t", "tmpfs", "tmpfs", "/run"])  # /run/netns and service sockets are the lab's own
    Path("/run/netns").mkdir()
    _run(["ip", "link", "set", "lo", "up"])
    _sysctl("net/ipv4/ip_forward", "1")
    main = subprocess.Popen(argv)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(
            number, lambda received, _: main.send_signal(received) if received != signal.SIGINT else None
        )
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == main.pid:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


class World:
    """The hosts of a lab and the links between them; usable inside a world only.

    `folder` is the lab's own folder: logs, data, the resolv.conf of each host.
    """

    def __init__(self, folder: Path) -> None:
        if not inside_world():
            raise LabError("not inside a lab's world: start this with `python -m lab.world -- …`")
        self.folder = folder.resolve()
        self._resolvers = self.folder / "resolvers"
        self._resolvers.mkdir(parents=True, exist_ok=True)
        self._links = 0
        self._prefixes: dict[str, list[str]] = {WORLD: []}

    def resolver(self, host: str, nameserver: str, search: Sequence[str] = ()) -> None:
        """Give `host` the resolv.conf with which its commands run from now on."""
        resolv_conf = self._resolvers / host
        lines = [f"nameserver {nameserver}", *([f"search {' '.join(search)}"] if search else [])]
        resolv_conf.write_text("\n".join([*lines, "options timeout:2 attempts:2", ""]))
        script = f'mount --bind {shlex.quote(str(resolv_conf))} /etc/resolv.conf && exec "$0" "$@"'
        network = [] if host == WORLD else [f"--net=/run/netns/{host}"]
        self._prefixes[host] = [
            *(["nsenter", *network] if network else []),
            "unshare",
            "--mount",
            "sh",
            "-c",
            script,
        ]

    def add_host(self, name: str, *, nameserver: str | None = None, search: Sequence[str] = ()) -> None:
        """Make a host: a network namespace that forwards packets, with a resolv.conf of its own if given."""
        _run(["ip", "netns", "add", name])
        self._prefixes[name] = ["nsenter", f"--net=/run/netns/{name}"]
        if nameserver is not None:
            self.resolver(name, nameserver, search)
        self._run_in(name, ["ip", "link", "set", "lo", "up"])
        self._run_in(name, ["sysctl", "-qw", "net.ipv4.ip_forward=1"])

    def link(self, a: str, b: str, address_a: str, address_b: str) -> None:
        """Connect two hosts by a pair of devices with one address each, routed to each other."""
        self._links += 1
        device_a, device_b = f"to-{b}"[:12] + str(self._links), f"to-{a}"[:12] + str(self._links)
        scratch = f"link{self._links}"
        _run(["ip", "link", "add", device_a, "type", "veth", "peer", "name", scratch])
        self._move(scratch, b, device_b)
        self._move(device_a, a, device_a)
        for host, device, own, peer in (
            (a, device_a, address_a, address_b),
            (b, device_b, address_b, address_a),
        ):
            self._run_in(host, ["ip", "address", "add", own, "peer", peer, "dev", device])
            self._run_in(host, ["ip", "link", "set", device, "up"])

    def _move(self, device: str, host: str, name: str) -> None:
        if host != WORLD:
            _run(["ip", "link", "set", device, "netns", host])
        if device != name:
            self._run_in(host, ["ip", "link", "set", device, "name", name])

    def address(self, host: str, address: str) -> None:
        """Give a host a further address, on its loopback device; other hosts need a route to it."""
        self._run_in(host, ["ip", "address", "add", f"{address}/32", "dev", "lo"])

    def drop_address(self, host: str, address: str) -> None:
        """Take such an address away."""
        self._run_in(host, ["ip", "address", "del", f"{address}/32", "dev", "lo"])

    def route(self, host: str, destination: str, via: str, source: str | None = None) -> None:
        """Route `destination` (an address, a network or "default") via a linked host's address."""
        own = ["src", source] if source else []
        self._run_in(host, ["ip", "route", "replace", destination, "via", via, *own])

    def nft(self, host: str, ruleset: str) -> None:
        """Load packet filter and address translation rules into a host (`nft -f -`)."""
        self._run_in(host, ["nft", "-f", "-"], ruleset)

    def command(self, host: str, argv: Sequence[str]) -> list[str]:
        """`argv` prefixed so that it runs in `host`, with that host's resolv.conf."""
        prefix = self._prefixes.get(host)
        if prefix is None:
            raise LabError(f"no host named {host}; there are {', '.join(sorted(self._prefixes))}")
        return [*prefix, *argv]

    def _run_in(self, host: str, argv: Sequence[str], stdin: str | None = None) -> None:
        network = [] if host == WORLD else ["nsenter", f"--net=/run/netns/{host}"]
        _run([*network, *argv], stdin)


def _run(argv: Sequence[str], stdin: str | None = None) -> None:
    result = subprocess.run(
        argv, input=stdin, capture_output=True, text=True, check=False, timeout=_COMMAND_TIMEOUT_SECONDS
    )
    if result.returncode != 0:
        raise LabError(f"`{shlex.join(argv)}` ended with code {result.returncode}: {result.stderr.strip()}")


def _sysctl(key: str, value: str) -> None:
    Path("/proc/sys", key).write_text(value)


def main(arguments: Sequence[str]) -> int:
    """`python -m lab.world [--first] -- CMD ARG…`."""
    if "--" not in arguments or not arguments[arguments.index("--") + 1 :]:
        sys.stderr.write("usage: python -m lab.world -- CMD ARG…\n")
        return 2
    split = arguments.index("--")
    argv = arguments[split + 1 :]
    try:
        return _first(argv) if arguments[:split] == ["--first"] else enter(argv)
    except LabError as error:
        sys.stderr.write(f"lab: {error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
