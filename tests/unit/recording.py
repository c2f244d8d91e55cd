"""Runs a Pulumi program against mocks and records what it registered, with each resource's options."""

import asyncio
import contextvars
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pulumi
import pulumi.runtime.mocks
import yaml
from pulumi.runtime import rpc
from pulumi.runtime.settings import configure
from pulumi.runtime.stack import run_in_stack

PROJECT = Path(__file__).parents[2]
IMPORT_WARNINGS = r"ignore:\w+\.\w+(/\w+\.\w+)? has been deprecated:DeprecationWarning"
"""The providers' packages warn of their own modules while they are imported."""
ACCOUNT = "123456789012"
ZONE_ID = "0123456789abcdef0123456789abcdef"
RECORD_ID = "fedcba9876543210fedcba9876543210"
KeyPath = tuple[str | int, ...]
OWNERS_FACTS: dict[KeyPath, object] = {
    ("database", "source", "eip"): "203.0.113.30",
    ("cloudflare", "zones", "truewatch.com"): ZONE_ID,
    ("domains", 0, "record_id"): RECORD_ID,
    ("domains", 0, "source"): "203.0.113.10",
    ("domains", 1, "record_id"): "0f" * 16,
    ("domains", 1, "source"): "203.0.113.10",
    ("account",): ACCOUNT,
    ("notifications", "emails", 0): "alarms@example.com",
    ("replication", "certificates", "source"): "certificates/source.pem",
    ("replication", "certificates", "target"): "certificates/target.pem",
}
"""What stands in the tracked settings of `prod` as placeholders."""
PEER_ROUTE_TABLE = "rtb-0123456789abcdef0"
RHOAM_FACTS: dict[KeyPath, object] = {
    ("threescale", "destination", "custom_domain"): "apps.rhoam.example.com",
    ("threescale", "bucket"): "customer-secrets",
    ("threescale", "default_tenant", "email"): "admin@example.com",
    ("notifications", "emails", 0): "alarms@example.com",
    ("migration", "account"): ACCOUNT,
    ("migration", "peer", "vpc_id"): "vpc-0123456789abcdef0",
    ("migration", "peer", "cidr"): "10.70.0.0/16",
    ("migration", "peer", "route_table_ids", 0): PEER_ROUTE_TABLE,
    ("destination", "account"): ACCOUNT,
    ("destination", "peer", "vpc_id"): "vpc-0fedcba9876543210",
    ("destination", "peer", "cidr"): "10.80.0.0/16",
    ("destination", "peer", "route_table_ids", 0): PEER_ROUTE_TABLE,
    ("cloudflare", "zones", "example.com"): ZONE_ID,
}
"""The same of `rhoam`."""


@dataclass(frozen=True)
class Resource:
    """One registration, as the engine would get it."""

    type: str
    name: str
    urn: str
    inputs: dict[str, Any]
    parent: str
    protect: bool
    retain_on_delete: bool
    import_id: str
    provider: str
    dependencies: tuple[str, ...]
    ignore_changes: tuple[str, ...]
    property_dependencies: dict[str, tuple[str, ...]]
    """By input, the URNs of the resources that its value comes from."""

    @property
    def plain(self) -> dict[str, Any]:
        """The inputs, secrets in plain text."""
        found: dict[str, Any] = _plain(self.inputs)
        return found


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        if rpc._special_sig_key in value:
            return _plain(value["value"])
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


@dataclass
class Recording:
    """What a program registered."""

    resources: list[Resource] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)

    def of(self, type_suffix: str) -> dict[str, Resource]:
        """The resources whose type ends so, by name."""
        return {found.name: found for found in self.resources if found.type.endswith(type_suffix)}

    def one(self, type_suffix: str) -> Resource:
        """The only resource whose type ends so."""
        found = list(self.of(type_suffix).values())
        assert len(found) == 1, f"{len(found)} resources of type {type_suffix}"
        return found[0]


class _Monitor(pulumi.runtime.mocks.MockMonitor):
    def __init__(self, mocks: pulumi.runtime.Mocks, recording: Recording) -> None:
        super().__init__(mocks)
        self._recording = recording

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 - the protocol's name
        if request.type != "pulumi:pulumi:Stack":
            self._recording.resources.append(
                Resource(
                    type=request.type,
                    name=request.name,
                    urn=self.make_urn(request.parent, request.type, request.name),
                    inputs=dict(rpc.deserialize_properties(request.object)),
                    parent=request.parent,
                    protect=request.protect,
                    retain_on_delete=request.retainOnDelete,
                    import_id=request.importId,
                    provider=request.provider,
                    dependencies=tuple(request.dependencies),
                    ignore_changes=tuple(request.ignoreChanges),
                    property_dependencies={
                        name: tuple(found.urns) for name, found in request.propertyDependencies.items()
                    },
                )
            )
        return super().RegisterResource(request)  # type: ignore[no-untyped-call]

    def RegisterResourceOutputs(self, request: Any) -> Any:  # noqa: N802 - the protocol's name
        if "::pulumi:pulumi:Stack::" in request.urn:
            self._recording.outputs.update(rpc.deserialize_properties(request.outputs))
        return super().RegisterResourceOutputs(request)  # type: ignore[no-untyped-call]


