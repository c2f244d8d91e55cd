"""Turns what a program registers into steps, and keeps account of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, replace

from lab.engine import changes, values
from lab.engine import urn as urns
from lab.engine.custom import CustomSteps, check_protected
from lab.engine.errors import EngineError, RefusedError
from lab.engine.events import Step
from lab.engine.goal import Goal, desired
from lab.engine.operation import CancelledError, Operation
from lab.engine.policies import PolicyError
from lab.engine.providers import Provider, ProviderError
from lab.engine.registry import BUILTIN
from lab.engine.state import Resource, now
from lab.engine.values import UNKNOWN_STRING, UNKNOWN_STRINGS, Properties, Unknown

Find = Callable[[Goal, str, str], Resource]


@dataclass(frozen=True)
class Registered:
    """What came of a registration. After a failure nothing but the URN is known."""

    urn: str
    ok: bool = False
    id: str = ""
    outputs: Properties | None = None
    stable: bool = False


class Deployment:
    """The steps of an `up` or a `preview`. Registrations come at the same time from many threads.

    A resource whose registration fails, and all that needs it, is left as it was; others go on.
    """

    def __init__(self, operation: Operation) -> None:
        self._op = operation
        self._lock = threading.Lock()
        self._old = {item.urn: item for item in operation.snapshot.remaining() if not item.delete}
        self._seen: set[str] = set()
        self._done: dict[str, Resource] = {}
        self._taken: set[str] = set()
        # From new to old URNs, of what came by an alias.
        self._renamed: dict[str, str] = {}
        self._defaults: dict[tuple[str, str], Future[str]] = {}
        self._custom = CustomSteps(operation, self._renamed, self.known)
        self._running = 0
        self._closed = False
        self._idle = threading.Condition()
        self.failed: set[str] = set()

    def known(self) -> list[Resource]:
        """All resources, as they are now and as they were before."""
        with self._lock:
            return [*self._done.values(), *self._old.values()]

    def done(self) -> list[Resource]:
        """What this program has registered, as it is now."""
        with self._lock:
            return list(self._done.values())

    @contextmanager
    def _step(self) -> Iterator[None]:
        """Counts what is running.

        Raises:
            CancelledError: nothing may begin any more.
        """
        self._op.check_interrupted()
        with self._idle:
            if self._closed:
                raise CancelledError
            self._running += 1
        try:
            yield
        finally:
            with self._idle:
                self._running -= 1
                self._idle.notify_all()

    def close(self) -> None:
        """Lets nothing begin any more, and waits until what is running has ended."""
        with self._idle:
            self._closed = True
            self._idle.wait_for(lambda: self._running == 0)

    def register(self, goal: Goal) -> Registered:
        """Brings a resource to its goal. A failure is told by a diagnostic, not by an exception.

        Raises:
            CancelledError: the operation was interrupted.
        """
        with self._step():
            return self._register(goal)

    def read(self, goal: Goal, identifier: str, find: Find) -> Registered:
        """Records a resource that the program only reads; `find` says what is there.

        Raises:
            CancelledError: the operation was interrupted.
        """
        with self._step():
            return self._attempt(
                goal, lambda urn: self._read(urn, goal, identifier, find), {"id": identifier}
            )

    def _register(self, goal: Goal) -> Registered:
        def bring(urn: str) -> Registered:
            if not goal.custom:
                return self._component(urn, goal)
            if urns.is_provider_type(goal.type):
                return self._provider(urn, goal)
            return self._resource(urn, goal)

        return self._attempt(goal, bring, goal.inputs)

    def _attempt(self, goal: Goal, work: Callable[[str], Registered], needed: Properties) -> Registered:
        """Does the work of a registration, unless what it needs has failed."""
        urn = urns.make(self._op.stack, self._op.project, goal.parent, goal.type, goal.name)
        with self._lock:
            duplicate = urn in self._seen
            self._seen.add(urn)
            blocked = not self.failed.isdisjoint(goal.needs())
        if duplicate:
            return self._fail(urn, f"Duplicate resource URN '{urn}'; try giving it a unique name")
        if blocked or (not self._op.preview and _unknown(needed)):
            with self._lock:
                self.failed.add(urn)
            return Registered(urn)
        try:
            return work(urn)
        except PolicyError:
            with self._lock:
                self.failed.add(urn)
            return Registered(urn)
        except (EngineError, ProviderError) as error:
            return self._fail(urn, str(error))

    def _fail(self, urn: str, message: str) -> Registered:
        with self._lock:
            self.failed.add(urn)
        self._op.events.diagnostic("error", message, urn)
        return Registered(urn)

    def _finished(self, resource: Resource, *, stable: bool = False) -> Registered:
        with self._lock:
            self._done[resource.urn] = resource
        self._op.events.hide(values.secret_texts(resource.outputs))
        return Registered(
            resource.urn, True, resource.id, resource.outputs if resource.custom else {}, stable
        )

    def _predecessor(self, urn: str, goal: Goal) -> tuple[Resource | None, Goal]:
        """What the state has under the resource's URN or an alias of it, and the goal with all aliases."""
        with self._lock:
            aliases = list(goal.aliases)
            if (old_parent := self._renamed.get(goal.parent)) is not None:
                aliases.append(urns.make(self._op.stack, self._op.project, old_parent, goal.type, goal.name))
                aliases.append(self._inherited(old_parent, goal))
            goal = replace(goal, aliases=tuple(dict.fromkeys(aliases)))
            for candidate in (urn, *aliases):
                old = self._old.get(candidate)
                if old is not None and candidate not in self._taken:
                    self._taken.add(candidate)
                    if candidate != urn:
                        self._renamed[urn] = candidate
                    return old, goal
            return None, goal

    def _inherited(self, old_parent: str, goal: Goal) -> str:
        """The alias of a child whose name begins with that of its parent, which had another."""
        name, new_parent = goal.name, urns.name_of(goal.parent)
        if name.startswith(new_parent):
            name = urns.name_of(old_parent) + name[len(new_parent) :]
        return urns.make(self._op.stack, self._op.project, old_parent, goal.type, name)

    # Components

    def _component(self, urn: str, goal: Goal) -> Registered:
        old, goal = self._predecessor(urn, goal)
        new = desired(urn, goal, goal.inputs, old)
        self._op.judge(new, self.known)
        if old is None:
            step = Step("create", None, replace(new, created=now(), modified=now()))
        elif old.inputs == new.inputs:
            step = Step("same", old, replace(new, outputs=old.outputs))
        else:
            diff = changes.keys(old, new)
            step = Step("update", old, replace(new, outputs=old.outputs, modified=now()), diffs=diff)
        self._op.events.before(step)
        write = old is None or not changes.same_record(old, step.resource)
        self._op.snapshot.finish(dealt_with=old, now=step.resource, write=write)
        self._op.events.after(step)
        return self._finished(step.resource, stable=step.op == "same")

    def complete(self, urn: str, outputs: Properties) -> None:
        """Gives a component its outputs. Those that come from something that failed are left out.

        Raises:
            EngineError: it was not registered.
        """
        self._op.events.hide(values.secret_texts(outputs))
        if not self._op.preview:
            outputs = {key: item for key, item in outputs.items() if not values.contains(item, Unknown)}
        with self._lock:
            old = self._done.get(urn)
            if old is None:
                if urn in self.failed:
                    return
                raise EngineError(f"outputs were registered for {urn}, which was not registered")
            new = replace(old, outputs=outputs)
            self._done[urn] = new
        self._op.snapshot.amend(old, new)
        self._op.events.outputs(Step("same", old, new))

    # Providers

    def default_provider(self, package: str, version: str) -> str:
        """The reference of the package's default provider, which is made of the stack's configuration.

        Raises:
            EngineError: it cannot be made.
        """
        key = (package, version)
        with self._lock:
            known = self._defaults.get(key)
            mine: Future[str] = Future()
            if known is None:
                self._defaults[key] = mine
        if known is not None:
            return known.result()
        try:
            suffix = "".join(char if char.isalnum() else "_" for char in version)
            inputs = self._op.provider_config(package) | ({"version": version} if version else {})
            goal = Goal(
                type=f"{urns.PROVIDER_PREFIX}{package}",
                name=f"default_{suffix}" if version else "default",
                custom=True,
                inputs=inputs,
            )
            found = self._register(goal)
            mine.set_result(_reference(found))
        except BaseException as error:
            mine.set_exception(error)
            raise
        return mine.result()

    def _provider(self, urn: str, goal: Goal) -> Registered:
        old, goal = self._predecessor(urn, goal)
        checked = self._op.registry.check(urn, old.inputs if old else {}, goal.inputs)
        if checked.failures:
            raise EngineError("; ".join(checked.failures))
        new = replace(desired(urn, goal, checked.inputs, old), outputs=checked.inputs)
        if not urns.is_default_provider(urn):
            self._op.judge(new, self.known)
        if old is None:
            return self._start(Step("create", None, new))
        diff = self._op.registry.diff(urn, old.inputs, checked.inputs)
        if diff.changes == "unknown":
            diff = changes.compare(old.inputs, checked.inputs, diff)
        if diff.replaces:
            check_protected(old)
            return self._start(Step("replace", old, new, diff.replaces, diff.keys, diff.detailed))
        op = "same" if values.plain(old.inputs) == values.plain(checked.inputs) else "update"
        return self._start(Step(op, old, replace(new, id=old.id), (), diff.keys, diff.detailed))

    def _start(self, step: Step) -> Registered:
        """Configures a provider and makes it known."""
        self._op.events.before(step)
        new, old = step.resource, step.old
        new = replace(new, id=self._op.registry.start(new.urn, new.id, new.inputs))
        if step.op != "same":
            new = replace(new, created=new.created or now(), modified=now())
        if step.op == "replace":
            self._op.snapshot.finish(now=new, replaced=old)
        else:
            write = old is None or not changes.same_record(old, new)
            self._op.snapshot.finish(dealt_with=old, now=new, write=write)
        self._op.events.after(replace(step, new=new))
        return self._finished(new, stable=step.op == "same")

    def provider_of(self, goal: Goal) -> tuple[Goal, Provider]:
        """The goal with its provider's reference, and the provider.

        Raises:
            EngineError: there is none.
        """
        if not goal.provider:
            goal = replace(goal, provider=self.default_provider(urns.package_of(goal.type), goal.version))
        return goal, self._op.instance(goal.provider, self.known())

    # Custom resources

    def _resource(self, urn: str, goal: Goal) -> Registered:
        if urns.package_of(goal.type) == BUILTIN:
            raise RefusedError(f"the resource type {goal.type}")
        goal, provider = self.provider_of(goal)
        old, goal = self._predecessor(urn, goal)
        if old is not None and old.external:
            # It was only read until now; from now on it is the program's own.
            self._op.snapshot.finish(dealt_with=old)
            old = None
        made, same = self._custom.apply(urn, goal, provider, old)
        return self._finished(made, stable=same)

    def _read(self, urn: str, goal: Goal, identifier: str, find: Find) -> Registered:
        old, goal = self._predecessor(urn, goal)
        if identifier in UNKNOWN_STRINGS:
            new = replace(desired(urn, goal, goal.inputs, None), external=True)
        else:
            new = find(goal, urn, identifier)
        replaced = old is not None and not old.external
        step = Step("read-replacement" if replaced else "read", old, new)
        self._op.events.before(step)
        if replaced:
            self._op.snapshot.finish(now=new, replaced=old)
        else:
            write = old is None or not changes.same_record(old, new)
            self._op.snapshot.finish(dealt_with=old, now=new, write=write)
        self._op.events.after(step)
        return self._finished(new)


def _reference(provider: Registered) -> str:
    """The reference of a provider.

    Raises:
        EngineError: it failed; why, a diagnostic has told.
    """
    if not provider.ok:
        raise EngineError(f"the provider {provider.urn} is not available")
    return f"{provider.urn}::{provider.id or UNKNOWN_STRING}"


def _unknown(needed: Properties) -> bool:
    """Whether something is unknown that only a failure can have left so."""
    return values.contains(needed, Unknown) or any(
        isinstance(item, str) and item in UNKNOWN_STRINGS for item in needed.values()
    )
