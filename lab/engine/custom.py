"""The steps of custom resources: what a provider creates, updates, replaces or has already."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from lab.engine import changes, values
from lab.engine import urn as urns
from lab.engine.errors import EngineError
from lab.engine.events import Step
from lab.engine.goal import Goal, desired
from lab.engine.operation import Operation, delete
from lab.engine.providers import Diff, Found, InitializationError, Provider, ProviderError
from lab.engine.state import Resource, now
from lab.engine.values import UNKNOWN, Properties

Known = Callable[[], Iterable[Resource]]
_MISMATCH = "inputs to import do not match the existing resource"


class CustomSteps:
    """Carries out, or foretells, the steps of custom resources. Thread-safe.

    It keeps nothing of its own but which resources had to go before their turn.
    """

    def __init__(self, operation: Operation, renamed: Mapping[str, str], known: Known) -> None:
        """`renamed` tells the old URNs of what came by an alias; `known` gives all resources."""
        self._op = operation
        self._renamed = renamed
        self._known = known
        self._gone: set[str] = set()

    def apply(self, urn: str, goal: Goal, provider: Provider, old: Resource | None) -> tuple[Resource, bool]:
        """Brings a resource to its goal; returns it and whether it is unchanged.

        Raises:
            EngineError: the goal cannot be reached.
            ProviderError: the provider could not reach it; the state tells how far it came.
        """
        if goal.import_id and (old is None or goal.import_id not in {old.id, old.import_id}):
            return self._import(urn, goal, provider, old), False
        inputs = changes.ignoring(goal.inputs, old.inputs, goal.ignore_changes) if old else goal.inputs
        gone = old is not None and old.urn in self._gone
        inputs = self._checked(provider, urn, {} if old is None or gone else old.inputs, inputs)
        new = desired(urn, goal, inputs, old)
        self._op.judge(new, self._known)
        if old is None:
            return self._create(provider, Step("create", None, new)), False
        if gone:
            step = Step("replace", old, replace(new, created=""))
            return self._replacement(provider, step, None), False
        diff = self._diff(provider, old, new)
        if diff.replaces:
            step = Step("replace", old, replace(new, created=""), diff.replaces, diff.keys, diff.detailed)
            return self._replace(provider, goal, step, old, diff.delete_before_replace), False
        if diff.changes == "none":
            outputs = values.mark_keys(old.outputs, new.additional_secret_outputs)
            return self._same(Step("same", old, replace(new, id=old.id, outputs=outputs))), True
        step = Step("update", old, replace(new, id=old.id), (), diff.keys, diff.detailed)
        return self._update(provider, step, old), False

    def _checked(self, provider: Provider, urn: str, old: Properties, new: Properties) -> Properties:
        self._op.events.hide(values.secret_texts(new))
        checked = provider.check(urn, old, new, os.urandom(32))
        if checked.failures:
            problems = "; ".join(checked.failures)
            raise EngineError(f"{urns.type_of(urn)} resource '{urns.name_of(urn)}' has a problem: {problems}")
        return checked.inputs

    def _diff(self, provider: Provider, old: Resource, new: Resource) -> Diff:
        if old.provider != new.provider and self._provider_changed(old.provider, new.provider):
            return Diff("some", ("provider",), ("provider",))
        diff = provider.diff(new.urn, old.id, (old.inputs, old.outputs), new.inputs, new.ignore_changes)
        if diff.changes == "unknown":
            diff = changes.compare(old.inputs, new.inputs, diff)
        if diff.changes == "some" and not diff.detailed:
            diff = replace(diff, detailed=changes.explained(old.inputs, new.inputs, diff))
        diff = changes.replacing_on(diff, new.replace_on_changes)
        if old.init_errors and diff.changes == "none":
            # It never became what it should be: it is tried again.
            diff = replace(diff, changes="some")
        return diff

    def _provider_changed(self, old: str, new: str) -> bool:
        """Whether another provider means another resource: only explicit ones say where a resource lies."""
        old_urn, _, old_id = old.rpartition("::")
        new_urn, _, new_id = new.rpartition("::")
        if urns.is_default_provider(old_urn) and urns.is_default_provider(new_urn):
            return False
        return self._renamed.get(new_urn, new_urn) != old_urn or new_id != old_id

    def _same(self, step: Step) -> Resource:
        self._op.events.before(step)
        old, new = step.old, step.resource
        self._op.snapshot.finish(
            dealt_with=old, now=new, write=old is None or not changes.same_record(old, new)
        )
        self._op.events.after(step)
        return new

    def _create(self, provider: Provider, step: Step, *, replaced: Resource | None = None) -> Resource:
        events, new = self._op.events, step.resource
        events.before(step)
        operation = self._op.begin("creating", new)
        try:
            identifier, outputs = provider.create(new.urn, new.inputs, new.custom_timeouts.get("create", 0.0))
        except InitializationError as error:
            self._op.snapshot.finish(operation, now=_after(new, error), replaced=replaced)
            events.failed(step)
            raise
        except ProviderError:
            self._op.snapshot.finish(operation)
            events.failed(step)
            raise
        outputs = values.mark_keys(outputs, new.additional_secret_outputs)
        made = replace(new, id=identifier, outputs=outputs, created=now(), modified=now())
        self._op.snapshot.finish(operation, now=made, replaced=replaced)
        events.after(replace(step, new=made))
        return made

    def _update(self, provider: Provider, step: Step, old: Resource) -> Resource:
        events, new = self._op.events, step.resource
        events.before(step)
        operation = self._op.begin("updating", new)
        timeout = new.custom_timeouts.get("update", 0.0)
        state = (old.inputs, old.outputs)
        try:
            outputs = provider.update(
                new.urn, old.id, state, new.inputs, ignore=new.ignore_changes, timeout=timeout
            )
        except InitializationError as error:
            self._op.snapshot.finish(operation, dealt_with=old, now=_after(new, error))
            events.failed(step)
            raise
        except ProviderError:
            self._op.snapshot.finish(operation)
            events.failed(step)
            raise
        made = replace(new, outputs=values.mark_keys(outputs, new.additional_secret_outputs), modified=now())
        self._op.snapshot.finish(operation, dealt_with=old, now=made)
        events.after(replace(step, new=made))
        return made

    def _replace(
        self, provider: Provider, goal: Goal, step: Step, old: Resource, provider_says: bool
    ) -> Resource:
        check_protected(old)
        # Names that a provider makes up are made up anew: the old one is still taken.
        new = replace(step.resource, inputs=self._checked(provider, step.resource.urn, {}, goal.inputs))
        step = replace(step, new=new)
        asked = goal.delete_before_replace
        if not (provider_says if asked is None else asked):
            return self._replacement(provider, step, old)
        for item in self._bound_to(old):
            check_protected(item)
            delete(self._op, Step("delete-replaced", item, None, logical=False), self._known())
            self._gone.add(item.urn)
        delete(self._op, replace(step, op="delete-replaced", new=None, logical=False), self._known())
        return self._replacement(provider, step, None)

    def _replacement(self, provider: Provider, step: Step, replaced: Resource | None) -> Resource:
        made = self._create(
            provider, replace(step, op="create-replacement", logical=False), replaced=replaced
        )
        step = replace(step, new=made)
        self._op.events.before(step)
        self._op.events.after(step)
        return made

    def _bound_to(self, old: Resource) -> list[Resource]:
        """What a new `old` would replace too, so that it cannot stay without it; dependents first."""
        going = {old.urn}
        found: list[Resource] = []
        for item in self._op.snapshot.remaining():
            if not item.custom or item.external or item.delete or item is old:
                continue
            if urns.is_provider_type(item.type):
                continue
            inputs = {
                key: UNKNOWN if going & set(item.property_dependencies.get(key, ())) else value
                for key, value in item.inputs.items()
            }
            if item.provider.rpartition("::")[0] not in going:
                if inputs == item.inputs:
                    continue
                provider = self._op.instance(item.provider, self._known())
                diff = provider.diff(
                    item.urn, item.id, (item.inputs, item.outputs), inputs, item.ignore_changes
                )
                if not diff.replaces:
                    continue
            going.add(item.urn)
            found.insert(0, item)
        return found

    def _import(self, urn: str, goal: Goal, provider: Provider, old: Resource | None) -> Resource:
        """Takes over what exists: what is declared must be what is there."""
        op = "import" if old is None else "import-replacement"
        if old is not None:
            check_protected(old)
        announced = replace(desired(urn, goal, goal.inputs, None), id=goal.import_id)
        self._op.judge(announced, self._known)
        if not provider.configured:
            return self._same(Step(op, old, announced))
        operation = self._op.begin("importing", announced)
        try:
            found, inputs, diff = self._existing(urn, goal, provider)
        except (ProviderError, EngineError):
            self._op.snapshot.finish(operation)
            raise
        outputs = values.mark_keys(values.mark_like(found.outputs, inputs), goal.additional_secret_outputs)
        new = replace(announced, inputs=inputs, id=found.id, outputs=outputs, created=now(), modified=now())
        step = Step(op, old, new, (), diff.keys, diff.detailed)
        self._op.events.before(step)
        if diff.changes != "none":
            warning = f"{_MISMATCH}: {', '.join(diff.keys)}; importing this resource will fail"
            self._op.events.diagnostic("warning", warning, urn)
        self._op.snapshot.finish(operation, now=new, replaced=old)
        self._op.events.after(step)
        return new

    def _existing(self, urn: str, goal: Goal, provider: Provider) -> tuple[Found, Properties, Diff]:
        """What is to be imported, the inputs that are declared for it, and how they differ.

        Raises:
            EngineError: there is nothing, or, but for a preview, they differ.
        """
        found = provider.read(urn, goal.import_id, {}, {})
        if not found.id:
            raise EngineError(f"resource '{goal.import_id}' does not exist")
        wanted = changes.ignoring(goal.inputs, found.inputs, goal.ignore_changes)
        inputs = self._checked(provider, urn, found.inputs, wanted)
        diff = provider.diff(urn, found.id, (found.inputs, found.outputs), inputs, goal.ignore_changes)
        if diff.changes == "unknown":
            diff = changes.compare(found.inputs, inputs, diff)
        if diff.changes != "none" and not self._op.preview:
            raise EngineError(f"{_MISMATCH}: {', '.join(diff.keys)}")
        return found, inputs, diff


def _after(new: Resource, error: InitializationError) -> Resource:
    """What is there after a creation or update that was not seen through."""
    outputs = values.mark_like(error.outputs, new.inputs)
    return replace(
        new,
        id=error.id or new.id,
        inputs=values.mark_like(error.inputs, new.inputs) if error.inputs else new.inputs,
        outputs=values.mark_keys(outputs, new.additional_secret_outputs),
        init_errors=error.reasons,
        created=new.created or now(),
        modified=now(),
    )


def check_protected(old: Resource) -> None:
    """To be called before something is replaced.

    Raises:
        EngineError: it is protected.
    """
    if old.protect:
        raise EngineError(
            f'unable to replace resource "{old.urn}"\nas it is currently marked for protection. To unprotect '
            "the resource, remove the `protect` flag from the resource in your Pulumi program and run "
            "`pulumi up`"
        )
