"""The kubernetes provider's instances: what each call of an engine does to a cluster."""

# ruff: noqa: ARG002 - every method takes what an engine gives it
from __future__ import annotations

from collections.abc import Mapping
from threading import Lock
from typing import Any

from grpc import StatusCode

from lab.providers import compare
from lab.providers.base import (
    UNKNOWN,
    Checked,
    Difference,
    Instance,
    PartialFailureError,
    Properties,
    ProviderError,
    Resource,
    State,
    has_unknown,
    is_unknown,
    random_suffix,
)
from lab.providers.kubernetes import objects, readiness
from lab.providers.kubernetes.api import Cluster, Kind

_PROPAGATION = {"background": "Background", "foreground": "Foreground", "orphan": "Orphan"}
_REFUSED = ("renderYamlToDirectory", "cluster")


class KubernetesProvider:
    """Makes instances, each for one cluster."""

    name = "kubernetes"
    version = "4.34.0"

    def configure(self, settings: Mapping[str, Any]) -> Instance:
        """See `lab.providers.base.Provider`. Raises ProviderError for an option that is not supported."""
        for option in _REFUSED:
            if settings.get(option):
                raise ProviderError(
                    f"kubernetes provider: the option {option} is not supported by the lab",
                    StatusCode.UNIMPLEMENTED,
                )
        if settings.get("enableServerSideApply") is False:
            raise ProviderError(
                "kubernetes provider: enableServerSideApply=false is not supported by the lab",
                StatusCode.UNIMPLEMENTED,
            )
        return KubernetesInstance(settings)


