"""Virtual time: tasks that run one at a time, each until it waits; time passes when all of them wait.

The order is that of the events' times and of their making, so that a run is the same each time.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from greenlet import getcurrent, greenlet


class KilledError(BaseException):
    """The process that a task belongs to has ended."""


@dataclass(eq=False)
class Life:
    """A process: what it runs is ended, or stopped, together."""

    name: str
    alive: bool = True
    stopped: bool = False
    holds: bool = False
    """Whether it has got the lease."""
    tasks: list[Task] = field(default_factory=list)
    waiting: list[Task] = field(default_factory=list)
    """What would go on if the process were not stopped."""


@dataclass(eq=False)
class Task:
    """A thread of a process."""

    life: Life
    body: greenlet | None = None
    done: bool = False
    result: Any = None
    error: BaseException | None = None


class Kernel:
    """The scheduler. Whoever makes it drives it, by `run`."""

    def __init__(self) -> None:
        self.now = 0.0
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._count = itertools.count()
        self._hub = getcurrent()
        self._task: Task | None = None

    @property
    def life(self) -> Life | None:
        """The process whose task runs now."""
        return self._task.life if self._task else None

    def at(self, when: float, do: Callable[[], None]) -> None:
        """Does something at a time."""
        heapq.heappush(self._events, (max(when, self.now), next(self._count), do))

    def spawn(self, life: Life, what: Callable[[], Any]) -> Task:
        """Starts a task."""
        task = Task(life)

        def body() -> None:
            try:
                task.result = what()
            except BaseException as error:  # noqa: BLE001 - whoever waits for the task judges it
                task.error = error
            task.done = True

        task.body = greenlet(body, parent=self._hub)
        life.tasks.append(task)
        self.at(self.now, lambda: self._switch(task))
        return task

    def sleep(self, seconds: float) -> None:
        """Waits; others run meanwhile. Raises KilledError where the process ends."""
        task, until = self._task, self.now + max(0.0, seconds)
        if task is None:
            self.run(lambda: False, until)
            return
        self._check(task)
        if not task.life.stopped and (not self._events or self._events[0][0] > until):
            self.now = until
            return
        self.at(until, lambda: self._switch(task))
        self._hub.switch()
        self._check(task)

    def run(self, ended: Callable[[], bool], until: float = float("inf")) -> None:
        """Lets events happen until it has ended, until a time, or until nothing is left to happen."""
        while not ended() and self._events and self._events[0][0] <= until:
            self.now, _, do = heapq.heappop(self._events)
            do()
        if until != float("inf") and not ended():
            self.now = max(self.now, until)

    def kill(self, life: Life) -> None:
        """Ends a process: nothing that it still tries has an effect."""
        life.alive = False
        for task in life.tasks:
            if not task.done and task is not self._task:
                self.at(self.now, lambda task=task: self._end(task))  # type: ignore[misc]

    def stop(self, life: Life, seconds: float) -> None:
        """SIGSTOP to the process that runs now, and SIGCONT later."""
        life.stopped = True

        def go_on() -> None:
            life.stopped = False
            waiting, life.waiting = life.waiting, []
            for task in waiting:
                self.at(self.now, lambda task=task: self._switch(task))  # type: ignore[misc]

        self.at(self.now + seconds, go_on)
        self.sleep(0)

    def _switch(self, task: Task) -> None:
        if task.done or task.body is None:
            return
        if task.life.stopped:
            task.life.waiting.append(task)
            return
        self._task = task
        task.body.switch()
        self._task = None

    def _end(self, task: Task) -> None:
        if task.done or task.body is None:
            return
        self._task = task
        if task.body:  # it has begun, and waits somewhere
            task.body.throw(KilledError)
        self._task = None
        task.done = True
        task.error = task.error or KilledError()

    @staticmethod
    def _check(task: Task) -> None:
        if not task.life.alive:
            raise KilledError
