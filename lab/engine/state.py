"""The state of a stack in the official checkpoint format: a version 3 deployment of resources."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from lab.engine import VERSION
from lab.engine.errors import EngineError
from lab.engine.secrets import Crypter, require_passphrase_provider
from lab.engine.values import SECRET_SIGNATURE, SIGNATURE, Properties, Secret, Unknown, compact, transform


def now() -> str:
    """The present time as the state holds it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@dataclass(frozen=True, eq=False)
class Resource:
    """A resource as the state knows it. Two of them are equal only if they are the same object, since an URN
    may be there twice while its replaced predecessor waits for deletion.

    `other` holds what a state file may say of a resource that this engine does not use, so that it is kept.
    """

    urn: str
    type: str
    custom: bool
    id: str = ""
    inputs: Properties = field(default_factory=dict)
    outputs: Properties = field(default_factory=dict)
    parent: str = ""
    provider: str = ""
    protect: bool = False
    external: bool = False
    delete: bool = False
    retain_on_delete: bool = False
    dependencies: tuple[str, ...] = ()
    property_dependencies: dict[str, tuple[str, ...]] = field(default_factory=dict)
    additional_secret_outputs: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    init_errors: tuple[str, ...] = ()
    ignore_changes: tuple[str, ...] = ()
    replace_on_changes: tuple[str, ...] = ()
    custom_timeouts: dict[str, float] = field(default_factory=dict)
    import_id: str = ""
    deleted_with: str = ""
    created: str = ""
    modified: str = ""
    other: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def all_dependencies(self) -> frozenset[str]:
        """The URNs of all that must be there as long as this resource is."""
        found = {*self.dependencies, *(urn for urns in self.property_dependencies.values() for urn in urns)}
        found.update(urn for urn in (self.parent, self.deleted_with) if urn)
        if self.provider:
            found.add(self.provider.rsplit("::", 1)[0])
        return frozenset(found)


_NAMES = {
    "urn": "urn",
    "type": "type",
    "custom": "custom",
    "delete": "delete",
    "id": "id",
    "inputs": "inputs",
    "outputs": "outputs",
    "parent": "parent",
    "protect": "protect",
    "external": "external",
    "dependencies": "dependencies",
    "init_errors": "initErrors",
    "provider": "provider",
    "property_dependencies": "propertyDependencies",
    "additional_secret_outputs": "additionalSecretOutputs",
    "aliases": "aliases",
    "custom_timeouts": "customTimeouts",
    "import_id": "importID",
    "retain_on_delete": "retainOnDelete",
    "deleted_with": "deletedWith",
    "created": "created",
    "modified": "modified",
    "ignore_changes": "ignoreChanges",
    "replace_on_changes": "replaceOnChanges",
}
_TUPLES = {item.name for item in fields(Resource) if item.type == "tuple[str, ...]"}


@dataclass(frozen=True, eq=False)
class PendingOperation:
    """An effect that was begun; `kind` is creating, updating, deleting, reading or importing."""

    resource: Resource
    kind: str


@dataclass(frozen=True)
class Deployment:
    """What a stack consists of, in an order in which nothing comes before what it depends on."""

    resources: tuple[Resource, ...] = ()
    pending: tuple[PendingOperation, ...] = ()
    salt: str = ""

    def outputs(self) -> Properties:
        """The stack's outputs."""
        for resource in self.resources:
            if resource.type == "pulumi:pulumi:Stack" and not resource.delete:
                return resource.outputs
        return {}


def seal_value(value: Any, crypter: Crypter | None) -> Any:
    """`value` as a state file holds it; without a crypter, with the plain text of secrets."""

    def visit(found: Secret | Unknown) -> Any:
        if isinstance(found, Unknown):
            raise TypeError("an unknown value cannot be written to the state")
        text = compact(seal_value(_unwrapped(found.value), crypter))
        content = {"plaintext": text} if crypter is None else {"ciphertext": crypter.encrypt(text)}
        return {SIGNATURE: SECRET_SIGNATURE, **content}

    return transform(value, visit)


def _unwrapped(value: Any) -> Any:
    """A secret's value without secrets inside it."""
    return transform(value, lambda item: _unwrapped(item.value) if isinstance(item, Secret) else item)


