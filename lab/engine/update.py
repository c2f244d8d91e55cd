"""The operations that change a stack, or foretell it: up, preview, refresh, destroy."""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

from pulumi.runtime.proto import resource_pb2

from lab.engine import display
from lab.engine import policies as policy_packs
from lab.engine.backend import ORGANIZATION, Backend, StackName
from lab.engine.config import StackConfig, Value
from lab.engine.deletion import delete_all
from lab.engine.deployment import Deployment
from lab.engine.errors import EngineError
from lab.engine.events import Events, FileLog, Sink, StreamLog
from lab.engine.monitor import EngineService, Monitor, Server
from lab.engine.operation import CancelledError, Operation
from lab.engine.policies import Policies, PolicyPack
from lab.engine.program import PARALLEL, Inline, Local, Program, Run
from lab.engine.project import Project
from lab.engine.providers import ProviderError
from lab.engine.reads import Reads
from lab.engine.refresh import refresh_all
from lab.engine.registry import Registry, Surroundings, addresses
from lab.engine.snapshot import Snapshot
from lab.engine.state import PendingOperation, read_deployment
from lab.engine.values import Properties, Secret


@dataclass(frozen=True)
class Options:
    """What the command line asks for; `kind` is update, preview, refresh or destroy."""

    kind: str
    preview: bool
    client: str | None = None
    event_log: str | None = None
    json: bool = False
    diff: bool = False
    refresh: bool = False
    expect_no_changes: bool = False
    clear_pending_creates: bool = False
    suppress_outputs: bool = False
    message: str = ""
    exec_kind: str = ""
    policy_packs: tuple[Path, ...] = ()
    policy_configs: tuple[Path, ...] = ()


