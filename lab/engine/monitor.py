"""The gRPC services that a program and the providers talk to: ResourceMonitor and Engine."""

# ruff: noqa: N802, ARG002 (names and arguments are the protocol's)
from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NoReturn

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc, provider_pb2, resource_pb2, resource_pb2_grpc

from lab.engine import VERSION, goal, wire
from lab.engine.deployment import Deployment
from lab.engine.errors import EngineError, RefusedError
from lab.engine.events import Events
from lab.engine.operation import CancelledError
from lab.engine.providers import CHANNEL_OPTIONS, ProviderError
from lab.engine.reads import Reads
from lab.engine.transforms import Transforms

_FEATURES = (
    resource_pb2.RESOURCE_MONITOR_FEATURE_SECRETS,
    resource_pb2.RESOURCE_MONITOR_FEATURE_ALIAS_SPECS,
    resource_pb2.RESOURCE_MONITOR_FEATURE_DELETED_WITH,
    resource_pb2.RESOURCE_MONITOR_FEATURE_TRANSFORMS,
)
_LEGACY_FEATURES = {"secrets", "aliasSpecs", "deletedWith", "transforms"}
# A registration keeps its thread until the resource is there.
_THREADS = 256


class Monitor(resource_pb2_grpc.ResourceMonitorServicer):
    """Serves a program's registrations."""

    def __init__(self, deployment: Deployment, reads: Reads, info: resource_pb2.DeploymentInfo) -> None:
        self._deployment = deployment
        self._reads = reads
        self._info = info
        self._transforms = Transforms()

    def _guard(self, context: Any, work: Callable[[], Any]) -> Any:
        try:
            return work()
        except CancelledError:
            # The SDK takes this for the end of the operation, not for an error of its own.
            context.abort(grpc.StatusCode.UNAVAILABLE, "the operation was interrupted")
        except RefusedError as error:
            context.abort(grpc.StatusCode.UNIMPLEMENTED, str(error))
        except (EngineError, ProviderError, ValueError) as error:
            context.abort(grpc.StatusCode.UNKNOWN, str(error))

    def GetDeploymentInfo(self, request: Any, context: Any) -> Any:
        """What the program may know of the operation, and what it may ask for."""
        info = resource_pb2.DeploymentInfo()
        info.CopyFrom(self._info)
        info.supportedFeatures.extend(_FEATURES)
        return info

    def SupportsFeature(self, request: Any, context: Any) -> Any:
        """For older SDKs, which ask for each feature by name."""
        return resource_pb2.SupportsFeatureResponse(hasSupport=request.id in _LEGACY_FEATURES)

    def RegisterResource(self, request: Any, context: Any) -> Any:
        """Brings a resource to what the program declares."""

        def work() -> Any:
            changed = self._transforms.apply(request)
            wanted = goal.from_request(changed, self._info.stack, self._info.project)
            found = self._deployment.register(wanted)
            self._transforms.remember(found.urn, request)
            return resource_pb2.RegisterResourceResponse(
                urn=found.urn,
                id=found.id,
                object=wire.encode(found.outputs or {}, secrets=request.acceptSecrets),
                stable=found.stable,
                result=resource_pb2.Result.SUCCESS if found.ok else resource_pb2.Result.FAIL,
            )

        return self._guard(context, work)

    def RegisterResourceOutputs(self, request: Any, context: Any) -> Any:
        """Gives a component its outputs."""

        def work() -> Any:
            self._deployment.complete(request.urn, wire.decode(request.outputs))
            return empty_pb2.Empty()

        return self._guard(context, work)

    def ReadResource(self, request: Any, context: Any) -> Any:
        """Reads what exists without owning it."""

        def work() -> Any:
            found = self._reads.read(request)
            return resource_pb2.ReadResourceResponse(
                urn=found.urn,
                id=found.id,
                properties=wire.encode(found.outputs or {}, secrets=request.acceptSecrets),
                result=resource_pb2.Result.SUCCESS if found.ok else resource_pb2.Result.FAIL,
            )

        return self._guard(context, work)

    def Invoke(self, request: Any, context: Any) -> Any:
        """Calls a provider's function."""

        def work() -> Any:
            result, failures = self._reads.invoke(request)
            if result is None:
                return resource_pb2.ResourceInvokeResponse(unknown=True)
            answer = resource_pb2.ResourceInvokeResponse(
                failures=[
                    provider_pb2.CheckFailure(property=name, reason=reason) for name, reason in failures
                ]
            )
            getattr(answer, "return").CopyFrom(wire.encode(result, secrets=True))
            return answer

        return self._guard(context, work)

    def SignalAndWaitForShutdown(self, request: Any, context: Any) -> Any:
        """A program may end when it has registered all; only hooks, which are refused, need it longer."""
        return empty_pb2.Empty()

    def _refuse(self, context: Any, what: str) -> NoReturn:
        context.abort(grpc.StatusCode.UNIMPLEMENTED, str(RefusedError(what)))
        raise AssertionError("unreachable")

    def Call(self, request: Any, context: Any) -> Any:
        """RefusedError."""
        self._refuse(context, f"the method call {request.tok}")

    def ExistsResource(self, request: Any, context: Any) -> Any:
        """RefusedError."""
        self._refuse(context, f"asking whether a {request.type} exists")

    def RegisterStackTransform(self, request: Any, context: Any) -> Any:
        """Adds a transform of everything that the program registers from now on."""
        self._transforms.add_to_stack(request)
        return empty_pb2.Empty()

    def close(self) -> None:
        """Ends the connections to the program."""
        self._transforms.close()

    def RegisterStackInvokeTransform(self, request: Any, context: Any) -> Any:
        """RefusedError."""
        self._refuse(context, "an invoke transform")

    def RegisterResourceHook(self, request: Any, context: Any) -> Any:
        """RefusedError."""
        self._refuse(context, "a resource hook")

    def RegisterErrorHook(self, request: Any, context: Any) -> Any:
        """RefusedError."""
        self._refuse(context, "an error hook")

    def RegisterPackage(self, request: Any, context: Any) -> Any:
        """RefusedError."""
        self._refuse(context, f"the parameterized package {request.name}")


