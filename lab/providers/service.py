"""The gRPC service: translates ``pulumi/provider.proto`` to the interface in `lab.providers.base`.

Several instances of a provider share one port. Each is a gRPC channel of its own, so what an instance was
configured with is kept by the channel's peer address.
"""

# ruff: noqa: ARG002 - every method takes what the protocol gives it
from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

import grpc
from google.protobuf import any_pb2, empty_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc, status_pb2

from lab.providers import compare
from lab.providers.base import (
    Difference,
    Instance,
    PartialFailureError,
    Properties,
    Provider,
    ProviderError,
    Resource,
    State,
    decode,
    encode,
    settings_of,
)

log = logging.getLogger(__name__)

# A channel lives as long as one operation of an engine; the oldest configurations are of channels long
# closed.
MAX_INSTANCES = 4096

_KINDS = {
    ("add", False): provider_pb2.PropertyDiff.ADD,
    ("add", True): provider_pb2.PropertyDiff.ADD_REPLACE,
    ("delete", False): provider_pb2.PropertyDiff.DELETE,
    ("delete", True): provider_pb2.PropertyDiff.DELETE_REPLACE,
    ("update", False): provider_pb2.PropertyDiff.UPDATE,
    ("update", True): provider_pb2.PropertyDiff.UPDATE_REPLACE,
}


class ProviderService(provider_pb2_grpc.ResourceProviderServicer):
    """One provider on one port. What it does not implement answers UNIMPLEMENTED, as generated."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._instances: OrderedDict[str, Instance] = OrderedDict()
        self._lock = Lock()

    def Handshake(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        return provider_pb2.ProviderHandshakeResponse()

    def Attach(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        return empty_pb2.Empty()

    def GetPluginInfo(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        return plugin_pb2.PluginInfo(version=self._provider.version)

    def Cancel(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        # An engine sends this at the end of each operation to a provider that stays attached.
        return empty_pb2.Empty()

    def CheckConfig(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        olds = decode(request.old_inputs if request.HasField("old_inputs") else request.olds)
        return _diff_response(
            compare.difference(State("", olds, olds), decode(request.news), replaces=lambda _: False)
        )

    def Configure(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        with _errors(context):
            instance = self._provider.configure(settings_of(request.variables, decode(request.args)))
            with self._lock:
                self._instances[context.peer()] = instance
                while len(self._instances) > MAX_INSTANCES:
                    self._instances.popitem(last=False)
        return provider_pb2.ConfigureResponse(supportsPreview=True)

    def Check(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        with _errors(context):
            checked = self._instance(context).check(
                Resource(request.urn), decode(request.olds), decode(request.news), request.randomSeed
            )
            failures = [provider_pb2.CheckFailure(property=at, reason=why) for at, why in checked.failures]
            return provider_pb2.CheckResponse(inputs=encode(checked.inputs), failures=failures)

    def Diff(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        with _errors(context):
            difference = self._instance(context).diff(
                Resource(request.urn), _old_state(request), decode(request.news)
            )
            return _diff_response(difference)

    def Create(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        with _errors(context):
            state = self._instance(context).create(
                Resource(request.urn),
                decode(request.properties),
                preview=request.preview,
                timeout=request.timeout,
            )
            return provider_pb2.CreateResponse(id=state.id, properties=encode(state.outputs))

    def Update(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        with _errors(context):
            outputs = self._instance(context).update(
                Resource(request.urn),
                _old_state(request),
                decode(request.news),
                preview=request.preview,
                timeout=request.timeout,
            )
            return provider_pb2.UpdateResponse(properties=encode(outputs))

    def Delete(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        with _errors(context):
            outputs = decode(request.properties)
            inputs = decode(request.old_inputs) if request.HasField("old_inputs") else {}
            old = State(request.id, outputs, inputs)
            self._instance(context).delete(Resource(request.urn), old, timeout=request.timeout)
        return empty_pb2.Empty()

    def Read(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        with _errors(context):
            old = State(request.id, decode(request.properties), decode(request.inputs))
            state = self._instance(context).read(Resource(request.urn), old)
            if state is None:
                return provider_pb2.ReadResponse()
            return provider_pb2.ReadResponse(
                id=state.id, properties=encode(state.outputs), inputs=encode(state.inputs)
            )

    def Invoke(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        with _errors(context):
            answer = self._instance(context).invoke(request.tok, decode(request.args))
            return _invoke_response(answer)

    def _instance(self, context: grpc.ServicerContext) -> Instance:
        with self._lock:
            instance = self._instances.get(context.peer())
        if instance is None:
            raise ProviderError(
                f"the {self._provider.name} provider was not configured on this channel ({context.peer()}): "
                "call Configure first, and give each provider instance a channel of its own",
                grpc.StatusCode.FAILED_PRECONDITION,
            )
        return instance


def _invoke_response(answer: Properties) -> Any:
    response = provider_pb2.InvokeResponse()
    # The field is named by a keyword of Python's.
    getattr(response, "return").CopyFrom(encode(answer))
    return response


def _old_state(request: Any) -> State:
    outputs: Properties = decode(request.olds)
    inputs = decode(request.old_inputs) if request.HasField("old_inputs") else outputs
    return State(request.id, outputs, inputs)


def _diff_response(difference: Difference) -> Any:
    paths = {compare.render_path(change.path): change for change in difference.changes}
    tops = sorted({str(change.path[0]) for change in difference.changes})
    return provider_pb2.DiffResponse(
        changes=provider_pb2.DiffResponse.DIFF_SOME if paths else provider_pb2.DiffResponse.DIFF_NONE,
        diffs=tops,
        replaces=sorted({str(change.path[0]) for change in difference.changes if change.replace}),
        deleteBeforeReplace=difference.delete_before_replace,
        hasDetailedDiff=True,
        detailedDiff={
            path: provider_pb2.PropertyDiff(kind=_KINDS[change.kind, change.replace], inputDiff=True)
            for path, change in paths.items()
        },
    )


@contextmanager
def _errors(context: grpc.ServicerContext) -> Iterator[None]:
    """Answer a failure with its gRPC status; a defect of ours with INTERNAL, its trace in the log."""
    try:
        yield
    except PartialFailureError as error:
        detail = any_pb2.Any()
        detail.Pack(
            provider_pb2.ErrorResourceInitFailed(
                id=error.state.id,
                properties=encode(error.state.outputs),
                inputs=encode(error.state.inputs),
                reasons=[str(error)],
            )
        )
        status = status_pb2.Status(code=error.code.value[0], message=str(error), details=[detail])
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        context.abort(error.code, str(error))
    except ProviderError as error:
        context.abort(error.code, str(error))
    except Exception as error:
        log.exception("a provider failed in a way it does not know")
        context.abort(grpc.StatusCode.INTERNAL, f"{type(error).__name__}: {error}")
