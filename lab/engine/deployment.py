"""Turns a program's registrations into steps and carries them out, or foretells them in a preview."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, replace

from lab.engine import changes, values
from lab.engine import urn as urns
from lab.engine.errors import EngineError
from lab.engine.events import Events, Step
from lab.engine.goal import Goal
from lab.engine.providers import Diff, InitializationError, Provider, ProviderError
from lab.engine.registry import BUILTIN, Registry
from lab.engine.snapshot import Snapshot
from lab.engine.state import PendingOperation, Resource, now
from lab.engine.values import UNKNOWN_STRING, UNKNOWN_STRINGS, Properties, Unknown

SUCCEEDED, FAILED, SKIPPED = "succeeded", "failed", "skipped"


class Cancelled(Exception):
    """The operation was interrupted: no further step begins."""


@dataclass(frozen=True)
class Registered:
    """What came of a registration. After a failure nothing but the URN is known."""

    urn: str
    status: str = SUCCEEDED
    id: str = ""
    outputs: Properties | None = None
    stable: bool = False


@dataclass(frozen=True)
class Operation:
    """What all parts of an operation share."""

    project: str
    stack: str
    preview: bool
    snapshot: Snapshot
    registry: Registry
    events: Events
    interrupted: threading.Event
    provider_config: Callable[[str], Properties]
    read_stack: Callable[[str], Properties]

    def check_interrupted(self) -> None:
        """To be called before each step.

        Raises:
            Cancelled: the operation was interrupted.
        """
        if self.interrupted.is_set():
            raise Cancelled

    def begin(self, kind: str, resource: Resource) -> PendingOperation | None:
        """Announces an effect in the state; None for components and in a preview, which have none."""
        return self.snapshot.begin(kind, resource) if resource.custom and not self.preview else None

    def instance(self, reference: str, known: Mapping[str, Resource]) -> Provider:
        """The provider of a reference; one that only the state knows is opened with its stored inputs."""

        def stored(wanted: str) -> Properties | None:
            owner, _, identifier = wanted.rpartition("::")
            resource = known.get(owner)
            return resource.inputs if resource is not None and resource.id == identifier else None

        return self.registry.find(reference, stored)


class Deployment:
    """The steps of an `up` or a `preview`. Registrations come at the same time from many threads."""

    def __init__(self, operation: Operation) -> None:
        self._op = operation
        self._lock = threading.Lock()
        self._old = {item.urn: item for item in operation.snapshot.remaining() if not item.delete}
        self._taken: set[str] = set()
        self._renamed: dict[str, str] = {}
        self._defaults: dict[tuple[str, str], Future[str]] = {}
        self.seen: set[str] = set()
        self.done: dict[str, Resource] = {}
        self.failed: set[str] = set()
        self._running = 0
        self._closed = False
        self._idle = threading.Condition()

    @contextmanager
    def _step(self) -> Iterator[None]:
        """Counts what is running.

        Raises:
            Cancelled: nothing may begin any more.
        """
        self._op.check_interrupted()
        with self._idle:
            if self._closed:
                raise Cancelled
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
            Cancelled: the operation was interrupted.
        """
        with self._step():
            return self._register(goal)

    def _register(self, goal: Goal) -> Registered:
        urn = urns.make(self._op.stack, self._op.project, goal.parent, goal.type, goal.name)
        with self._lock:
            duplicate = urn in self.seen
            self.seen.add(urn)
            blocked = not self.failed.isdisjoint(goal.needs())
        if duplicate:
            return self._fail(urn, f"Duplicate resource URN '{urn}'; try giving it a unique name")
        if blocked or (not self._op.preview and values.contains(goal.inputs, Unknown)):
            with self._lock:
                self.failed.add(urn)
            return Registered(urn, SKIPPED)
        try:
            if not goal.custom:
                return self._component(urn, goal)
            if urns.is_provider_type(goal.type):
                return self._provider(urn, goal)
            return self._custom(urn, goal)
        except (EngineError, ProviderError) as error:
            return self._fail(urn, str(error))

    def _fail(self, urn: str, message: str) -> Registered:
        with self._lock:
            self.failed.add(urn)
        self._op.events.diagnostic("error", message, urn)
        return Registered(urn, FAILED)

    def _predecessor(self, urn: str, goal: Goal) -> tuple[Resource | None, tuple[str, ...]]:
        """What the state has under the resource's URN or one of its aliases, and all its aliases."""
        with self._lock:
            aliases = list(goal.aliases)
            if (old_parent := self._renamed.get(goal.parent)) is not None:
                aliases.append(urns.make(self._op.stack, self._op.project, old_parent, goal.type, goal.name))
                aliases.append(self._inherited(old_parent, goal))
            for candidate in (urn, *aliases):
                old = self._old.get(candidate)
                if old is not None and candidate not in self._taken:
                    self._taken.add(candidate)
                    if candidate != urn:
                        self._renamed[urn] = candidate
                    return old, tuple(aliases)
            return None, tuple(aliases)

    def _inherited(self, old_parent: str, goal: Goal) -> str:
        """The alias of a child whose name begins with its parent's, which had another name."""
        name, new_parent = goal.name, urns.name_of(goal.parent)
        if name.startswith(new_parent):
            name = urns.name_of(old_parent) + name[len(new_parent) :]
        return urns.make(self._op.stack, self._op.project, old_parent, goal.type, name)

    def _desired(self, urn: str, goal: Goal, inputs: Properties, old: Resource | None) -> Resource:
        return Resource(
            urn=urn,
            type=goal.type,
            custom=goal.custom,
            inputs=inputs,
            parent=goal.parent,
            provider=goal.provider,
            protect=goal.protect,
            retain_on_delete=goal.retain_on_delete,
            dependencies=goal.dependencies,
            property_dependencies=goal.property_dependencies,
            additional_secret_outputs=goal.additional_secret_outputs,
            aliases=goal.aliases,
            ignore_changes=goal.ignore_changes,
            replace_on_changes=goal.replace_on_changes,
            custom_timeouts=goal.custom_timeouts,
            import_id=goal.import_id,
            deleted_with=goal.deleted_with,
            created=old.created if old else "",
            modified=old.modified if old else "",
            other=dict(old.other) if old else {},
        )

    def _finished(self, resource: Resource, *, stable: bool = False) -> Registered:
        with self._lock:
            self.done[resource.urn] = resource
        self._op.events.hide(values.secret_texts(resource.outputs))
        outputs = resource.outputs if resource.custom else {}
        return Registered(resource.urn, SUCCEEDED, resource.id, outputs, stable)

    def _component(self, urn: str, goal: Goal) -> Registered:
        old, aliases = self._predecessor(urn, goal)
        new = replace(self._desired(urn, goal, goal.inputs, old), aliases=aliases)
        if old is None:
            step = Step("create", None, replace(new, created=now(), modified=now()))
        elif old.inputs == new.inputs:
            step = Step("same", old, replace(new, outputs=old.outputs))
        else:
            step = Step("update", old, replace(new, outputs=old.outputs, modified=now()), diffs=changes.keys(old, new))
        return self._record(step, must_write=old is None or not changes.same_record(old, step.resource))

    def _record(self, step: Step, *, must_write: bool = True) -> Registered:
        """A step without an effect outside."""
        self._op.events.before(step)
        new = step.resource
        self._op.snapshot.finish(dealt_with=step.old, now=new, write=must_write)
        self._op.events.after(step)
        return self._finished(new, stable=step.op == "same")

    def complete(self, urn: str, outputs: Properties) -> None:
        """Gives a component its outputs.

        Raises:
            EngineError: it was not registered.
        """
        self._op.events.hide(values.secret_texts(outputs))
        with self._lock:
            old = self.done.get(urn)
            if old is None:
                if urn in self.failed:
                    return
                raise EngineError(f"outputs were registered for {urn}, which was not registered")
            new = replace(old, outputs=outputs)
            self.done[urn] = new
        if not self._op.preview and values.contains(outputs, Unknown):
            # Something the outputs come from has failed; what is known of the rest is kept.
            known = {key: item for key, item in outputs.items() if not values.contains(item, Unknown)}
            new = replace(old, outputs=known)
            with self._lock:
                self.done[urn] = new
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
            name = f"default_{version.replace('.', '_').replace('-', '_').replace('+', '_')}" if version else "default"
            inputs = self._op.provider_config(package) | ({"version": version} if version else {})
            found = self._register(Goal(f"{urns.PROVIDER_PREFIX}{package}", name, custom=True, inputs=inputs))
            if found.status != SUCCEEDED:
                raise EngineError(f"the default provider of the package '{package}' is not available")
            mine.set_result(f"{found.urn}::{found.id or UNKNOWN_STRING}")
        except BaseException as error:
            mine.set_exception(error)
            raise
        return mine.result()

    def _provider(self, urn: str, goal: Goal) -> Registered:
        old, aliases = self._predecessor(urn, goal)
        old_inputs = old.inputs if old else {}
        checked = self._op.registry.check(urn, old_inputs, goal.inputs)
        if checked.failures:
            raise EngineError("; ".join(checked.failures))
        new = replace(self._desired(urn, goal, checked.inputs, old), outputs=checked.inputs, aliases=aliases)
        if old is None:
            return self._start(Step("create", None, new))
        diff = self._op.registry.diff(urn, old.inputs, checked.inputs)
        if diff.changes == "unknown":
            diff = changes.compare(old.inputs, checked.inputs, diff)
        if not diff.replaces:
            op = "same" if values.plain(old.inputs) == values.plain(checked.inputs) else "update"
            return self._start(
                Step(op, old, replace(new, id=old.id), diffs=diff.keys, detailed=diff.detailed),
            )
        self._check_protected(old)
        return self._start(Step("replace", old, new, diff.replaces, diff.keys, diff.detailed))

    def _start(self, step: Step) -> Registered:
        self._op.events.before(step)
        new, old = step.resource, step.old
        new = replace(new, id=self._op.registry.start(new.urn, new.id, new.inputs))
        if step.op != "same":
            new = replace(new, created=new.created or now(), modified=now())
        if step.op == "replace":
            self._op.snapshot.finish(now=new, replaced=old)
        else:
            same = old is not None and step.op == "same" and changes.same_record(old, new)
            self._op.snapshot.finish(dealt_with=old, now=new, write=not same)
        self._op.events.after(replace(step, new=new))
        return self._finished(new, stable=step.op == "same")

    def provider_of(self, goal: Goal) -> tuple[Goal, Provider]:
        """The goal with its provider's reference, and the provider."""
        if not goal.provider:
            reference = self.default_provider(urns.package_of(goal.type), goal.version)
            goal = replace(goal, provider=reference)
        with self._lock:
            known = dict(self.done)
        return goal, self._op.instance(goal.provider, known)

    # Custom resources

    def _custom(self, urn: str, goal: Goal) -> Registered:
        if urns.package_of(goal.type) == BUILTIN:
            raise EngineError(f"the resource type {goal.type} is not supported by the lab's engine")
        goal, provider = self.provider_of(goal)
        old, aliases = self._predecessor(urn, goal)
        goal = replace(goal, aliases=aliases)
        if old is not None and old.external:
            # It was only read until now; from now on it is the program's own.
            self._op.snapshot.finish(dealt_with=old)
            old = None
        if goal.import_id and (old is None or goal.import_id not in {old.id, old.import_id}):
            return self._import(urn, goal, provider, old)
        inputs = changes.ignoring(goal.inputs, old.inputs, goal.ignore_changes) if old else goal.inputs
        inputs = self._checked(provider, urn, old.inputs if old else {}, inputs)
        new = self._desired(urn, goal, inputs, old)
        if old is None:
            return self._create(provider, Step("create", None, new))
        diff = self._diff(provider, old, new)
        if diff.replaces:
            return self._replace(provider, goal, Step("replace", old, new, diff.replaces, diff.keys, diff.detailed), diff)
        if diff.changes == "none":
            kept = replace(new, id=old.id, outputs=values.mark_keys(old.outputs, new.additional_secret_outputs))
            return self._record(Step("same", old, kept), must_write=not changes.same_record(old, kept))
        return self._update(provider, Step("update", old, replace(new, id=old.id), (), diff.keys, diff.detailed))

    def _checked(self, provider: Provider, urn: str, old: Properties, new: Properties) -> Properties:
        self._op.events.hide(values.secret_texts(new))
        checked = provider.check(urn, old, new, os.urandom(32))
        if checked.failures:
            raise EngineError(f"{urns.type_of(urn)} resource '{urns.name_of(urn)}' has a problem: " + "; ".join(checked.failures))
        return checked.inputs

    def _diff(self, provider: Provider, old: Resource, new: Resource) -> Diff:
        if old.provider != new.provider and self._provider_changed(old.provider, new.provider):
            return Diff("some", ("provider",), ("provider",), {})
        diff = provider.diff(new.urn, old.id, (old.inputs, old.outputs), new.inputs, new.ignore_changes)
        if diff.changes == "unknown":
            diff = changes.compare(old.inputs, new.inputs, diff)
        if diff.changes == "some" and not diff.detailed:
            diff = replace(diff, detailed=changes.compare(old.inputs, new.inputs, diff).detailed)
        diff = changes.replacing_on(diff, new.replace_on_changes)
        if old.init_errors and diff.changes == "none":
            # It never became what it should be: it is tried again.
            diff = replace(diff, changes="some")
        return diff

    def _provider_changed(self, old: str, new: str) -> bool:
        """Whether another provider means another resource: only explicit ones say where a resource lies."""
        old_urn, new_urn = old.rpartition("::")[0], new.rpartition("::")[0]
        if urns.is_default_provider(old_urn) and urns.is_default_provider(new_urn):
            return False
        return self._renamed.get(new_urn, new_urn) != old_urn or not new.endswith(old.rpartition("::")[2])

    def _check_protected(self, old: Resource) -> None:
        if old.protect:
            raise EngineError(
                f"unable to replace resource \"{old.urn}\"\nas it is currently marked for protection. To unprotect "
                "the resource, remove the `protect` flag from the resource in your Pulumi program and run "
                "`pulumi up`"
            )

    def _create(self, provider: Provider, step: Step, *, replaced: Resource | None = None) -> Registered:
        events, new = self._op.events, step.resource
        events.before(step)
        operation = self._op.begin("creating", new)
        try:
            identifier, outputs = provider.create(new.urn, new.inputs, new.custom_timeouts.get("create", 0.0))
        except InitializationError as error:
            self._op.snapshot.finish(operation, now=self._with_outcome(new, error), replaced=replaced)
            events.failed(step)
            raise
        except ProviderError:
            self._op.snapshot.finish(operation)
            events.failed(step)
            raise
        made = replace(new, id=identifier, outputs=self._marked(new, outputs), created=now(), modified=now())
        self._op.snapshot.finish(operation, now=made, replaced=replaced)
        events.after(replace(step, new=made))
        return self._finished(made)

    def _with_outcome(self, new: Resource, error: InitializationError) -> Resource:
        """What is there after a creation or update that was not seen through."""
        return replace(
            new,
            id=error.id or new.id,
            inputs=values.mark_like(error.inputs, new.inputs) if error.inputs else new.inputs,
            outputs=self._marked(new, values.mark_like(error.outputs, new.inputs)),
            init_errors=error.reasons,
            created=new.created or now(),
            modified=now(),
        )

    def _marked(self, new: Resource, outputs: Properties) -> Properties:
        return values.mark_keys(outputs, new.additional_secret_outputs)

    def _update(self, provider: Provider, step: Step) -> Registered:
        events, new, old = self._op.events, step.resource, step.old
        if old is None:
            raise ValueError("an update needs an old state")
        events.before(step)
        operation = self._op.begin("updating", new)
        try:
            outputs = provider.update(
                new.urn,
                old.id,
                (old.inputs, old.outputs),
                new.inputs,
                new.ignore_changes,
                new.custom_timeouts.get("update", 0.0),
            )
        except InitializationError as error:
            self._op.snapshot.finish(operation, dealt_with=old, now=self._with_outcome(new, error))
            events.failed(step)
            raise
        except ProviderError:
            self._op.snapshot.finish(operation)
            events.failed(step)
            raise
        made = replace(new, outputs=self._marked(new, outputs), modified=now())
        self._op.snapshot.finish(operation, dealt_with=old, now=made)
        events.after(replace(step, new=made))
        return self._finished(made)

    def _replace(self, provider: Provider, goal: Goal, step: Step, diff: Diff) -> Registered:
        old = step.old
        if old is None:
            raise ValueError("a replacement needs an old state")
        self._check_protected(old)
        # Names that a provider makes up must be made up anew: the old one is still taken.
        new = replace(step.resource, inputs=self._checked(provider, old.urn, {}, goal.inputs))
        step = replace(step, new=new)
        before = goal.delete_before_replace if goal.delete_before_replace is not None else diff.delete_before_replace
        if before:
            self._delete_replaced(old, diff)
        made = self._create(
            provider,
            replace(step, op="create-replacement", logical=False),
            replaced=None if before else old,
        )
        with self._lock:
            new = self.done[made.urn]
        self._op.events.before(replace(step, new=new))
        self._op.events.after(replace(step, new=new))
        return made

    def _delete_replaced(self, old: Resource, diff: Diff) -> None:
        step = Step("delete-replaced", old, None, diff.replaces, diff.keys, diff.detailed, logical=False)
        delete(self._op, step, {**self._old, **self.done})

    def _import(self, urn: str, goal: Goal, provider: Provider, old: Resource | None) -> Registered:
        """Takes over what exists: what is declared must be what is there."""
        op = "import" if old is None else "import-replacement"
        if old is not None:
            self._check_protected(old)
        if not provider.configured:
            new = replace(self._desired(urn, goal, goal.inputs, None), id=goal.import_id)
            return self._record(Step(op, old, new))
        announced = replace(self._desired(urn, goal, goal.inputs, None), id=goal.import_id)
        operation = self._op.begin("importing", announced)
        try:
            found = provider.read(urn, goal.import_id, {}, {})
            if not found.id:
                raise EngineError(f"resource '{goal.import_id}' does not exist")
            inputs = self._checked(
                provider, urn, found.inputs, changes.ignoring(goal.inputs, found.inputs, goal.ignore_changes)
            )
            diff = provider.diff(urn, found.id, (found.inputs, found.outputs), inputs, goal.ignore_changes)
            if diff.changes == "unknown":
                diff = changes.compare(found.inputs, inputs, diff)
        except (ProviderError, EngineError):
            if operation is not None:
                self._op.snapshot.finish(operation)
            raise
        outputs = values.mark_keys(values.mark_like(found.outputs, inputs), goal.additional_secret_outputs)
        new = replace(
            self._desired(urn, goal, inputs, None), id=found.id, outputs=outputs, created=now(), modified=now()
        )
        step = Step(op, old, new, (), diff.keys, diff.detailed)
        self._op.events.before(step)
        if diff.changes != "none":
            message = f"inputs to import do not match the existing resource: {', '.join(diff.keys) or 'unknown'}"
            if not self._op.preview:
                if operation is not None:
                    self._op.snapshot.finish(operation)
                self._op.events.failed(step)
                raise EngineError(message)
            self._op.events.diagnostic("warning", f"{message}; importing this resource will fail", urn)
        self._op.snapshot.finish(operation, now=new, replaced=old)
        self._op.events.after(step)
        return self._finished(new)


    # Reads

    def read(self, goal: Goal, identifier: str, find: Callable[[Goal, str, str], Resource]) -> Registered:
        """Records a resource that the program only reads; `find` says what is there.

        Raises:
            Cancelled: the operation was interrupted.
        """
        with self._step():
            return self._read(goal, identifier, find)

    def _read(self, goal: Goal, identifier: str, find: Callable[[Goal, str, str], Resource]) -> Registered:
        urn = urns.make(self._op.stack, self._op.project, goal.parent, goal.type, goal.name)
        with self._lock:
            duplicate = urn in self.seen
            self.seen.add(urn)
            blocked = not self.failed.isdisjoint(goal.needs())
        if duplicate:
            return self._fail(urn, f"Duplicate resource URN '{urn}'; try giving it a unique name")
        unknown = identifier in UNKNOWN_STRINGS
        if blocked or (unknown and not self._op.preview):
            with self._lock:
                self.failed.add(urn)
            return Registered(urn, SKIPPED)
        old, _ = self._predecessor(urn, goal)
        if unknown:
            new = Resource(urn=urn, type=goal.type, custom=True, inputs=goal.inputs, parent=goal.parent, external=True)
        else:
            try:
                new = find(goal, urn, identifier)
            except (EngineError, ProviderError) as error:
                return self._fail(urn, str(error))
        self._op.events.hide(values.secret_texts(new.outputs))
        replaced = old is not None and not old.external
        step = Step("read-replacement" if replaced else "read", old, new)
        self._op.events.before(step)
        if replaced:
            self._op.snapshot.finish(now=new, replaced=old)
        else:
            self._op.snapshot.finish(
                dealt_with=old, now=new, write=old is None or not changes.same_record(old, new)
            )
        self._op.events.after(step)
        return self._finished(new)


def delete(operation: Operation, step: Step, known: Mapping[str, Resource], *, with_parent: bool = False) -> None:
    """Deletes a resource of the state; `with_parent` where that on which it goes is deleted too.

    Raises:
        ProviderError: the provider could not; the state still has the resource.
    """
    resource = step.resource
    operation.events.before(step)
    touches = (
        resource.custom
        and not urns.is_provider_type(resource.type)
        and not resource.external
        and not resource.retain_on_delete
        and not with_parent
        and not operation.preview
    )
    announced = None
    if touches:
        announced = operation.begin("deleting", resource)
        try:
            provider = operation.instance(resource.provider, known)
            provider.delete(
                resource.urn,
                resource.id,
                resource.inputs,
                resource.outputs,
                resource.custom_timeouts.get("delete", 0.0),
            )
        except (ProviderError, EngineError):
            operation.snapshot.finish(announced)
            operation.events.failed(step)
            raise
    operation.snapshot.finish(announced, dealt_with=resource)
    operation.events.after(step)


