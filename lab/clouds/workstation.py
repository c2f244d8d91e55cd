"""The workspace instance: from here, in the AWS network, an operator, Pulumi and the cutover work."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab.clouds.internet import Internet, module
from lab.engine.launcher import write_launcher
from lab.setup import Tools, find_pulumi
from lab.supervisor import Supervisor
from lab.topology import AWS
from lab.world import LabError, World

_TIMEOUT_SECONDS = 900.0


class Workstation:
    """Runs commands with standard variables alone: nothing in them speaks of a lab.

    `trusted`: a PEM file of the authorities that it trusts.
    """

    def __init__(
        self,
        folder: Path,
        world: World,
        supervisor: Supervisor,
        tools: Tools,
        internet: Internet,
        *,
        kubeconfig: Path,
        trusted: Path,
        passphrase: Path,
        secrets: Mapping[str, str],
        host: str = AWS.host,
    ) -> None:
        """`secrets`: variables with the secrets that the settings name; `host`: where it stands."""
        self._folder = folder
        self._world = world
        self._supervisor = supervisor
        self._tools = tools
        self._internet = internet
        self._kubeconfig = kubeconfig
        self._trusted = trusted
        self._passphrase = passphrase
        self._secrets = secrets
        self._host = host
        self.bin = folder / "bin"

    def start_providers(self) -> None:
        """Start the Pulumi providers that the lab's engine attaches to. Raises LabError."""
        ports = self._folder / "provider-ports"
        argv = [*module("lab.providers"), "--write-ports", str(ports)]
        self._supervisor.start("providers", argv, host=self._host, env=self._clients(), ready=ports.exists)
        self.bin.mkdir(exist_ok=True)

    def use_engine(self, engine: str) -> str:
        """Put `official` or the `lab`'s pulumi first on PATH; gives which one it is.

        An empty choice takes the official one where there is one. Raises LabError where it is asked for
        and absent.
        """
        official = find_pulumi()
        if engine == "official" and official is None:
            raise LabError(
                "ENGINE=official, but there is no `pulumi` on PATH, and setup could get none: "
                "install the official CLI, or ENGINE=lab"
            )
        if engine == "lab" or official is None:
            write_launcher(self.bin)
            return "lab"
        # with its language host, which it looks for on PATH
        for program in official.parent.glob("pulumi*"):
            (self.bin / program.name).symlink_to(program)
        return "official"

    def environment(self) -> dict[str, str]:
        """The operator's environment."""
        state = self._folder / "state"
        # what a killed runner leaves behind goes with the lab
        temporary = self._folder / "tmp"
        for folder in (state, temporary):
            folder.mkdir(exist_ok=True)
        path = [str(self.bin), str(Path(sys.executable).parent), str(self._tools.kubectl.parent)]
        return {
            **os.environ,
            **self._clients(),
            "PATH": os.pathsep.join([*path, os.environ["PATH"]]),
            "TMPDIR": str(temporary),
            "PULUMI_HOME": str(self._folder / "pulumi-home"),
            "PULUMI_BACKEND_URL": f"file://{state}",
            "PULUMI_CONFIG_PASSPHRASE_FILE": str(self._passphrase),
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DEBUG_PROVIDERS": (self._folder / "provider-ports").read_text().strip(),
            "SSL_CERT_FILE": str(self._trusted),
            "CURL_CA_BUNDLE": str(
                self._trusted
            ),  # curl heeds it before the other, which a machine may have set
            **self._secrets,
        }

    def _clients(self) -> dict[str, str]:
        return {**self._internet.environment, "KUBECONFIG": str(self._kubeconfig)}

    def inside(self, argv: Sequence[str]) -> list[str]:
        """A command as it is called from outside, to run there; without the operator's environment."""
        return self._world.command(self._host, argv)

    def run(
        self,
        argv: Sequence[str],
        *,
        cwd: Path,
        capture: bool = True,
        timeout: float = _TIMEOUT_SECONDS,
        extra: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end. `timeout` in seconds."""
        return subprocess.run(
            self.inside(argv),
            cwd=cwd,
            env={**self.environment(), **(extra or {})},
            capture_output=capture,
            text=True,
            check=False,
            timeout=timeout,
        )

    def start(self, argv: Sequence[str], *, cwd: Path, extra: Mapping[str, str]) -> subprocess.Popen[bytes]:
        """Start a command; it writes to this terminal."""
        environment = {**self.environment(), **extra}
        return subprocess.Popen(self.inside(argv), cwd=cwd, env=environment)
