"""The kubernetes provider against a real API server, driven as an engine drives it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
import yaml

from lab.providers.base import UNKNOWN, Properties, State
from tests.providers.api_server import ApiServer
from tests.providers.client import CallError, ProviderClient, urn

pytestmark = pytest.mark.lab

CONFIG_MAP = urn("kubernetes:core/v1:ConfigMap", "settings")
CONFIG_MAP_PATCH = urn("kubernetes:core/v1:ConfigMapPatch", "patch")
DEPLOYMENT = urn("kubernetes:apps/v1:Deployment", "web")
DEPLOYMENT_PATCH = urn("kubernetes:apps/v1:DeploymentPatch", "web")
SERVICE = urn("kubernetes:core/v1:Service", "web")
SERVICE_PATCH = urn("kubernetes:core/v1:ServicePatch", "web")
SECRET = urn("kubernetes:core/v1:Secret", "secret")


def config_map(namespace: str, data: dict[str, Any], **metadata: Any) -> Properties:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"namespace": namespace, **metadata},
        "data": data,
    }


def deployment(
    namespace: str, replicas: int = 1, *, ready: str = "yes", annotations: dict[str, str] | None = None
) -> Properties:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": namespace, "annotations": annotations or {}},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web", "ready": ready}},
                "spec": {"containers": [{"name": "web", "image": "nginx:1.28"}]},
            },
        },
    }


@pytest.fixture
def mutable(api_server: ApiServer, kubernetes_port: int) -> Iterator[ProviderClient]:
    """An instance that changes ConfigMaps and Secrets in place; options travel as JSON texts."""
    settings = {
        "kubeconfig": str(api_server.folder / "kubeconfig"),
        "context": "test",
        "enableConfigMapMutable": "true",
        "enableSecretMutable": "true",
    }
    with ProviderClient(kubernetes_port, settings) as client:
        yield client


def live(server: ApiServer, kind: str, namespace: str, name: str) -> Properties | None:
    group = "apis/apps/v1" if kind == "deployments" else "api/v1"
    found: Properties | None = server.request("GET", f"/{group}/namespaces/{namespace}/{kind}/{name}")
    return found


def managers(found: Properties) -> set[str]:
    return {entry["manager"] for entry in found["metadata"]["managedFields"]}


def test_a_config_map_lives_and_dies(
    kubernetes: ProviderClient, api_server: ApiServer, namespace: str
) -> None:
    wanted = config_map(namespace, {"a": "1"}, name="settings", labels={"app.kubernetes.io/name": "x"})
    inputs = kubernetes.check(CONFIG_MAP, wanted)
    preview = kubernetes.create(CONFIG_MAP, inputs, preview=True)
    assert preview.id == ""
    assert preview.outputs["data"] == {"a": "1"}
    assert live(api_server, "configmaps", namespace, "settings") is None

    state = kubernetes.create(CONFIG_MAP, inputs)
    assert state.id == f"{namespace}/settings"
    found = live(api_server, "configmaps", namespace, "settings")
    assert found is not None
    assert found["data"] == {"a": "1"}
    assert state.outputs["metadata"]["uid"] == found["metadata"]["uid"]
    assert managers(found) == {state.outputs["__fieldManager"]}
    assert re.fullmatch(r"pulumi-kubernetes-[0-9a-f]{8}", state.outputs["__fieldManager"])

    assert not kubernetes.diff(CONFIG_MAP, state, inputs).changes
    refreshed = kubernetes.read(CONFIG_MAP, state)
    assert refreshed == state

    kubernetes.delete(CONFIG_MAP, state)
    assert live(api_server, "configmaps", namespace, "settings") is None
    assert kubernetes.read(CONFIG_MAP, state) is None
    kubernetes.delete(CONFIG_MAP, state)


def test_a_change_of_data_replaces_a_config_map_unless_the_option_says_otherwise(
    kubernetes: ProviderClient, mutable: ProviderClient, api_server: ApiServer, namespace: str
) -> None:
    inputs = kubernetes.check(CONFIG_MAP, config_map(namespace, {"a": "1"}, name="settings"))
    changed = config_map(namespace, {"a": "2", "b": "3"}, name="settings")
    state = kubernetes.create(CONFIG_MAP, inputs)

    replacing = kubernetes.diff(CONFIG_MAP, state, changed)
    assert replacing.replaces == ("data",)
    assert replacing.delete_before_replace
    assert replacing.paths == {"data.a": "UPDATE_REPLACE", "data.b": "ADD_REPLACE"}

    updating = mutable.diff(CONFIG_MAP, state, changed)
    assert updating.paths == {"data.a": "UPDATE", "data.b": "ADD"}
    assert updating.replaces == ()
    previewed = mutable.update(CONFIG_MAP, state, changed, preview=True)
    assert previewed.outputs["data"] == {"a": "2", "b": "3"}
    found = live(api_server, "configmaps", namespace, "settings")
    assert found is not None
    assert found["data"] == {"a": "1"}, "a preview changes nothing"
    updated = mutable.update(CONFIG_MAP, state, changed)
    found = live(api_server, "configmaps", namespace, "settings")
    assert found is not None
    assert found["data"] == {"a": "2", "b": "3"}
    assert found["metadata"]["uid"] == state.outputs["metadata"]["uid"]
    assert not mutable.diff(CONFIG_MAP, updated, changed).changes


def test_names_are_made_up_where_none_is_stated(kubernetes: ProviderClient, namespace: str) -> None:
    inputs = kubernetes.check(CONFIG_MAP, config_map(namespace, {"a": "1"}))
    assert re.fullmatch(r"settings-[0-9a-f]{8}", inputs["metadata"]["name"])
    state = kubernetes.create(CONFIG_MAP, inputs)
    again = kubernetes.check(CONFIG_MAP, config_map(namespace, {"a": "2"}), state.inputs)
    assert again["metadata"]["name"] == inputs["metadata"]["name"]
    diff = kubernetes.diff(CONFIG_MAP, state, again)
    assert diff.replaces == ("data",)
    assert not diff.delete_before_replace, "a new object has a new name"


@pytest.mark.parametrize("change", [{"name": "other"}, {"namespace": "other"}])
def test_another_name_or_namespace_is_another_object(
    kubernetes: ProviderClient, namespace: str, change: dict[str, str]
) -> None:
    inputs = kubernetes.check(CONFIG_MAP, config_map(namespace, {"a": "1"}, name="settings"))
    state = kubernetes.create(CONFIG_MAP, inputs)
    moved = {**inputs, "metadata": {**inputs["metadata"], **change}}
    assert kubernetes.diff(CONFIG_MAP, state, moved).replaces == ("metadata",)


def test_what_is_not_known_yet_needs_no_cluster(kubernetes: ProviderClient, namespace: str) -> None:
    inputs = config_map(namespace, {"a": UNKNOWN}, name="settings")
    preview = kubernetes.create(CONFIG_MAP, kubernetes.check(CONFIG_MAP, inputs), preview=True)
    assert preview.outputs["data"] == {"a": UNKNOWN}
    state = kubernetes.create(CONFIG_MAP, config_map(namespace, {"a": "1"}, name="settings"))
    assert kubernetes.diff(CONFIG_MAP, state, inputs).paths == {"data.a": "UPDATE_REPLACE"}


def test_a_namespace_that_the_same_update_makes_may_be_missing_in_a_preview(
    kubernetes: ProviderClient,
) -> None:
    inputs = config_map("not-there-yet", {"a": "1"}, name="settings")
    preview = kubernetes.create(CONFIG_MAP, inputs, preview=True)
    assert preview.outputs["data"] == {"a": "1"}
    with pytest.raises(CallError, match=r"NOT_FOUND.*not-there-yet"):
        kubernetes.create(CONFIG_MAP, inputs)


def test_drift_is_seen_in_stated_fields_alone(
    mutable: ProviderClient, api_server: ApiServer, namespace: str
) -> None:
    inputs = mutable.check(CONFIG_MAP, config_map(namespace, {"a": "1"}, name="settings"))
    state = mutable.create(CONFIG_MAP, inputs)
    path = f"/api/v1/namespaces/{namespace}/configmaps/settings"
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}}
    api_server.apply(path, {**body, "data": {"z": "not ours"}})
    refreshed = mutable.read(CONFIG_MAP, state)
    assert refreshed is not None
    assert not mutable.diff(CONFIG_MAP, refreshed, inputs).changes

    api_server.apply(path, {**body, "data": {"z": "not ours", "a": "changed"}})
    refreshed = mutable.read(CONFIG_MAP, refreshed)
    assert refreshed is not None
    assert refreshed.inputs["data"] == {"a": "changed"}
    assert mutable.diff(CONFIG_MAP, refreshed, inputs).paths == {"data.a": "UPDATE"}


def test_an_existing_object_is_imported_and_not_created(
    kubernetes: ProviderClient, api_server: ApiServer, namespace: str
) -> None:
    api_server.request(
        "POST",
        f"/api/v1/namespaces/{namespace}/configmaps",
        {"metadata": {"name": "settings", "labels": {"x": "y"}}, "data": {"a": "1", "b": "2"}},
    )
    wanted = kubernetes.check(CONFIG_MAP, config_map(namespace, {"a": "1"}, name="settings"))
    with pytest.raises(CallError, match=r"ALREADY_EXISTS.*import it, or use ConfigMapPatch"):
        kubernetes.create(CONFIG_MAP, wanted)
    imported = kubernetes.import_(CONFIG_MAP, f"{namespace}/settings")
    assert imported is not None
    assert not kubernetes.diff(CONFIG_MAP, imported, wanted).changes
    other = {**wanted, "data": {"a": "2"}}
    assert kubernetes.diff(CONFIG_MAP, imported, other).paths == {"data.a": "ADD_REPLACE"}
    assert kubernetes.import_(CONFIG_MAP, f"{namespace}/nobody") is None


def test_a_secret_drifts_in_its_text_too(
    mutable: ProviderClient, api_server: ApiServer, namespace: str
) -> None:
    inputs = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "secret", "namespace": namespace},
        "stringData": {"password": "hunter2"},
    }
    state = mutable.create(SECRET, mutable.check(SECRET, inputs))
    assert mutable.read(SECRET, state) == state
    api_server.request(
        "PATCH",
        f"/api/v1/namespaces/{namespace}/secrets/secret",
        {"stringData": {"password": "changed"}},
        "application/merge-patch+json",
    )
    refreshed = mutable.read(SECRET, state)
    assert refreshed is not None
    assert mutable.diff(SECRET, refreshed, inputs).paths == {"stringData.password": "UPDATE"}


def test_a_patch_changes_what_it_names_and_gives_it_up(
    kubernetes: ProviderClient, api_server: ApiServer, namespace: str
) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps/boss-config"
    base = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "boss-config"}}
    api_server.apply(path, {**base, "data": {"DATABASE_HOST": "old", "DATABASE_PORT": "3306"}}, "velero")
    force = {"pulumi.com/patchForce": "true"}
    wanted = config_map(namespace, {"DATABASE_HOST": "new"}, name="boss-config")
    with pytest.raises(CallError, match=r'conflict with "velero"(.|\n)*patchForce') as conflict:
        kubernetes.create(CONFIG_MAP_PATCH, kubernetes.check(CONFIG_MAP_PATCH, wanted))
    assert conflict.value.code == grpc.StatusCode.ABORTED

    wanted["metadata"]["annotations"] = force
    state = kubernetes.create(CONFIG_MAP_PATCH, kubernetes.check(CONFIG_MAP_PATCH, wanted))
    found = live(api_server, "configmaps", namespace, "boss-config")
    assert found is not None
    assert found["data"] == {"DATABASE_HOST": "new", "DATABASE_PORT": "3306"}
    assert "annotations" not in found["metadata"]
    assert managers(found) == {"velero", state.outputs["__fieldManager"]}
    assert state.outputs["data"] == {"DATABASE_HOST": "new"}, "not what the patch does not name"
    assert kubernetes.read(CONFIG_MAP_PATCH, state) == state

    again = {**wanted, "data": {"DATABASE_HOST": "newer"}}
    diff = kubernetes.diff(CONFIG_MAP_PATCH, state, again)
    assert diff.paths == {"data.DATABASE_HOST": "UPDATE"}
    assert diff.replaces == ()
    state = kubernetes.update(CONFIG_MAP_PATCH, state, again)
    found = live(api_server, "configmaps", namespace, "boss-config")
    assert found is not None
    assert found["data"]["DATABASE_HOST"] == "newer"

    api_server.apply(path, {**base, "data": {"DATABASE_HOST": "drifted"}}, "an-operator")
    refreshed = kubernetes.read(CONFIG_MAP_PATCH, state)
    assert refreshed is not None
    assert kubernetes.diff(CONFIG_MAP_PATCH, refreshed, again).paths == {"data.DATABASE_HOST": "UPDATE"}

    kubernetes.delete(CONFIG_MAP_PATCH, state)
    found = live(api_server, "configmaps", namespace, "boss-config")
    assert found is not None
    assert found["data"]["DATABASE_PORT"] == "3306"
    assert state.outputs["__fieldManager"] not in managers(found)


def test_a_patch_needs_a_name_and_an_object(kubernetes: ProviderClient, namespace: str) -> None:
    _, failures = kubernetes.check_failures(CONFIG_MAP_PATCH, config_map(namespace, {"a": "1"}))
    assert "name of an existing object" in failures["metadata.name"]
    wanted = kubernetes.check(CONFIG_MAP_PATCH, config_map(namespace, {"a": "1"}, name="nobody"))
    with pytest.raises(CallError, match=f"NOT_FOUND: ConfigMap {namespace}/nobody is not there"):
        kubernetes.create(CONFIG_MAP_PATCH, wanted)


def test_a_deployment_is_waited_for(
    kubernetes: ProviderClient, api_server: ApiServer, namespace: str
) -> None:
    inputs = kubernetes.check(DEPLOYMENT, deployment(namespace, 2))
    state = kubernetes.create(DEPLOYMENT, inputs)
    assert state.outputs["status"]["availableReplicas"] == 2
    assert not kubernetes.diff(DEPLOYMENT, state, inputs).changes
    more = deployment(namespace, 3)
    assert kubernetes.diff(DEPLOYMENT, state, more).paths == {"spec.replicas": "UPDATE"}
    state = kubernetes.update(DEPLOYMENT, state, more)
    assert state.outputs["status"]["availableReplicas"] == 3
    none = deployment(namespace, 0)
    state = kubernetes.update(DEPLOYMENT, state, none)
    assert state.outputs["status"].get("replicas", 0) == 0
    other = deployment(namespace, 0)
    other["spec"]["selector"] = {"matchLabels": {"app": "other"}}
    assert kubernetes.diff(DEPLOYMENT, state, other).replaces == ("spec",)
    kubernetes.delete(DEPLOYMENT, state)
    assert live(api_server, "deployments", namespace, "web") is None


def test_a_deployment_that_does_not_become_ready_is_kept_and_reported(
    kubernetes: ProviderClient, namespace: str
) -> None:
    timeout = {"pulumi.com/timeoutSeconds": "1"}
    inputs = kubernetes.check(DEPLOYMENT, deployment(namespace, ready="no", annotations=timeout))
    with pytest.raises(CallError, match="0 of 1 replicas are available") as failed:
        kubernetes.create(DEPLOYMENT, inputs)
    assert failed.value.state is not None
    assert failed.value.state.id == f"{namespace}/web"
    assert failed.value.state.inputs == inputs


def test_waiting_can_be_declined(kubernetes: ProviderClient, namespace: str) -> None:
    skip = {"pulumi.com/skipAwait": "true"}
    inputs = kubernetes.check(DEPLOYMENT, deployment(namespace, ready="no", annotations=skip))
    assert kubernetes.create(DEPLOYMENT, inputs).id == f"{namespace}/web"


def test_a_deployment_patch_scales_and_waits(
    kubernetes: ProviderClient, api_server: ApiServer, namespace: str
) -> None:
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments/web"
    api_server.apply(path, deployment(namespace, 1), "velero")
    wanted: Properties = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": "web",
            "namespace": namespace,
            "annotations": {"pulumi.com/patchForce": "true"},
        },
        "spec": {"replicas": 2},
    }
    state = kubernetes.create(DEPLOYMENT_PATCH, kubernetes.check(DEPLOYMENT_PATCH, wanted))
    found = live(api_server, "deployments", namespace, "web")
    assert found is not None
    assert found["status"]["availableReplicas"] == 2
    assert state.outputs["spec"] == {"replicas": 2}
    down = {**wanted, "spec": {"replicas": 0}}
    assert kubernetes.diff(DEPLOYMENT_PATCH, state, down).paths == {"spec.replicas": "UPDATE"}
    state = kubernetes.update(DEPLOYMENT_PATCH, state, down)
    found = live(api_server, "deployments", namespace, "web")
    assert found is not None
    assert found["spec"]["replicas"] == 0
    assert found["status"].get("replicas", 0) == 0
    assert found["spec"]["template"]["spec"]["containers"][0]["image"] == "nginx:1.28"


def test_a_service_is_waited_for_until_somebody_answers(
    kubernetes: ProviderClient, api_server: ApiServer, namespace: str
) -> None:
    service: Properties = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": "web",
            "namespace": namespace,
            "annotations": {"pulumi.com/timeoutSeconds": "1"},
        },
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]},
    }
    with pytest.raises(CallError, match="no endpoint is ready") as failed:
        kubernetes.create(SERVICE, kubernetes.check(SERVICE, service))
    assert failed.value.state is not None
    kubernetes.create(DEPLOYMENT, deployment(namespace))
    service["metadata"]["annotations"]["pulumi.com/timeoutSeconds"] = "60"
    state = kubernetes.update(SERVICE, failed.value.state, service)
    patch: Properties = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web", "namespace": namespace, "annotations": {"pulumi.com/patchForce": "true"}},
        "spec": {"selector": {"app": "web"}},
    }
    patched = kubernetes.create(SERVICE_PATCH, kubernetes.check(SERVICE_PATCH, patch))
    assert patched.outputs["spec"] == {"selector": {"app": "web"}}
    assert not kubernetes.diff(SERVICE, state, service).changes
    assert not kubernetes.diff(SERVICE_PATCH, patched, patch).changes
    assert api_server.request("GET", f"/api/v1/namespaces/{namespace}/services/web")["spec"]["clusterIP"]


def test_an_object_gone_behind_our_back_is_not_made_anew(
    mutable: ProviderClient, api_server: ApiServer, namespace: str
) -> None:
    inputs = mutable.check(CONFIG_MAP, config_map(namespace, {"a": "1"}, name="settings"))
    state = mutable.create(CONFIG_MAP, inputs)
    api_server.request("DELETE", f"/api/v1/namespaces/{namespace}/configmaps/settings")
    with pytest.raises(CallError, match=r"NOT_FOUND.*is gone.*refresh"):
        mutable.update(CONFIG_MAP, state, config_map(namespace, {"a": "2"}, name="settings"))


def test_errors_say_what_the_cluster_answered(
    api_server: ApiServer, kubernetes_port: int, namespace: str
) -> None:
    inputs = config_map(namespace, {"a": "1"}, name="settings")
    with ProviderClient(kubernetes_port, {"kubeconfig": yaml.safe_dump(api_server.user("nobody"))}) as client:
        with pytest.raises(
            CallError, match=f'ConfigMap {namespace}/settings: .*403: .*User "nobody" cannot'
        ) as no:
            client.create(CONFIG_MAP, inputs)
        assert no.value.code == grpc.StatusCode.PERMISSION_DENIED
    with ProviderClient(kubernetes_port, {"kubeconfig": str(api_server.folder / "kubeconfig")}) as client:
        with pytest.raises(CallError, match=r"INVALID_ARGUMENT.*422.*") as invalid:
            client.create(CONFIG_MAP, config_map(namespace, {"a": "1"}, name="No Name"))
        assert "metadata.name" in str(invalid.value)
        unknown = urn("kubernetes:example.com/v1:Thing", "thing")
        thing = {"apiVersion": "v1", "kind": "Thing", "metadata": {"name": "thing"}}
        with pytest.raises(CallError, match="serves no Thing in v1"):
            client.create(unknown, thing)
        with pytest.raises(CallError, match=r"\.nonsense: field not declared in schema"):
            client.create(CONFIG_MAP, {**inputs, "nonsense": {"x": "y"}})


def test_a_cluster_that_does_not_answer_is_named(api_server: ApiServer, kubernetes_port: int) -> None:
    config = api_server.user("nobody")
    config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
    inputs = config_map("default", {"a": "1"}, name="settings")
    with ProviderClient(kubernetes_port, {"kubeconfig": yaml.safe_dump(config)}) as client:
        with pytest.raises(CallError, match=r"UNAVAILABLE.*'test' at https://127\.0\.0\.1:1 does not answer"):
            client.create(CONFIG_MAP, inputs)
        with pytest.raises(CallError, match="UNAVAILABLE"):
            client.create(CONFIG_MAP, inputs, preview=True)
    with (
        ProviderClient(
            kubernetes_port, {"kubeconfig": yaml.safe_dump(config), "context": "elsewhere"}
        ) as client,
        pytest.raises(CallError, match=r"INVALID_ARGUMENT: .*context 'elsewhere'.*elsewhere"),
    ):
        client.read(CONFIG_MAP, State("default/settings", {}, inputs))


def test_what_is_not_supported_is_refused_by_name(kubernetes: ProviderClient) -> None:
    release = urn("kubernetes:helm.sh/v3:Release", "chart")
    with pytest.raises(CallError, match=r"UNIMPLEMENTED: kubernetes:helm.sh/v3:Release is not supported"):
        kubernetes.check(release, {"chart": "x"})
    with pytest.raises(CallError, match="renderYamlToDirectory is not supported"):
        kubernetes.configure({"renderYamlToDirectory": "out"})
