"""What a program reads without owning it: existing resources, other stacks' outputs, functions."""

from __future__ import annotations

from typing import Any

from lab.engine import urn as urns
from lab.engine import values, wire
from lab.engine.deployment import Deployment, Registered
from lab.engine.errors import EngineError
from lab.engine.goal import Goal
from lab.engine.operation import Operation
from lab.engine.registry import BUILTIN
from lab.engine.state import Resource
from lab.engine.values import Properties

STACK_REFERENCE = "pulumi:pulumi:StackReference"


class Reads:
    """Serves reads and invokes of one deployment."""

    def __init__(self, operation: Operation, deployment: Deployment) -> None:
        self._op = operation
        self._deployment = deployment

    def read(self, request: Any) -> Registered:
        """Reads a resource and records it as external."""
        wanted = Goal(
            type=request.type,
            name=request.name,
            custom=True,
            inputs=wire.decode(request.properties),
            parent=request.parent,
            provider=request.provider,
            version=request.version,
            dependencies=tuple(sorted(request.dependencies)),
            additional_secret_outputs=tuple(request.additionalSecretOutputs),
        )
        return self._deployment.read(wanted, request.id, self._found)

    def _found(self, goal: Goal, urn: str, identifier: str) -> Resource:
        """What is there, as a resource."""
        if goal.type == STACK_REFERENCE:
            outputs = self._stack(identifier)
            provider = self._deployment.default_provider(BUILTIN, "")
            inputs: Properties = {"name": identifier}
        elif urns.package_of(goal.type) == BUILTIN:
            raise EngineError(f"reading a {goal.type} is not supported by the lab's engine")
        else:
            goal, instance = self._deployment.provider_of(goal)
            provider = goal.provider
            if not instance.configured:
                inputs, outputs = goal.inputs, {}
            else:
                found = instance.read(urn, identifier, goal.inputs, {})
                if not found.id:
                    raise EngineError(f"resource '{identifier}' does not exist")
                identifier, inputs, outputs = found.id, found.inputs, found.outputs
        outputs = values.mark_keys(outputs, goal.additional_secret_outputs)
        return Resource(
            urn=urn,
            type=goal.type,
            custom=True,
            id=identifier,
            inputs=inputs,
            outputs=outputs,
            parent=goal.parent,
            provider=provider,
            external=True,
            dependencies=goal.dependencies,
            additional_secret_outputs=goal.additional_secret_outputs,
        )

    def _stack(self, name: str) -> Properties:
        outputs = self._op.read_stack(name)
        secret = sorted(key for key, item in outputs.items() if values.contains(item, values.Secret))
        return {"name": name, "outputs": outputs, "secretOutputNames": secret}

    def invoke(self, request: Any) -> tuple[Properties | None, tuple[tuple[str, str], ...]]:
        """Calls a function; no result where its provider is not known yet."""
        self._op.check_interrupted()
        package = urns.package_of(request.tok)
        if package == BUILTIN:
            raise EngineError(f"the function {request.tok} is not supported by the lab's engine")
        reference = Goal(
            request.tok, "", custom=True, inputs={}, provider=request.provider, version=request.version
        )
        _, provider = self._deployment.provider_of(reference)
        if not provider.configured:
            return None, ()
        return provider.invoke(request.tok, wire.decode(request.args))
