"""Pods in a real cluster, run by the node agent: how they start, what they see, how they end."""

from __future__ import annotations

import json

import pytest

from tests.node import objects
from tests.node.cluster import NODE, Cluster, Object

pytestmark = pytest.mark.lab

NEVER = {"restartPolicy": "Never"}


def ended(pod: Object) -> bool:
    return pod["status"]["phase"] in ("Succeeded", "Failed")


def ready(pod: Object) -> bool:
    return conditions(pod).get("Ready") == "True"


def conditions(pod: Object) -> dict[str, str]:
    return {item["type"]: item["status"] for item in pod["status"].get("conditions") or []}


def container(pod: Object, name: str = "main") -> Object:
    statuses = pod["status"].get("containerStatuses") or [{"name": name, "state": {}, "restartCount": 0}]
    found: Object = next(item for item in statuses if item["name"] == name)
    return found


def waits_for(reason: str, pod: Object) -> bool:
    statuses = pod["status"].get("containerStatuses") or []
    return any(item["state"].get("waiting", {}).get("reason") == reason for item in statuses)


def test_a_pod_runs_to_its_end_and_says_what_it_found(cluster: Cluster, namespace: str) -> None:
    script = "echo found >/dev/termination-log; exit 3"
    cluster.apply(objects.pod("probe", namespace, objects.shell(script), **NEVER))
    pod = cluster.wait_for("pod", "probe", namespace, ended)
    end = container(pod)["state"]["terminated"]
    assert (end["exitCode"], end["message"], end["reason"]) == (3, "found\n", "Error")
    assert pod["status"]["phase"] == "Failed"
    assert pod["status"]["hostIP"] == NODE


def test_environment_comes_from_everywhere(cluster: Cluster, namespace: str) -> None:
    container = {
        "command": ["python3", "-c", "import os, json; print(json.dumps(dict(os.environ)))", "$(GREETING)"],
        "envFrom": [
            {"configMapRef": {"name": "settings"}, "prefix": "CM_"},
            {"secretRef": {"name": "login"}},
            {"configMapRef": {"name": "absent", "optional": True}},
        ],
        "env": [
            {"name": "OVERRIDDEN", "value": "yes"},
            {"name": "ONE", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "one"}}},
            {"name": "PASSWORD_TWICE", "valueFrom": {"secretKeyRef": {"name": "login", "key": "PASSWORD"}}},
            {
                "name": "NOTHING",
                "valueFrom": {"secretKeyRef": {"name": "login", "key": "x", "optional": True}},
            },
            {"name": "ADDRESS", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
            {"name": "APP", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
            {
                "name": "MEMORY",
                "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}},
            },
            {"name": "GREETING", "value": "$(ONE) and $(OVERRIDDEN), $$(ONE), $(UNKNOWN)"},
        ],
        "resources": {"limits": {"memory": "64Mi"}},
    }
    cluster.apply(
        objects.config_map("settings", namespace, one="1"),
        objects.secret("login", namespace, PASSWORD="s3cret"),
        objects.service("backing", namespace, "nobody"),
        objects.pod("env", namespace, container, **NEVER),
    )
    pod = cluster.wait_for("pod", "env", namespace, ended)
    seen = json.loads(cluster.log(namespace, "env", "main"))
    service = cluster.get("service", "backing", namespace)
    expected = {
        "CM_one": "1",
        "PASSWORD": "s3cret",
        "PASSWORD_TWICE": "s3cret",
        "OVERRIDDEN": "yes",
        "FROM_IMAGE": "yes",
        "ONE": "1",
        "ADDRESS": pod["status"]["podIP"],
        "NODE": "cluster",
        "APP": "env",
        "MEMORY": "64",
        "GREETING": "1 and yes, $(ONE), $(UNKNOWN)",
        "HOSTNAME": "env",
        "BACKING_SERVICE_HOST": service["spec"]["clusterIP"],
        "KUBERNETES_SERVICE_PORT": "443",
    }
    assert {key: seen.get(key) for key in expected} == expected
    assert "NOTHING" not in seen