class KubernetesInstance:
    """One cluster. It is connected to at the first call that needs it."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._settings = settings
        self._connected: Cluster | None = None
        self._lock = Lock()

    def check(self, resource: Resource, olds: Properties, news: Properties, seed: bytes) -> Checked:
        """See `lab.providers.base.Instance`."""
        if (
            resource.type.startswith("kubernetes:helm.sh/")
            or not news.get("kind")
            or not news.get("apiVersion")
        ):
            raise ProviderError(
                f"{resource.type} is not supported by the lab's kubernetes provider", StatusCode.UNIMPLEMENTED
            )
        inputs = dict(news)
        metadata = dict(inputs.get("metadata") or {})
        if not metadata.get("name") and not metadata.get("generateName"):
            if _is_patch(resource):
                return Checked(
                    news, [("metadata.name", f"{resource.type} needs the name of an existing object")]
                )
            before = olds.get("metadata") or {}
            kept = before.get("name") if objects.annotation(olds, objects.AUTONAMED) else None
            metadata["name"] = kept or f"{resource.name}-{random_suffix(seed, resource.urn, 8)}"
            metadata["annotations"] = {**(metadata.get("annotations") or {}), objects.AUTONAMED: "true"}
        elif metadata.get("generateName"):
            return Checked(
                news,
                [
                    (
                        "metadata.generateName",
                        "cannot be used with server-side apply: leave the name out instead",
                    )
                ],
            )
        inputs["metadata"] = metadata
        return Checked(inputs)

    def diff(self, resource: Resource, old: State, news: Properties) -> Difference:
        """See `lab.providers.base.Instance`."""
        patch, kind = _is_patch(resource), str(news["kind"])
        mutable = bool(
            self._settings.get("enableConfigMapMutable")
            if kind == "ConfigMap"
            else self._settings.get("enableSecretMutable")
        )
        return compare.difference(
            State(old.id, old.outputs, self._placed(old.id, old.inputs)),
            self._placed(old.id, news),
            replaces=lambda path: objects.replaces(kind, path, patch=patch, mutable=mutable),
            # Two objects cannot have one name; an automatic one is new each time.
            delete_before_replace=not objects.annotation(news, objects.AUTONAMED),
        )

    def create(self, resource: Resource, inputs: Properties, *, preview: bool, timeout: float) -> State:
        """See `lab.providers.base.Instance`."""
        if has_unknown(inputs) or has_unknown(dict(self._settings)):
            return State("", {**inputs, "status": UNKNOWN}, inputs)
        patch, cluster = _is_patch(resource), self._cluster()
        manager = objects.field_manager(resource.urn, inputs, {})
        try:
            kind = cluster.kind(inputs["apiVersion"], inputs["kind"])
            sent = objects.body(inputs, self._namespace(kind, inputs))
            self._check_existence(kind, sent, patch=patch)
            live = self._apply(kind, sent, inputs, manager=manager, patch=patch, dry_run=preview)
        except ProviderError as error:
            if preview and error.code == StatusCode.NOT_FOUND:
                # What it is for (its namespace, its definition, the patched object) may be made by the same
                # update.
                return State("", {**inputs, "status": UNKNOWN}, inputs)
            raise
        if preview:
            outputs = objects.outputs(live, inputs, manager, patch=patch)
            outputs["metadata"] = {key: value for key, value in outputs["metadata"].items() if key != "uid"}
            return State("", {**outputs, "status": UNKNOWN}, inputs)
        state = State(_identity(live), objects.outputs(live, inputs, manager, patch=patch), inputs)
        return self._await(kind, live, state, manager, patch=patch, timeout=timeout)

    def _check_existence(self, kind: Kind, sent: Properties, *, patch: bool) -> None:
        """A patch needs an object, and anything else none."""
        cluster = self._cluster()
        live = cluster.get(kind, sent["metadata"].get("namespace"), sent["metadata"]["name"])
        if patch and live is None:
            raise ProviderError(
                f"{_title(sent)} is not there: a Patch changes an existing object only ({cluster.title})",
                StatusCode.NOT_FOUND,
            )
        if not patch and live is not None and not self._settings.get("upsertExistingObjects"):
            raise ProviderError(
                f"{_title(sent)} is there already on {cluster.title}: import it, or use {kind.name}Patch",
                StatusCode.ALREADY_EXISTS,
            )

    def update(
        self, resource: Resource, old: State, inputs: Properties, *, preview: bool, timeout: float
    ) -> Properties:
        """See `lab.providers.base.Instance`."""
        if has_unknown(inputs):
            return {**old.outputs, **inputs}
        patch, cluster = _is_patch(resource), self._cluster()
        manager = objects.field_manager(resource.urn, inputs, old.outputs)
        kind = cluster.kind(inputs["apiVersion"], inputs["kind"])
        sent = objects.body(inputs, self._namespace(kind, inputs))
        if cluster.get(kind, sent["metadata"].get("namespace"), sent["metadata"]["name"]) is None:
            # Apply would silently make a new one; who deleted it should be asked first.
            raise ProviderError(
                f"{_title(sent)} is gone from {cluster.title}: run a refresh to see what is left",
                StatusCode.NOT_FOUND,
            )
        live = self._apply(kind, sent, inputs, manager=manager, patch=patch, dry_run=preview)
        state = State(old.id, objects.outputs(live, inputs, manager, patch=patch), inputs)
        if preview:
            return state.outputs
        return self._await(kind, live, state, manager, patch=patch, timeout=timeout).outputs

    def delete(self, resource: Resource, old: State, *, timeout: float) -> None:
        """See `lab.providers.base.Instance`. Of a patch: gives its fields up; the object stays."""
        known = old.inputs or old.outputs
        cluster = self._cluster()
        kind = cluster.kind(known["apiVersion"], known["kind"])
        namespace, name = _parse_identity(old.id)
        namespace = namespace or (cluster.default_namespace if kind.namespaced else None)
        if _is_patch(resource):
            if cluster.get(kind, namespace, name) is None:
                return
            identity = {"apiVersion": known["apiVersion"], "kind": known["kind"], "metadata": {"name": name}}
            manager = objects.field_manager(resource.urn, known, old.outputs)
            cluster.apply(kind, objects.body(identity, namespace), manager=manager)
            return
        policy = _PROPAGATION.get(objects.annotation(known, objects.PROPAGATION) or "", "Foreground")
        if cluster.delete(kind, namespace, name, policy):
            readiness.wait_until_gone(cluster, kind, namespace, name, _patience(known, timeout))

    def read(self, resource: Resource, old: State) -> State | None:
        """See `lab.providers.base.Instance`. An import's id is ``namespace/name`` or ``name``."""
        cluster, patch = self._cluster(), _is_patch(resource)
        api_version, kind_name = _kind_of(resource, old)
        kind = cluster.kind(api_version, kind_name)
        namespace, name = _parse_identity(old.id)
        namespace = namespace or (cluster.default_namespace if kind.namespaced else None)
        live = cluster.get(kind, namespace, name)
        if live is None:
            return None
        inputs = old.inputs or {
            "apiVersion": api_version,
            "kind": kind_name,
            "metadata": {"name": name} | ({"namespace": namespace} if kind.namespaced else {}),
        }
        inputs = objects.observed(inputs, live)
        manager = objects.field_manager(resource.urn, inputs, old.outputs)
        return State(_identity(live), objects.outputs(live, inputs, manager, patch=patch), inputs)

    def invoke(self, token: str, arguments: Properties) -> Properties:
        """See `lab.providers.base.Instance`: there is none."""
        raise ProviderError(
            f"the lab's kubernetes provider has no function {token}", StatusCode.UNIMPLEMENTED
        )

    def _cluster(self) -> Cluster:
        with self._lock:
            if self._connected is None:
                self._connected = Cluster.connect(self._settings)
            return self._connected

    def _apply(
        self, kind: Kind, sent: Properties, inputs: Properties, *, manager: str, patch: bool, dry_run: bool
    ) -> Properties:
        asked = objects.annotation(inputs, objects.PATCH_FORCE) == "true"
        force = asked or bool(self._settings.get("enablePatchForce"))
        try:
            return self._cluster().apply(kind, sent, manager=manager, force=force, dry_run=dry_run)
        except ProviderError as error:
            if error.code == StatusCode.ABORTED and not force:
                hint = f'to take the fields over, set the annotation {objects.PATCH_FORCE}: "true"'
                raise ProviderError(f"{error}; {hint}", error.code) from error
            raise

    def _await(
        self, kind: Kind, live: Properties, state: State, manager: str, *, patch: bool, timeout: float
    ) -> State:
        inputs = state.inputs
        if objects.annotation(inputs, objects.SKIP_AWAIT) == "true":
            return state
        try:
            live = readiness.wait_until_ready(self._cluster(), kind, live, _patience(inputs, timeout))
        except ProviderError as error:
            raise PartialFailureError(str(error), state) from error
        return State(state.id, objects.outputs(live, inputs, manager, patch=patch), inputs)

    def _namespace(self, kind: Kind, inputs: Properties) -> str | None:
        if not kind.namespaced:
            return None
        return inputs["metadata"].get("namespace") or self._cluster().default_namespace

    def _placed(self, identity: str, inputs: Properties) -> Properties:
        """Inputs that name no namespace are in the one where the object is."""
        namespace, metadata = _parse_identity(identity)[0], inputs.get("metadata") or {}
        if namespace is None or metadata.get("namespace"):
            return inputs
        return {**inputs, "metadata": {**metadata, "namespace": namespace}}


