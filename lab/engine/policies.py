"""Policy packs: processes of the official Analyzer service that judge what a program declares."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import analyzer_pb2, analyzer_pb2_grpc

from lab.engine import urn as urns
from lab.engine import wire
from lab.engine.backend import ORGANIZATION
from lab.engine.errors import EngineError, RefusedError
from lab.engine.events import Events, Violation
from lab.engine.project import read_yaml
from lab.engine.providers import CHANNEL_OPTIONS
from lab.engine.state import Resource
from lab.engine.values import UNKNOWN_STRING, Properties

_LEVELS = {name.lower(): number for name, number in analyzer_pb2.EnforcementLevel.items()}
_NAMES = {number: name for name, number in _LEVELS.items()}
# Seconds. A pack imports its SDK before it answers.
_START = 300.0
_CALL = 120.0


class PolicyError(EngineError):
    """A resource violates a mandatory policy; events have told which."""


@dataclass(frozen=True)
class Surroundings:
    """What a pack is told of the operation."""

    engine_address: str
    project: str
    stack: str
    preview: bool
    config: Mapping[str, str]
    secret_keys: Sequence[str]


class PolicyPack:
    """The process of a pack. It is started at once, and asked for its address when that is needed."""

    def __init__(self, folder: Path, configuration: Path | None, around: Surroundings) -> None:
        """Starts the pack in `folder`, as the official engine does.

        Raises:
            EngineError: the folder holds no pack, or the configuration is not valid.
            RefusedError: it is one of another language.
        """
        self.folder = folder
        content = read_yaml(folder / "PulumiPolicy.yaml")
        runtime = content.get("runtime")
        runtime = runtime if isinstance(runtime, dict) else {"name": runtime}
        if runtime.get("name") != "python":
            raise RefusedError(f"a policy pack of the runtime {runtime.get('name')!r}")
        self._levels = _configuration(configuration)
        self._version = str(content.get("version") or "")
        self._around = around
        self._process = subprocess.Popen(
            [
                *(_interpreter(folder, runtime), "-u", "-m", "pulumi.policy"),
                *(around.engine_address, "."),
            ],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env=_environment(around),
            start_new_session=True,
        )
        self._channel: grpc.Channel | None = None
        self._stub: Any = None
        self.name = folder.name
        self.version = self._version

    def connect(self, events: Events) -> None:
        """Waits until the pack answers, and configures it.

        Raises:
            EngineError: it ended, or does not answer.
        """
        stdout, stderr = self._process.stdout, self._process.stderr
        if stdout is None or stderr is None:
            raise ValueError("the policy pack's process has no pipes")
        port = self._port(stdout)
        if port is None:
            self._process.kill()
            said = "".join(filter(None, (stdout.read(), stderr.read()))).strip()
            raise EngineError(
                f"the policy pack {self.folder} failed to start: {said or 'it does not answer'}"
            )
        for stream, severity in ((stdout, "info"), (stderr, "info#err")):
            threading.Thread(target=_forward, args=(stream, severity, events), daemon=True).start()
        self._channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=CHANNEL_OPTIONS)
        self._stub = analyzer_pb2_grpc.AnalyzerStub(self._channel)
        around = self._around
        folder = str(self.folder)
        self._call(
            "Handshake",
            analyzer_pb2.AnalyzerHandshakeRequest(
                engine_address=around.engine_address, root_directory=folder, program_directory=folder
            ),
            optional=True,
        )
        self._call(
            "ConfigureStack",
            analyzer_pb2.AnalyzerStackConfigureRequest(
                stack=around.stack,
                project=around.project,
                organization=ORGANIZATION,
                dry_run=around.preview,
                config=around.config,
                config_secret_keys=around.secret_keys,
            ),
            optional=True,
        )
        info = self._call("GetAnalyzerInfo", empty_pb2.Empty())
        self.name = info.name
        self.version = self._version or info.version
        self._configure({policy.name: policy.enforcementLevel for policy in info.policies})

    def _port(self, stdout: IO[str]) -> int | None:
        ready, _, _ = select.select([stdout], [], [], _START)
        line = stdout.readline().strip() if ready else ""
        return int(line) if line.isdigit() else None

    def _configure(self, known: Mapping[str, int]) -> None:
        if not self._levels:
            return
        unknown = sorted(set(self._levels) - set(known) - {"all"})
        if unknown:
            raise EngineError(f"the policy pack {self.name} has no policy {', '.join(unknown)}")
        every = self._levels.get("all", (None, {}))[0]
        wanted = analyzer_pb2.ConfigureAnalyzerRequest()
        for name, default in known.items():
            level, properties = self._levels.get(name, (None, {}))
            chosen = level if level is not None else every
            config = wanted.policyConfig[name]
            config.enforcementLevel = default if chosen is None else chosen  # type: ignore[assignment]
            config.properties.update(properties)
        self._call("Configure", wanted)

    def _call(self, method: str, request: Any, *, optional: bool = False) -> Any:
        try:
            return getattr(self._stub, method)(request, timeout=_CALL)
        except grpc.RpcError as error:
            if optional and error.code() == grpc.StatusCode.UNIMPLEMENTED:
                return None
            raise EngineError(f"the policy pack {self.name} failed to {method}: {error.details()}") from error

    def analyze(self, request: analyzer_pb2.AnalyzeRequest) -> list[Violation]:
        """What is wrong with one resource."""
        return [self._violation(found, request.urn) for found in self._call("Analyze", request).diagnostics]

    def analyze_stack(self, request: analyzer_pb2.AnalyzeStackRequest) -> list[Violation]:
        """What is wrong with the stack."""
        answer = self._call("AnalyzeStack", request)
        return [self._violation(found, found.urn) for found in answer.diagnostics]

    def _violation(self, found: analyzer_pb2.AnalyzeDiagnostic, urn: str) -> Violation:
        level = _NAMES[found.enforcementLevel]
        return Violation(
            pack=found.policyPackName,
            version=self._version or found.policyPackVersion,
            policy=found.policyName,
            level="mandatory" if level == "remediate" else level,
            message=found.message,
            urn=urn,
        )

    def stop(self) -> None:
        """Ends the process."""
        if self._channel is not None:
            self._channel.close()
        self._process.terminate()
        try:
            self._process.wait(timeout=5.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(timeout=5.0)
        for stream in (self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()


class Policies:
    """The packs of one operation. Thread-safe."""

    def __init__(self, packs: Sequence[PolicyPack], events: Events, *, preview: bool) -> None:
        self._packs = packs
        self._events = events
        self._preview = preview
        self.violated = False

    def connect(self) -> None:
        """Waits until all packs answer.

        Raises:
            EngineError: one does not.
        """
        for pack in self._packs:
            pack.connect(self._events)
        self._events.packs.update({pack.name: pack.version for pack in self._packs})

    @property
    def active(self) -> bool:
        """Whether there are any."""
        return bool(self._packs)

    @property
    def stopping(self) -> bool:
        """Whether no further step may begin; a preview goes on, to show all that is wrong."""
        return self.violated and not self._preview

    def judge(self, resource: Resource, known: Iterable[Resource]) -> None:
        """Has a resource judged by its inputs, before anything is done to it; `known` holds its provider.

        Raises:
            PolicyError: outside a preview, it violates a mandatory policy.
            EngineError: a pack failed.
        """
        provider = next((item for item in known if _reference(item) == resource.provider), None)
        request = analyzer_pb2.AnalyzeRequest(
            type=resource.type,
            urn=resource.urn,
            name=urns.name_of(resource.urn),
            properties=_properties(resource.inputs),
            options=_options(resource),
            provider=_provider(provider),
        )
        if self._take(found for pack in self._packs for found in pack.analyze(request)) and self.stopping:
            raise PolicyError(f"{resource.urn} violates a mandatory policy")

    def judge_stack(self, resources: Sequence[Resource]) -> bool:
        """Has the whole stack judged by the outputs of its resources; returns whether it may be so.

        Raises:
            EngineError: a pack failed.
        """
        if not self._packs:
            return True
        known = {_reference(item): item for item in resources}
        request = analyzer_pb2.AnalyzeStackRequest(
            resources=[
                analyzer_pb2.AnalyzerResource(
                    type=item.type,
                    urn=item.urn,
                    name=urns.name_of(item.urn),
                    properties=_properties(item.outputs),
                    options=_options(item),
                    provider=_provider(known.get(item.provider)),
                    parent=item.parent,
                    dependencies=item.dependencies,
                    propertyDependencies={
                        key: analyzer_pb2.AnalyzerPropertyDependencies(urns=found)
                        for key, found in item.property_dependencies.items()
                        if found
                    },
                )
                for item in resources
            ]
        )
        return not self._take(found for pack in self._packs for found in pack.analyze_stack(request))

    def _take(self, found: Iterable[Violation]) -> bool:
        """Tells of violations; returns whether one is mandatory."""
        mandatory = False
        for violation in found:
            self._events.violation(violation)
            mandatory = mandatory or violation.level == "mandatory"
        self.violated = self.violated or mandatory
        return mandatory


def _forward(stream: IO[str], severity: str, events: Events) -> None:
    try:
        for line in stream:
            events.diagnostic(severity, line.rstrip("\n"))
    except ValueError:
        return  # Closed: the operation has ended.


def _interpreter(folder: Path, runtime: Mapping[str, Any]) -> str:
    configured = (runtime.get("options") or {}).get("virtualenv")
    if not configured:
        return sys.executable
    python = folder / str(configured) / "bin" / "python"
    if not python.is_file():
        raise EngineError(f"{folder / 'PulumiPolicy.yaml'} names {configured!r}, but {python} does not exist")
    return str(python)


def _environment(around: Surroundings) -> dict[str, str]:
    # The engine's own modules are none of the pack's business.
    hidden = str(Path(__file__).resolve().parents[2])
    path = [item for item in os.environ.get("PYTHONPATH", "").split(os.pathsep) if item not in {"", hidden}]
    env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    if path:
        env["PYTHONPATH"] = os.pathsep.join(path)
    return env | {
        "PULUMI_ORGANIZATION": ORGANIZATION,
        "PULUMI_PROJECT": around.project,
        "PULUMI_STACK": around.stack,
        "PULUMI_DRY_RUN": "true" if around.preview else "false",
        "PULUMI_CONFIG": json.dumps(dict(around.config)),
    }


def _configuration(path: Path | None) -> dict[str, tuple[int | None, dict[str, Any]]]:
    """By policy, the enforcement level and the properties that a `--policy-pack-config` file gives."""
    if path is None:
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        found: dict[str, tuple[int | None, dict[str, Any]]] = {}
        for policy, given in dict(content).items():
            properties = {"enforcementLevel": given} if isinstance(given, str) else dict(given)
            name = properties.pop("enforcementLevel", None)
            found[policy] = (None if name is None else _LEVELS[name], properties)
    except OSError as error:
        raise EngineError(f"--policy-pack-config {path} cannot be read: {error.strerror}") from error
    except (ValueError, TypeError, KeyError) as error:
        raise EngineError(
            f"--policy-pack-config {path} is not valid: expected an object of policies, each with an "
            f"enforcementLevel of {', '.join(_LEVELS)} ({error})"
        ) from error
    return found


def _properties(values: Properties) -> Any:
    return wire.encode({key: item for key, item in values.items() if not key.startswith("__")}, secrets=True)


def _options(resource: Resource) -> analyzer_pb2.AnalyzerResourceOptions:
    return analyzer_pb2.AnalyzerResourceOptions(
        protect=resource.protect,
        ignoreChanges=resource.ignore_changes,
        aliases=resource.aliases,
        additionalSecretOutputs=resource.additional_secret_outputs,
        customTimeouts=analyzer_pb2.AnalyzerResourceOptions.CustomTimeouts(**resource.custom_timeouts),
        parent=resource.parent,
    )


def _reference(provider: Resource) -> str:
    """What resources call a provider; in a preview, a new one has no id yet."""
    return f"{provider.urn}::{provider.id or UNKNOWN_STRING}"


def _provider(provider: Resource | None) -> analyzer_pb2.AnalyzerProviderResource | None:
    if provider is None:
        return None
    return analyzer_pb2.AnalyzerProviderResource(
        type=provider.type,
        urn=provider.urn,
        name=urns.name_of(provider.urn),
        properties=_properties(provider.inputs),
    )