_SEVERITIES = {
    engine_pb2.DEBUG: "debug",
    engine_pb2.INFO: "info",
    engine_pb2.WARNING: "warning",
    engine_pb2.ERROR: "error",
}


class EngineService(engine_pb2_grpc.EngineServicer):
    """Takes messages of the program and of providers."""

    def __init__(self, events: Events) -> None:
        self._events = events
        self._root = ""

    def Log(self, request: Any, context: Any) -> Any:
        """Passes a message on; debug messages, which may hold anything, are dropped."""
        severity = _SEVERITIES[request.severity]
        if severity != "debug":
            self._events.diagnostic(
                severity, request.message, request.urn, stream=request.streamId, ephemeral=request.ephemeral
            )
        return empty_pb2.Empty()

    def GetRootResource(self, request: Any, context: Any) -> Any:
        """The URN of the stack's own resource."""
        return engine_pb2.GetRootResourceResponse(urn=self._root)

    def SetRootResource(self, request: Any, context: Any) -> Any:
        """Remembers the URN of the stack's own resource."""
        self._root = request.urn
        return engine_pb2.SetRootResourceResponse()

    def RequirePulumiVersion(self, request: Any, context: Any) -> Any:
        """RefusedError: this is not the official engine, whatever version it follows."""
        what = f"a required engine version ({request.pulumi_version_range}; this follows {VERSION})"
        context.abort(grpc.StatusCode.UNIMPLEMENTED, str(RefusedError(what)))


class Server:
    """A gRPC server of one service on a free loopback port."""

    def __init__(self, service: Monitor | EngineService) -> None:
        self._server = grpc.server(ThreadPoolExecutor(max_workers=_THREADS), options=CHANNEL_OPTIONS)
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        if isinstance(service, Monitor):
            resource_pb2_grpc.add_ResourceMonitorServicer_to_server(service, self._server)
        else:
            engine_pb2_grpc.add_EngineServicer_to_server(service, self._server)
        self._server.start()

    def stop(self) -> None:
        """Ends calls that are still running and stops."""
        self._server.stop(grace=None).wait(timeout=10.0)