def test_a_missing_config_map_is_waited_for(cluster: Cluster, namespace: str) -> None:
    wants = objects.shell("echo $one", envFrom=[{"configMapRef": {"name": "late"}}])
    cluster.apply(objects.pod("waiting", namespace, wants, **NEVER))
    pod = cluster.wait_for(
        "pod", "waiting", namespace, lambda pod: waits_for("CreateContainerConfigError", pod)
    )
    assert 'configmap "late" not found' in container(pod)["state"]["waiting"]["message"]
    cluster.apply(objects.config_map("late", namespace, one="here"))
    cluster.wait_for("pod", "waiting", namespace, ended)
    assert cluster.log(namespace, "waiting", "main") == "here\n"


def test_volumes_follow_their_sources_but_sub_paths_do_not(cluster: Cluster, namespace: str) -> None:
    script = """
        cat /config/key /only/key /secret/deep/password; stat -L -c %a /secret/deep/password
        cat /pod/labels; echo
        until grep -q second /config/key; do sleep 0.1; done
        cat /config/key /only/key /config/new; echo kept >/empty/file; cat /empty/file
    """
    wants = objects.shell(
        script,
        volumeMounts=[
            {"name": "config", "mountPath": "/config"},
            {"name": "config", "mountPath": "/only/key", "subPath": "key"},
            {"name": "all", "mountPath": "/secret"},
            {"name": "pod", "mountPath": "/pod"},
            {"name": "empty", "mountPath": "/empty"},
        ],
    )
    login = {"name": "login", "items": [{"key": "PASSWORD", "path": "deep/password", "mode": 0o400}]}
    volumes: list[Object] = [
        {"name": "config", "configMap": {"name": "settings"}},
        {"name": "all", "projected": {"sources": [{"secret": login}]}},
        {"name": "empty", "emptyDir": {}},
        {
            "name": "pod",
            "downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]},
        },
    ]
    cluster.apply(
        objects.config_map("settings", namespace, key="first\n"),
        objects.secret("login", namespace, PASSWORD="s3cret\n"),
        objects.pod("volumes", namespace, wants, volumes=volumes, **NEVER),
    )
    cluster.wait_for("pod", "volumes", namespace, ready)
    cluster.apply(objects.config_map("settings", namespace, key="second\n", new="new\n"))
    cluster.wait_for("pod", "volumes", namespace, ended)
    assert cluster.log(namespace, "volumes", "main").split() == [
        *("first", "first", "s3cret", "400", 'app="volumes"'),
        *("second", "first", "new", "kept"),
    ]


def test_what_a_pod_writes_is_its_own(cluster: Cluster, namespace: str) -> None:
    script = "echo mine >/etc/landfall-node-test; rm -r /usr/share/doc; hostname; cat /etc/hostname"
    cluster.apply(objects.pod("writer", namespace, objects.shell(script), **NEVER))
    pod = cluster.wait_for("pod", "writer", namespace, ended)
    assert pod["status"]["phase"] == "Succeeded", cluster.log(namespace, "writer", "main")
    assert cluster.log(namespace, "writer", "main") == "writer\nwriter\n"
    assert cluster.execute("test", "-e", "/etc/landfall-node-test").returncode == 1
    assert cluster.execute("test", "-e", "/usr/share/doc").returncode == 0


def test_the_service_account_token_reaches_the_api(cluster: Cluster, namespace: str) -> None:
    script = """
import os, ssl, urllib.request
folder = "/var/run/secrets/kubernetes.io/serviceaccount/"
request = urllib.request.Request(
    f"https://{os.environ['KUBERNETES_SERVICE_HOST']}/apis/authentication.k8s.io/v1/selfsubjectreviews",
    data=b'{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}',
    headers={"Authorization": "Bearer " + open(folder + "token").read(), "Content-Type": "application/json"},
)
context = ssl.create_default_context(cafile=folder + "ca.crt")
answer = urllib.request.urlopen(request, context=context, timeout=5).read().decode()
open("/dev/termination-log", "w").write(answer)
"""
    cluster.apply(objects.pod("caller", namespace, {"command": ["python3", "-c", script]}, **NEVER))
    pod = cluster.wait_for("pod", "caller", namespace, ended)
    answer = json.loads(container(pod)["state"]["terminated"].get("message", "{}"))
    assert answer["status"]["userInfo"]["username"] == f"system:serviceaccount:{namespace}:default"


