"""Transforms: functions of the program that change what it registers, called back over gRPC."""

from __future__ import annotations

import threading
from typing import Any

import grpc
from pulumi.runtime.proto import callback_pb2, callback_pb2_grpc, resource_pb2

from lab.engine.errors import EngineError
from lab.engine.providers import CHANNEL_OPTIONS

# Seconds. A transform may wait for other resources.
_TIMEOUT = 3600.0
# Fields that a registration and a transform's options both have, by the names that they have there.
_LISTS = {
    "dependencies": "depends_on",
    "ignoreChanges": "ignore_changes",
    "replaceOnChanges": "replace_on_changes",
    "aliases": "aliases",
    "additionalSecretOutputs": "additional_secret_outputs",
}
_SCALARS = {
    "protect": "protect",
    "version": "version",
    "provider": "provider",
    "pluginDownloadURL": "plugin_download_url",
    "retainOnDelete": "retain_on_delete",
    "deletedWith": "deleted_with",
}


class Transforms:
    """The transforms of one program: of the stack, and of resources, which those below inherit."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stack: list[Any] = []
        self._own: dict[str, list[Any]] = {}
        self._parents: dict[str, str] = {}
        self._channels: dict[str, grpc.Channel] = {}

    def add_to_stack(self, callback: Any) -> None:
        """Adds a transform of everything that is registered from now on."""
        with self._lock:
            self._stack.append(callback)

    def remember(self, urn: str, request: Any) -> None:
        """Makes a registered resource's transforms known to those below it."""
        with self._lock:
            self._parents[urn] = request.parent
            if request.transforms:
                self._own[urn] = list(request.transforms)

    def apply(self, request: Any) -> Any:
        """The registration as its own transforms, those of its parents and those of the stack make it.

        Raises:
            EngineError: one of them failed.
        """
        with self._lock:
            due = list(request.transforms)
            parent = request.parent
            while parent:
                due += self._own.get(parent, [])
                parent = self._parents.get(parent, "")
            due += self._stack
        if not due:
            return request
        changed = resource_pb2.RegisterResourceRequest()
        changed.CopyFrom(request)
        for callback in due:
            self._call(callback, changed)
        return changed

    def _call(self, callback: Any, request: Any) -> None:
        asked = resource_pb2.TransformRequest(
            type=request.type,
            name=request.name,
            custom=request.custom,
            parent=request.parent,
            properties=request.object,
            options=_options(request),
        )
        with self._lock:
            channel = self._channels.get(callback.target)
            if channel is None:
                channel = grpc.insecure_channel(callback.target, options=CHANNEL_OPTIONS)
                self._channels[callback.target] = channel
        stub: Any = callback_pb2_grpc.CallbacksStub(channel)
        message = callback_pb2.CallbackInvokeRequest(token=callback.token, request=asked.SerializeToString())
        try:
            answer = stub.Invoke(message, timeout=_TIMEOUT)
        except grpc.RpcError as error:
            raise EngineError(
                f"a transform of {request.type} {request.name!r} failed: {error.details()}"
            ) from error
        found = resource_pb2.TransformResponse.FromString(answer.response)
        if found.HasField("properties"):
            request.object.CopyFrom(found.properties)
        if found.HasField("options"):
            _take(request, found.options)

    def close(self) -> None:
        """Ends the connections."""
        with self._lock:
            for channel in self._channels.values():
                channel.close()
            self._channels.clear()


def _options(request: Any) -> Any:
    options = resource_pb2.TransformResourceOptions(
        custom_timeouts=request.customTimeouts if request.HasField("customTimeouts") else None,
        providers=dict(request.providers),
    )
    for name, other in _LISTS.items():
        getattr(options, other).extend(getattr(request, name))
    for name, other in _SCALARS.items():
        if not _optional(request, name) or request.HasField(name):
            setattr(options, other, getattr(request, name))
    if request.deleteBeforeReplaceDefined:
        options.delete_before_replace = request.deleteBeforeReplace
    return options


def _take(request: Any, options: Any) -> None:
    for name, other in _LISTS.items():
        request.ClearField(name)
        getattr(request, name).extend(getattr(options, other))
    for name, other in _SCALARS.items():
        if not _optional(options, other) or options.HasField(other):
            setattr(request, name, getattr(options, other))
        else:
            request.ClearField(name)
    request.deleteBeforeReplaceDefined = options.HasField("delete_before_replace")
    request.deleteBeforeReplace = options.delete_before_replace
    request.ClearField("customTimeouts")
    if options.HasField("custom_timeouts"):
        request.customTimeouts.CopyFrom(options.custom_timeouts)
    request.ClearField("providers")
    request.providers.update(options.providers)


def _optional(message: Any, name: str) -> bool:
    """Whether a scalar field tells being absent from being empty."""
    return bool(message.DESCRIPTOR.fields_by_name[name].has_presence)
