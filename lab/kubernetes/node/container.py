"""One container of a pod: started, probed, restarted with a growing pause, and stopped."""

from __future__ import annotations

import asyncio
import logging
import shutil
import signal
import time
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from lab.kubernetes.node.api import ApiError, Object
from lab.kubernetes.node.environment import ConfigError, expand
from lab.kubernetes.node.grace import Backoff, Grace
from lab.kubernetes.node.images import DEFAULT_PATH, Image, ImageError, command_line
from lab.kubernetes.node.kubelet_api import LogPart
from lab.kubernetes.node.place import Place
from lab.kubernetes.node.probes import ProbeError, Target, perform, supervise
from lab.kubernetes.node.processes import Process, Result, run
from lab.kubernetes.node.start import StartError, launch
from lab.kubernetes.node.status import Record, restarts_after, timestamp, waiting
from lab.kubernetes.node.volumes import Mount

log = logging.getLogger(__name__)

_ENTER = (shutil.which("nsenter") or "nsenter", "--mount", "--uts", "--ipc", "--net", "--pid")
_WITH_PARENT = ("/usr/bin/setpriv", "--pdeathsig", "KILL")
_STEADY_SECONDS = 600.0  # a container that ran for so long starts again without a pause
_AFTER_HOOK_SECONDS = 2.0  # what a container gets to stop even if its preStop hook took all of the grace
_HOOK_SECONDS = 3600.0
_MESSAGE_BYTES = 4096
_LOG_MESSAGE_BYTES = 2048
_TRY_AGAIN_SECONDS = 1.0