class Session:
    """One operation on one stack, from its lock to its entry in the history."""

    def __init__(self, project: Project, backend: Backend, stack: StackName, options: Options) -> None:
        self._project = project
        self._backend = backend
        self._stack = stack
        self._options = options
        self._config = StackConfig(project, stack.name)
        self._interrupted = threading.Event()
        self._values: dict[str, Value] = {}

    def run(self) -> int:
        """Does it, and returns the exit code.

        Raises:
            EngineError: it could not begin.
        """
        with ExitStack() as stack:
            if not self._options.preview:
                self._backend.require_unlocked(self._stack)
                stack.enter_context(self._backend.lock(self._stack))
            return self._locked(stack)

    def _locked(self, stack: ExitStack) -> int:
        options = self._options
        stored = self._backend.load(self._stack)
        crypter = self._config.crypter(
            ((stored.get("secrets_providers") or {}).get("state") or {}).get("salt", "")
        )
        digest = display.Digest()
        events = Events(self._sinks(stack, digest), preview=options.preview)
        program = self._program(stack, events)
        base = read_deployment(stored, known=crypter)
        self._values = self._config.values()
        events.hide(self._config.decrypted)
        store = None if options.preview else self._store
        snapshot = Snapshot(base, crypter, store)

        server = Server(EngineService(events))
        stack.callback(server.stop)
        root = str(self._project.folder)
        registry = Registry(addresses(), Surroundings(server.address, root, root, options.preview))
        stack.callback(registry.close)

        policies = self._policies(stack, server.address, events)
        operation = self._operation(snapshot, registry, events, policies)
        started = time.time()
        clock = time.monotonic()
        self._announce(events, base.pending)
        failure: str | None = None
        with self._interrupts(registry, program):
            try:
                policies.connect()
                failure = self._work(operation, server.address, program)
            except CancelledError:
                failure = None if policies.stopping else f"{options.kind} canceled"
            except (EngineError, ProviderError) as error:
                failure = str(error)
        if failure is None and policies.violated:
            failure = f"{options.kind} failed: mandatory policies are violated"
        if failure is None and events.errors:
            failure = f"{options.kind} failed"
        return self._conclude(events, digest, snapshot, failure, (started, time.monotonic() - clock))

    def _conclude(
        self,
        events: Events,
        digest: display.Digest,
        snapshot: Snapshot,
        failure: str | None,
        times: tuple[float, float],
    ) -> int:
        """Records and shows what came of it; `times` are when it began and how many seconds it took."""
        options, (started, seconds) = self._options, times
        changed = {op: count for op, count in events.counts.items() if op not in {"same", "read"}}
        if failure is None and options.expect_no_changes and changed:
            failure = "no changes were expected but changes " + (
                "were proposed" if options.preview else "occurred"
            )
        outputs = snapshot.deployment().outputs()
        events.summary(seconds)
        events.end()
        if not options.preview:
            self._record(started, events.counts, failure)
        if options.json and options.preview:
            print(json.dumps(digest.content(), indent=2), flush=True)
        elif not options.json:
            if not options.suppress_outputs and options.kind != "destroy":
                display.print_outputs(outputs)
            display.print_summary(events.counts, seconds, preview=options.preview)
        for line in digest.violations:
            print(line, file=sys.stderr)
        if failure is not None:
            display.print_error(events.redact(failure))
            return 255
        return 0

    def _work(self, operation: Operation, engine: str, program: Program | None) -> str | None:
        """The operation itself; returns what went wrong."""
        kind = self._options.kind
        if kind == "refresh" or self._options.refresh:
            if self._options.clear_pending_creates:
                operation.snapshot.drop_pending_creations()
            if not refresh_all(operation):
                return f"{kind} failed"
            if not self._options.preview:
                operation.snapshot.write()
            if kind == "refresh":
                return None
            operation = self._again(operation)
        if kind == "destroy":
            everything = operation.snapshot.remaining()
            return None if delete_all(operation, everything, everything) else "destroy failed"
        if program is None:
            raise ValueError("an update needs a program")
        return self._run_program(operation, engine, program)

    def _again(self, operation: Operation) -> Operation:
        """The operation from its present state on."""
        base = operation.snapshot.deployment()
        snapshot = Snapshot(
            base, self._config.crypter(base.salt), None if self._options.preview else self._store
        )
        return replace(operation, snapshot=snapshot)

    def _run_program(self, operation: Operation, engine: str, program: Program) -> str | None:
        deployment = Deployment(operation)
        info = resource_pb2.DeploymentInfo(
            project=self._project.name,
            stack=self._stack.name,
            organization=ORGANIZATION,
            config={key: value.text for key, value in self._values.items()},
            configSecretKeys=[key for key, value in self._values.items() if value.secret],
            dryRun=self._options.preview,
            parallel=PARALLEL,
        )
        service = Monitor(deployment, Reads(operation, deployment), info)
        monitor = Server(service)
        run = Run(
            project=self._project,
            stack=self._stack.name,
            monitor=monitor.address,
            engine=engine,
            preview=self._options.preview,
            config=dict(info.config),
            secret_keys=list(info.configSecretKeys),
        )
        try:
            failure = program.run(run)
        finally:
            # What it has begun is seen through and recorded, however the program ended.
            deployment.close()
            monitor.stop()
            service.close()
        operation.check_interrupted()
        if failure is not None:
            return failure or f"{self._options.kind} failed"
        if deployment.failed:
            return f"{self._options.kind} failed"
        if operation.policies is not None and not operation.policies.judge_stack(deployment.done()):
            return None  # That says it all.
        left = operation.snapshot.remaining()
        everything = [*left, *deployment.known()]
        return None if delete_all(operation, left, everything) else f"{self._options.kind} failed"

    def _operation(
        self, snapshot: Snapshot, registry: Registry, events: Events, policies: Policies
    ) -> Operation:
        return Operation(
            project=self._project.name,
            stack=self._stack.name,
            preview=self._options.preview,
            snapshot=snapshot,
            registry=registry,
            events=events,
            interrupted=self._interrupted,
            provider_config=self._provider_config,
            read_stack=self._read_stack,
            policies=policies,
        )

    def _policies(self, stack: ExitStack, engine: str, events: Events) -> Policies:
        """Starts the policy packs that the command line names."""
        options = self._options
        if len(options.policy_configs) > len(options.policy_packs):
            raise EngineError("--policy-pack-config is given more often than --policy-pack")
        around = policy_packs.Surroundings(
            engine_address=engine,
            project=self._project.name,
            stack=self._stack.name,
            preview=options.preview,
            config={key: value.text for key, value in self._values.items()},
            secret_keys=[key for key, value in self._values.items() if value.secret],
        )
        packs = []
        for folder, config in zip_longest(options.policy_packs, options.policy_configs):
            packs.append(PolicyPack(folder, config, around))
            stack.callback(packs[-1].stop)
        return Policies(packs, events, preview=options.preview)

    def _provider_config(self, package: str) -> Properties:
        """What the stack's configuration says of a package."""
        found: Properties = {}
        for key, value in self._values.items():
            namespace, _, name = key.partition(":")
            if namespace == package:
                found[name] = Secret(value.text) if value.secret else value.text
        return found

    def _read_stack(self, name: str) -> Properties:
        """The outputs of another stack.

        Raises:
            EngineError: there is no such stack.
        """
        stack = StackName.parse(name, self._project.name)
        if not self._backend.exists(stack):
            raise EngineError(f'unknown stack "{name}"')
        return read_deployment(self._backend.load(stack)).outputs()

    def _store(self, deployment: str) -> None:
        self._backend.save(self._stack, deployment)

    def _sinks(self, stack: ExitStack, digest: display.Digest) -> Iterator[Sink]:
        if not self._options.json:
            yield display.Terminal(diff=self._options.diff)
        else:
            yield digest if self._options.preview else display.print_json
        if log := self._options.event_log:
            sink = StreamLog(log) if log.startswith("tcp://") else FileLog(Path(log))
            stack.callback(sink.close)
            yield sink

    def _program(self, stack: ExitStack, events: Events) -> Program | None:
        if self._options.kind in {"refresh", "destroy"}:
            return None
        program: Program = (
            Inline(self._options.client) if self._options.client else Local(self._project, events)
        )
        stack.callback(program.stop)
        return program

    def _announce(self, events: Events, pending: tuple[PendingOperation, ...]) -> None:
        verb = {
            "update": "Updating",
            "preview": "Previewing",
            "refresh": "Refreshing",
            "destroy": "Destroying",
        }
        if not self._options.json:
            print(f"{verb[self._options.kind]} ({self._stack.name}):", flush=True)
        events.prelude({key: "[secret]" if item.secret else item.text for key, item in self._values.items()})
        if not pending or self._options.kind == "refresh":
            return
        listed = "\n".join(f"  * {item.resource.urn}, interrupted while {item.kind}" for item in pending)
        events.diagnostic(
            "warning",
            f"Attempting to deploy or update resources with {len(pending)} pending operations from previous "
            f"deployment.\n{listed}\nThese resources are in an unknown state because the Pulumi CLI was "
            "interrupted while waiting for changes to these resources to complete. You should confirm "
            "whether or not the operations listed completed successfully by checking the state of the "
            "appropriate provider.\n"
            "Once you have confirmed the status of the interrupted operations, you can repair your stack "
            "using `pulumi refresh`, with --clear-pending-creates to forget creations.",
        )

    def _record(self, started: float, counts: dict[str, int], failure: str | None) -> None:
        entry: dict[str, Any] = {
            "kind": self._options.kind,
            "startTime": int(started),
            "message": self._options.message,
            "environment": {"exec.kind": self._options.exec_kind} if self._options.exec_kind else {},
            "config": self._config.stored_values(),
            "result": "succeeded" if failure is None else "failed",
            "endTime": int(time.time()),
            "version": len(self._backend.history(self._stack)) + 1,
            "resourceChanges": counts,
        }
        self._backend.record(self._stack, entry)

    @contextmanager
    def _interrupts(self, registry: Registry, program: Program | None) -> Iterator[None]:
        """The first interrupt lets running steps end, a second asks the providers to give up."""

        def interrupt(_number: int, _frame: object) -> None:
            if self._interrupted.is_set():
                threading.Thread(target=registry.cancel, daemon=True).start()
                return
            self._interrupted.set()
            if program is not None:
                threading.Thread(target=program.stop, daemon=True).start()

        old = [(number, signal.signal(number, interrupt)) for number in (signal.SIGINT, signal.SIGTERM)]
        try:
            yield
        finally:
            for number, handler in old:
                signal.signal(number, handler)
