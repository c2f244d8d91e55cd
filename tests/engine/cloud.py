"""A tiny provider for the tests: a gRPC server of the official protocol over things in memory."""

# ruff: noqa: N802 (names are the protocol's)
from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf import any_pb2, empty_pb2, json_format, struct_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc, status_pb2

UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"


def plain(struct: struct_pb2.Struct) -> dict[str, Any]:
    """The content of a message."""
    return dict(json_format.MessageToDict(struct))


def struct(content: dict[str, Any]) -> struct_pb2.Struct:
    """A message of the content."""
    found = struct_pb2.Struct()
    found.update(content)
    return found


@dataclass
class Thing:
    """What is there."""

    id: str
    inputs: dict[str, Any]
    region: str


@dataclass
class Cloud(provider_pb2_grpc.ResourceProviderServicer):
    """Things with these inputs of a meaning:

    `zone`: a change of it replaces the thing; `fail`: the operation that is to fail, or `init`;
    `held`: creating and updating wait until the test releases them; any other is a plain value.
    Each thing has the output `address`, which is known only when it is there.
    """

    port: int = 0
    things: dict[str, Thing] = field(default_factory=dict)
    calls: list[tuple[str, str]] = field(default_factory=list)
    peers: dict[str, dict[str, Any]] = field(default_factory=dict)
    entered: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)
    accepts_secrets: bool = True
    detailed: bool = True
    lock: threading.Lock = field(default_factory=threading.Lock)
    count: int = 0

    def note(self, method: str, request: Any) -> str:
        """Remembers a call and returns the name of what it is about."""
        name = getattr(request, "urn", "").rsplit("::", 1)[-1]
        with self.lock:
            self.calls.append((method, name))
        return name

    def order(self, *methods: str) -> list[str]:
        """What was called, of these methods."""
        return [f"{method} {name}" for method, name in self.calls if method in methods]

    def Handshake(self, request: Any, context: Any) -> Any:
        self.note("Handshake", request)
        return provider_pb2.ProviderHandshakeResponse(
            accept_secrets=self.accepts_secrets, accept_resources=True
        )

    def Attach(self, request: Any, context: Any) -> Any:
        self.note("Attach", request)
        return empty_pb2.Empty()

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        self.note("GetPluginInfo", request)
        return plugin_pb2.PluginInfo(version="1.0.0")

    def CheckConfig(self, request: Any, context: Any) -> Any:
        self.note("CheckConfig", request)
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: Any, context: Any) -> Any:
        self.note("DiffConfig", request)
        old, new = plain(request.olds), plain(request.news)
        moved = old.get("region") != new.get("region")
        return provider_pb2.DiffResponse(
            changes=provider_pb2.DiffResponse.DIFF_SOME,
            replaces=["region"] if moved else [],
            diffs=["region"],
        )

    def Configure(self, request: Any, context: Any) -> Any:
        self.note("Configure", request)
        self.peers[context.peer()] = {"args": plain(request.args), "variables": dict(request.variables)}
        return provider_pb2.ConfigureResponse(
            acceptSecrets=self.accepts_secrets, supportsPreview=True, acceptResources=True
        )

    def region(self, context: Any) -> str:
        """The region of the instance that calls."""
        return str(self.peers[context.peer()]["args"].get("region", ""))

    def Check(self, request: Any, context: Any) -> Any:
        self.note("Check", request)
        new = plain(request.news)
        if new.get("fail") == "check":
            return provider_pb2.CheckResponse(
                failures=[provider_pb2.CheckFailure(property="fail", reason="this is not allowed")]
            )
        request.news.update({"size": new.get("size", 1)})
        return provider_pb2.CheckResponse(inputs=request.news)

    def Diff(self, request: Any, context: Any) -> Any:
        self.note("Diff", request)
        old, new = plain(request.old_inputs), plain(request.news)
        answer = provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_NONE)
        for key in sorted({*old, *new}):
            if old.get(key) == new.get(key) or key in request.ignoreChanges:
                continue
            answer.changes = provider_pb2.DiffResponse.DIFF_SOME
            name = "ADD" if key not in old else "DELETE" if key not in new else "UPDATE"
            if key == "zone":
                answer.replaces.append(key)
                name += "_REPLACE"
            if self.detailed:
                answer.detailedDiff[key].kind = provider_pb2.PropertyDiff.Kind.Value(name)
                answer.hasDetailedDiff = True
            else:
                answer.diffs.append(key)
        return answer

    def hold(self, inputs: dict[str, Any]) -> None:
        """Waits until the test lets go, where the inputs ask for that."""
        if inputs.get("held"):
            self.entered.set()
            self.released.wait(60)

    def outputs(self, identifier: str, inputs: dict[str, Any]) -> dict[str, Any]:
        """The outputs of a thing."""
        return {**inputs, "address": f"address-of-{identifier}"}

    def Create(self, request: Any, context: Any) -> Any:
        name = self.note("Preview" if request.preview else "Create", request)
        inputs = plain(request.properties)
        if request.preview:
            return provider_pb2.CreateResponse(id="", properties=struct({**inputs, "address": UNKNOWN}))
        self.hold(inputs)
        if inputs.get("fail") == "create":
            context.abort(grpc.StatusCode.UNKNOWN, f"the cloud has no room for {name}")
        with self.lock:
            self.count += 1
            identifier = f"{name}-{self.count}"
            self.things[identifier] = Thing(identifier, inputs, self.region(context))
        outputs = self.outputs(identifier, inputs)
        if inputs.get("fail") == "init":
            self.abort_with_details(context, identifier, inputs, outputs)
        return provider_pb2.CreateResponse(id=identifier, properties=struct(outputs))

    def abort_with_details(
        self, context: Any, identifier: str, inputs: dict[str, Any], outputs: dict[str, Any]
    ) -> None:
        """Ends a call with the error that says the thing is there but not well."""
        detail = any_pb2.Any()
        detail.Pack(
            provider_pb2.ErrorResourceInitFailed(
                id=identifier,
                inputs=struct(inputs),
                properties=struct(outputs),
                reasons=["it never got ready"],
            )
        )
        status = status_pb2.Status(code=2, message="initialization failed", details=[detail])
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        context.abort(grpc.StatusCode.UNKNOWN, "initialization failed")

    def Update(self, request: Any, context: Any) -> Any:
        name = self.note("Preview" if request.preview else "Update", request)
        inputs = plain(request.news)
        if not request.preview:
            self.hold(inputs)
            if inputs.get("fail") == "update":
                context.abort(grpc.StatusCode.UNKNOWN, f"the cloud refuses to change {name}")
            self.things[request.id].inputs = inputs
        return provider_pb2.UpdateResponse(properties=struct(self.outputs(request.id, inputs)))

    def Read(self, request: Any, context: Any) -> Any:
        self.note("Read", request)
        thing = self.things.get(request.id)
        if thing is None:
            return provider_pb2.ReadResponse()
        return provider_pb2.ReadResponse(
            id=thing.id, inputs=struct(thing.inputs), properties=struct(self.outputs(thing.id, thing.inputs))
        )

    def Delete(self, request: Any, context: Any) -> Any:
        name = self.note("Delete", request)
        if plain(request.properties).get("fail") == "delete":
            context.abort(grpc.StatusCode.UNKNOWN, f"the cloud will not let go of {name}")
        self.things.pop(request.id, None)
        return empty_pb2.Empty()

    def Invoke(self, request: Any, context: Any) -> Any:
        self.note("Invoke", request)
        arguments = plain(request.args)
        answer = provider_pb2.InvokeResponse()
        if arguments.get("fail"):
            answer.failures.append(provider_pb2.CheckFailure(property="fail", reason="no such thing"))
        getattr(answer, "return").update({"region": self.region(context), "asked": arguments.get("name")})
        return answer

    def Cancel(self, request: Any, context: Any) -> Any:
        self.note("Cancel", request)
        return empty_pb2.Empty()


@contextmanager
def running(cloud: Cloud) -> Iterator[Cloud]:
    """Serves a cloud on a free loopback port."""
    server = grpc.server(ThreadPoolExecutor(max_workers=32))
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(cloud, server)
    cloud.port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield cloud
    finally:
        cloud.released.set()
        server.stop(grace=None).wait(timeout=5.0)