class Container:
    """Runs until its restart policy says that it is finished, or until it is stopped."""

    def __init__(
        self,
        declared: Object,
        record: Record,
        policy: str,
        *,
        grace_seconds: float,
        place: Place,
        changed: Callable[[Record], None],
    ) -> None:
        self.record = record
        self.settled = asyncio.Event()
        """Set once it has started, its startup probe passed, or is finished."""
        self._declared = declared
        self._place = place
        self._policy = policy
        self._grace_seconds = grace_seconds
        self._changed = changed
        self._folder = place.folder / record.name
        self._log = place.logs / f"{place.title}_{record.name}.log"
        self._title = f"{place.title} {record.name}"
        self._process: Process | None = None
        self._image = Image()
        self._environment: dict[str, str] = {}
        self._stopping = False
        self._starting = asyncio.Lock()
        self._runs = 0
        self._log_starts: list[int] = []
        self._crashes = Backoff(place.backoff, first=0.0)
        self._pulls = Backoff(place.backoff, first=place.backoff)

    async def run(self) -> None:
        """Start it, and again as often as its policy says; returns once it is finished."""
        try:
            while not self._stopping:
                async with self._starting:
                    pause = await self._start()
                if pause:
                    await asyncio.sleep(pause)
                    continue
                code = await self._live()
                if self._stopping or not restarts_after(self._policy, code):
                    break
                await self._back_off()
        finally:
            self._set(finished=True, ready=False, started=False)
            self.settled.set()

    async def stop(self, grace: Grace) -> None:
        """preStop hook, stop signal, and SIGKILL when the grace is over; it is not started again."""
        self._stopping = True
        async with self._starting:
            await self._end(grace)

    async def _end(self, grace: Grace) -> None:
        process = self._process
        if process is None or not process.running:
            return
        ended = asyncio.ensure_future(process.wait())
        lifecycle = self._declared.get("lifecycle") or {}
        hook = lifecycle.get("preStop")
        if hook:
            await _first(ended, self._hook(hook), grace.over())
        process.signal(signal.Signals[lifecycle.get("stopSignal") or self._image.stop_signal])
        await _first(ended, grace.over(_AFTER_HOOK_SECONDS if hook else 0.0))
        process.signal(signal.SIGKILL)
        await ended

    async def _hook(self, hook: Object) -> None:
        try:
            await perform(hook, self._target(), _HOOK_SECONDS)
        except ProbeError as error:
            log.warning("%s: hook failed: %s", self._title, error)

    async def _start(self) -> float | None:
        """Start the process. Where that cannot be done yet, the seconds after which to try again."""
        try:
            self._image = self._place.images.find(self._declared["image"])
            self._process = await self._spawn()
        except ImageError as error:
            again = self.record.state.get("waiting", {}).get("reason") in ("ErrImagePull", "ImagePullBackOff")
            self._set(state=waiting("ImagePullBackOff" if again else "ErrImagePull", str(error)))
            return self._pulls.next()
        except (ConfigError, ApiError, OSError) as error:
            self._set(state=waiting("CreateContainerConfigError", str(error)))
            return _TRY_AGAIN_SECONDS
        except StartError as error:
            self._process = None
            self._ended(128, "StartError", timestamp(datetime.now(UTC)), str(error))
            return None
        unprobed = "startupProbe" not in self._declared
        self._set(
            state={"running": {"startedAt": timestamp(datetime.now(UTC))}},
            container_id=f"landfall://{uuid.uuid4().hex}",
            started=unprobed,
            ready=unprobed and "readinessProbe" not in self._declared,
        )
        return None

    async def _spawn(self) -> Process:
        declared, image, place = self._declared, self._image, self._place
        given = await place.environment(declared)
        basic = {"PATH": DEFAULT_PATH, "HOSTNAME": place.hostname, "HOME": "/root", **image.env}
        if image.applets:
            basic["PATH"] = f"{place.applets}:{basic['PATH']}"
        self._environment = basic | given
        command = [expand(item, self._environment) for item in declared.get("command") or []]
        args = [expand(item, self._environment) for item in declared.get("args") or []]
        argv = command_line(image, command, args)
        if not argv:
            raise StartError(f"neither the image {declared['image']} nor the container says what to run")
        self._runs += 1
        folder = self._folder / str(self._runs)
        folder.mkdir(parents=True)
        message = self._folder / "termination-log"
        message.write_text("")
        mounts = place.mounts(declared, self._environment)
        mounts.append(Mount(message, declared.get("terminationMessagePath", "/dev/termination-log"), False))
        specification: dict[str, Any] = {
            "folder": str(folder),
            "file_systems": list(place.file_systems),
            "network": place.network,
            "hostname": place.hostname,
            "hidden": image.hidden,
            "files": {**image.files, **place.files},
            "mounts": [
                {"source": str(mount.source), "target": mount.target, "read_only": mount.read_only}
                for mount in mounts
            ],
            "working_folder": declared.get("workingDir") or image.working_folder,
            "argv": argv,
            "env": self._environment,
        }
        self._log_starts.append(self._log.stat().st_size if self._log.exists() else 0)
        return await launch(specification, self._log)

    async def _live(self) -> int:
        """Watch over the running process to its end; its exit code."""
        process = self._process
        if process is None:
            return int(self.record.state["terminated"]["exitCode"])
        began = time.monotonic()
        probes = asyncio.ensure_future(self._probe())
        try:
            code = await process.wait()
        finally:
            process.signal(signal.SIGKILL)
            probes.cancel()
        code = code if code >= 0 else 128 - code
        started_at = self.record.state["running"]["startedAt"]
        reason = "Completed" if code == 0 else "Error"
        self._ended(code, reason, started_at, self._message(code))
        if time.monotonic() - began > _STEADY_SECONDS:
            self._crashes.reset()
        # its mounts may take a moment to go; what stays behind goes with the pod's folder
        shutil.rmtree(self._folder / str(self._runs), ignore_errors=True)
        return code

    async def _probe(self) -> None:
        declared = self._declared
        post_start = (declared.get("lifecycle") or {}).get("postStart")
        if post_start:
            try:
                await perform(post_start, self._target(), _HOOK_SECONDS)
            except ProbeError as error:
                await self._unhealthy("postStart hook", str(error), declared)
        startup, readiness = declared.get("startupProbe"), declared.get("readinessProbe")
        liveness = declared.get("livenessProbe")
        if startup:
            good, why = await supervise(startup, self._target(), until={True, False})
            if not good:
                await self._unhealthy("startup probe", why, startup)
        self._set(started=True, ready=readiness is None)
        self.settled.set()
        tasks: list[Awaitable[object]] = []
        if readiness:
            tasks.append(supervise(readiness, self._target(), decided=self._readiness))
        if liveness:
            tasks.append(self._liveness(liveness))
        await asyncio.gather(*tasks)

    def _readiness(self, good: bool, why: str) -> None:
        if good != self.record.ready:
            log.info("%s: %s", self._title, "ready" if good else f"not ready: {why}")
            self._set(ready=good)

    async def _liveness(self, probe: Object) -> None:
        _, why = await supervise(probe, self._target(), until={False})
        if not self._stopping:
            await self._unhealthy("liveness probe", why, probe)

    async def _unhealthy(self, what: str, why: str, declared: Object) -> None:
        log.warning("%s: %s failed: %s", self._title, what, why)
        seconds = declared.get("terminationGracePeriodSeconds", self._grace_seconds)
        # shielded: the end of the process cancels the probes, and with them the one who waits here
        await asyncio.shield(self._end(Grace(seconds)))

    def _target(self) -> Target:
        return Target(self._place.address, self._declared, self._place.session, self._execute)

    async def _execute(self, command: Sequence[str], timeout: float) -> Result:
        entry = self.enter(command)
        if entry is None:
            return Result(1, "the container does not run")
        return await run(entry[0], timeout=timeout, env=entry[1])

    def enter(self, command: Sequence[str]) -> tuple[list[str], Mapping[str, str]] | None:
        """How to run a command in it: arguments and environment; None while it does not run."""
        process = self._process
        if process is None or not process.running:
            return None
        return [*_ENTER, "--target", str(process.pid), *_WITH_PARENT, *command], self._environment

    def log_part(self, *, previous: bool) -> LogPart | None:
        """Where the output of the current or the previous run lies; None if there is no such run."""
        runs, run_number = self._log_starts, -2 if previous else -1
        if len(runs) < -run_number:
            return None
        if previous:
            return LogPart(self._log, runs[-2], runs[-1])
        return LogPart(self._log, runs[-1], self._log.stat().st_size if self.record.finished else None)

    def _message(self, code: int) -> str:
        written = (self._folder / "termination-log").read_bytes()[:_MESSAGE_BYTES]
        if not written and code and self._declared.get("terminationMessagePolicy") == "FallbackToLogsOnError":
            with self._log.open("rb") as file:
                file.seek(max(self._log_starts[-1], self._log.stat().st_size - _LOG_MESSAGE_BYTES))
                written = file.read()
        return written.decode(errors="replace")

    def _ended(self, code: int, reason: str, started_at: str, message: str) -> None:
        ended: Object = {
            "exitCode": code,
            "reason": reason,
            "startedAt": started_at,
            "finishedAt": timestamp(datetime.now(UTC)),
            "containerID": self.record.container_id,
        }
        if message:
            ended["message"] = message
        self._set(state={"terminated": ended}, ready=False, started=False)

    async def _back_off(self) -> None:
        """After a run: the first time it starts again at once, then after a pause that doubles."""
        pause = self._crashes.next()
        last = {"terminated": self.record.state["terminated"]}
        if pause:
            message = f"back-off {pause:g}s restarting failed container={self.record.name}"
            self._set(state=waiting("CrashLoopBackOff", message), last=last)
            await asyncio.sleep(pause)
        self._set(last=last, restarts=self.record.restarts + 1)

    def _set(self, **changes: Any) -> None:
        fresh = replace(self.record, **changes)
        if fresh != self.record:
            self.record = fresh
            self._changed(fresh)


async def _first(ended: asyncio.Future[int], *others: Coroutine[Any, Any, None]) -> None:
    """Return when the process has ended or one of the others is done; the others are given up."""
    tasks: list[asyncio.Future[Any]] = [asyncio.ensure_future(other) for other in others]
    await asyncio.wait([ended, *tasks], return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