def _is_patch(resource: Resource) -> bool:
    return resource.type.endswith("Patch")


def _kind_of(resource: Resource, old: State) -> tuple[str, str]:
    """API version and kind: as remembered, else as the type token says
    (``kubernetes:apps/v1:Deployment``)."""
    known = old.inputs or old.outputs
    if known.get("apiVersion") and known.get("kind"):
        return known["apiVersion"], known["kind"]
    _, api_version, kind = resource.type.split(":")
    if api_version.startswith("core/"):
        api_version = api_version.removeprefix("core/")
    return api_version, kind.removesuffix("Patch")


def _identity(live: Properties) -> str:
    metadata = live["metadata"]
    return (
        f"{metadata['namespace']}/{metadata['name']}" if metadata.get("namespace") else str(metadata["name"])
    )


def _parse_identity(identity: str) -> tuple[str | None, str]:
    namespace, _, name = identity.rpartition("/")
    return namespace or None, name


def _title(sent: Properties) -> str:
    return f"{sent['kind']} {_identity(sent)}"


def _patience(inputs: Properties, timeout: float) -> float:
    stated = objects.annotation(inputs, objects.TIMEOUT)
    if stated is not None and not is_unknown(stated):
        return float(stated)
    return timeout or readiness.DEFAULT_TIMEOUT