def open_value(value: Any, crypter: Crypter | None) -> Any:
    """The value that a state file holds; without a crypter, secrets hold `[secret]`.

    Raises:
        EngineError: it cannot be decrypted.
    """
    if isinstance(value, dict):
        if value.get(SIGNATURE) == SECRET_SIGNATURE:
            if "plaintext" in value:
                return Secret(json.loads(value["plaintext"]))
            return Secret("[secret]" if crypter is None else json.loads(crypter.decrypt(value["ciphertext"])))
        return {key: open_value(item, crypter) for key, item in value.items()}
    if isinstance(value, list):
        return [open_value(item, crypter) for item in value]
    return value


def write_resource(resource: Resource, crypter: Crypter | None) -> dict[str, Any]:
    """A resource as a state file holds it."""
    found: dict[str, Any] = {}
    for name, key in _NAMES.items():
        value = getattr(resource, name)
        if name in {"inputs", "outputs"}:
            value = seal_value(value, crypter)
        if value or name in {"urn", "custom"}:
            found[key] = list(value) if isinstance(value, tuple) else value
    return found | resource.other


def read_resource(content: dict[str, Any], crypter: Crypter | None) -> Resource:
    """The resource that a state file holds."""
    known = {key: name for name, key in _NAMES.items()}
    values: dict[str, Any] = {"type": content["urn"].split("::")[2].rsplit("$", 1)[-1], "custom": False}
    other: dict[str, Any] = {}
    for key, value in content.items():
        name = known.get(key)
        if name is None:
            other[key] = value
        elif name in _TUPLES:
            values[name] = tuple(value or ())
        elif name in {"inputs", "outputs"}:
            values[name] = open_value(value or {}, crypter)
        elif name == "property_dependencies":
            values[name] = {item: tuple(urns or ()) for item, urns in (value or {}).items()}
        else:
            values[name] = value
    return Resource(**values, other=other)


def manifest() -> dict[str, Any]:
    """Says which engine wrote the state and when."""
    version = f"v{VERSION}"
    return {"time": now(), "magic": hashlib.sha256(version.encode()).hexdigest(), "version": version}


def write_deployment(deployment: Deployment, crypter: Crypter | None) -> dict[str, Any]:
    """A deployment as a state file holds it."""
    found: dict[str, Any] = {"manifest": manifest()}
    if deployment.salt:
        found["secrets_providers"] = {"type": "passphrase", "state": {"salt": deployment.salt}}
    found["resources"] = [write_resource(resource, crypter) for resource in deployment.resources]
    if deployment.pending:
        found["pending_operations"] = [
            {"resource": write_resource(item.resource, crypter), "type": item.kind}
            for item in deployment.pending
        ]
    found["metadata"] = {}
    return found


def salt_of(content: dict[str, Any]) -> str:
    """The description of the key that a deployment's secrets are encrypted with, empty if it names none.

    Raises:
        RefusedError: another secrets provider than a passphrase.
    """
    provider = content.get("secrets_providers") or {}
    require_passphrase_provider(provider.get("type", ""))
    return str((provider.get("state") or {}).get("salt", ""))


def read_deployment(
    content: dict[str, Any], *, show_secrets: bool = True, known: Crypter | None = None
) -> Deployment:
    """The deployment that a state file holds; without `show_secrets` no key is derived.

    `known` is used for decryption where it has the deployment's salt, so that ciphertexts can stay.

    Raises:
        EngineError: the content is not a deployment, or its secrets cannot be decrypted.
    """
    salt = salt_of(content)
    crypter = Crypter(salt) if salt and show_secrets else None
    if crypter is not None and known is not None and known.description == salt:
        crypter = known
    try:
        return Deployment(
            resources=tuple(read_resource(item, crypter) for item in content.get("resources") or ()),
            pending=tuple(
                PendingOperation(read_resource(item["resource"], crypter), item["type"])
                for item in content.get("pending_operations") or ()
            ),
            salt=salt,
        )
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise EngineError(f"the deployment is malformed: {type(error).__name__} {error}") from error