class _Cloud(pulumi.runtime.Mocks):
    """Answers with the inputs, an id, and the computed properties that the program passes on."""

    def __init__(self, stack_outputs: Mapping[str, Mapping[str, Any]]) -> None:
        self._stack_outputs = stack_outputs
        self._addresses = 63

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        state = dict(args.inputs)
        if args.typ == "pulumi:pulumi:StackReference":
            state["outputs"] = dict(self._stack_outputs[args.inputs["name"]])
            return args.name, state
        state.setdefault("name", args.name)
        state.setdefault("arn", f"arn:aws:mock:::{args.name}")
        if args.typ == "aws:ec2/eip:Eip":
            self._addresses += 1
            state |= {
                "publicIp": f"203.0.113.{self._addresses}",
                "allocationId": f"eipalloc-{self._addresses}",
            }
        elif args.typ == "aws:eks/cluster:Cluster":
            state |= {"endpoint": "https://eks.example", "certificateAuthority": {"data": "Y2E="}}
            state["vpcConfig"] = {**state["vpcConfig"], "clusterSecurityGroupId": "sg-cluster"}
        elif args.typ == "aws:ec2/launchTemplate:LaunchTemplate":
            state["latestVersion"] = 1
        elif args.typ == "aws:s3/bucket:Bucket":
            state.setdefault("bucket", args.name)
        elif args.typ.startswith("aws:dms/"):
            kind = args.typ.rpartition(":")[2]
            state[f"{kind[0].lower()}{kind[1:]}Arn"] = state["arn"]
        return args.resource_id or f"{args.name}-id", state

    def call(self, args: pulumi.runtime.MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        if args.token == "aws:index/getCallerIdentity:getCallerIdentity":
            return {"accountId": ACCOUNT, "arn": "arn:aws:iam::123456789012:root", "userId": "1"}, []
        raise AssertionError(f"the program asked for {args.token}, which no test expects")


def record(
    program: Callable[[], None],
    stack: str = "prod",
    *,
    stack_outputs: Mapping[str, Mapping[str, Any]] | None = None,
    preview: bool = False,
) -> Recording:
    """Runs `program` to its end, in an event loop and a Pulumi context of its own.

    Args:
        stack_outputs: outputs of other stacks by their full name.
        preview: whether outputs that the mocks do not give are unknown.
    """
    recording = Recording()
    cloud = _Cloud(stack_outputs or {})

    monitor = _Monitor(cloud, recording)
    loops: list[asyncio.AbstractEventLoop] = []

    def with_event_loop() -> None:
        loops.append(asyncio.new_event_loop())
        asyncio.set_event_loop(loops[-1])

    async def run() -> None:
        # The mock monitor wants an event loop in each thread, and would open one that nobody closes.
        asyncio.get_running_loop().set_default_executor(
            ThreadPoolExecutor(max_workers=4, initializer=with_event_loop)
        )
        # As `set_mocks` does, but without its own Stack: the program shall run in one that ends with it.
        features = monitor.GetDeploymentInfo(None).supportedFeatures  # type: ignore[no-untyped-call]
        configure(
            pulumi.runtime.mocks.MockSettings(  # type: ignore[no-untyped-call]
                monitor=monitor,
                monitor_features=set(features),
                engine=pulumi.runtime.mocks.MockEngine(None),
                project="landfall",
                stack=stack,
                dry_run=preview,
                organization="organization",
                callbacks=None,
            )
        )
        await run_in_stack(program)

    try:
        contextvars.copy_context().run(asyncio.run, run())
    finally:
        for loop in loops:
            loop.close()
    return recording


def project_copy(
    folder: Path,
    changes: dict[KeyPath, object] | None = None,
    *,
    rhoam_changes: dict[KeyPath, object] | None = None,
) -> Path:
    """The tracked settings, placeholders filled in, then `changes` by path; None removes a key."""
    for file in PROJECT.glob("Pulumi*.yaml"):
        (folder / file.name).write_bytes(file.read_bytes())
    for environment, values in (
        ("prod", OWNERS_FACTS | (changes or {})),
        ("rhoam", RHOAM_FACTS | (rhoam_changes or {})),
    ):
        path = folder / f"Pulumi.{environment}.yaml"
        document = yaml.safe_load(path.read_text())
        for keys, value in values.items():
            _set(document["config"]["landfall:environment"], keys, value)
        path.write_text(yaml.safe_dump(document, sort_keys=False))
    (folder / "certificates").mkdir(exist_ok=True)
    for end in ("source", "target"):
        text = f"-----BEGIN CERTIFICATE-----\n{end}\n-----END CERTIFICATE-----\n"
        (folder / "certificates" / f"{end}.pem").write_text(text)
    return folder


def _set(here: Any, keys: KeyPath, value: object) -> None:
    for key in keys[:-1]:
        here = here[key]
    if value is None:
        del here[keys[-1]]
    else:
        here[keys[-1]] = value