def test_an_unknown_image_is_named(cluster: Cluster, namespace: str) -> None:
    cluster.apply(objects.pod("unknown", namespace, {"image": "registry.example/absent:2"}))
    pod = cluster.wait_for("pod", "unknown", namespace, lambda pod: waits_for("ImagePullBackOff", pod))
    assert "registry.example/absent:2" in container(pod)["state"]["waiting"]["message"]
    assert pod["status"]["phase"] == "Pending"


def test_a_command_that_does_not_exist_is_named(cluster: Cluster, namespace: str) -> None:
    cluster.apply(objects.pod("typo", namespace, {"command": ["no-such-program"]}, **NEVER))
    pod = cluster.wait_for("pod", "typo", namespace, ended)
    end = container(pod)["state"]["terminated"]
    assert (end["exitCode"], end["reason"]) == (128, "StartError")
    assert "no-such-program" in end["message"]


def test_a_crashing_container_is_restarted_with_pauses(cluster: Cluster, namespace: str) -> None:
    wants = objects.shell("echo why it failed; exit 7", terminationMessagePolicy="FallbackToLogsOnError")
    cluster.apply(objects.pod("crash", namespace, wants))
    pod = cluster.wait_for(
        "pod",
        "crash",
        namespace,
        lambda pod: waits_for("CrashLoopBackOff", pod) and container(pod)["restartCount"] >= 2,
    )
    assert container(pod)["lastState"]["terminated"]["exitCode"] == 7
    assert container(pod)["lastState"]["terminated"]["message"] == "why it failed\n"
    assert pod["status"]["phase"] == "Running"
    assert conditions(pod)["Ready"] == "False"


def test_containers_of_a_pod_start_in_order_and_share_its_network(cluster: Cluster, namespace: str) -> None:
    shared = [{"name": "shared", "mountPath": "/shared"}]
    inits = [
        {"name": "first", **objects.shell("echo first >/shared/order", volumeMounts=shared)},
        {
            "name": "beside",
            "restartPolicy": "Always",
            **objects.shell(
                "echo beside >>/shared/order; exec httpd -f -p 9000 -h /shared", volumeMounts=shared
            ),
            "startupProbe": {"tcpSocket": {"port": 9000}, "periodSeconds": 1},
        },
        {"name": "second", **objects.shell("echo second >>/shared/order", volumeMounts=shared)},
    ]
    main = objects.shell("cat /shared/order; wget -qO- http://127.0.0.1:9000/order", volumeMounts=shared)
    cluster.apply(
        objects.pod(
            "order",
            namespace,
            main,
            initContainers=inits,
            volumes=[{"name": "shared", "emptyDir": {}}],
            **NEVER,
        )
    )
    pod = cluster.wait_for("pod", "order", namespace, ended)
    assert pod["status"]["phase"] == "Succeeded", pod["status"]
    assert cluster.log(namespace, "order", "main").split() == ["first", "beside", "second"] * 2


def test_a_failed_init_container_fails_the_pod(cluster: Cluster, namespace: str) -> None:
    inits = [{"name": "check", **objects.shell("exit 1")}]
    cluster.apply(objects.pod("never", namespace, objects.shell("echo ran"), initContainers=inits, **NEVER))
    pod = cluster.wait_for("pod", "never", namespace, ended)
    assert pod["status"]["phase"] == "Failed"
    assert container(pod)["state"]["waiting"]["reason"] == "PodInitializing"
    assert conditions(pod)["Initialized"] == "False"


def test_a_scheduling_gate_and_a_node_selector_hold_a_pod(cluster: Cluster, namespace: str) -> None:
    gated = objects.pod("gated", namespace, objects.shell("true"), schedulingGates=[{"name": "x/y"}], **NEVER)
    elsewhere = objects.pod(
        "elsewhere", namespace, objects.shell("true"), nodeSelector={"disk": "fast"}, **NEVER
    )
    cluster.apply(gated, elsewhere, objects.pod("free", namespace, objects.shell("true"), **NEVER))
    cluster.wait_for("pod", "free", namespace, ended)
    for name in ("gated", "elsewhere"):
        assert "nodeName" not in cluster.get("pod", name, namespace)["spec"]
    cluster.kubectl("patch", "pod", "gated", "-n", namespace, "-p", '{"spec":{"schedulingGates":null}}')
    cluster.wait_for("pod", "gated", namespace, ended)
