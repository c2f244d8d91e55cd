"""Probes, hooks, graceful ends, Jobs, and an agent that is started again."""

from __future__ import annotations

import signal
import sys

import pytest

from tests.node import objects
from tests.node.cluster import NODE, Cluster
from tests.node.test_pods import NEVER, container, ended, ready

pytestmark = pytest.mark.lab


def test_readiness_follows_its_probe(cluster: Cluster, namespace: str) -> None:
    probe = {
        "exec": {"command": ["grep", "yes", "/config/ready"]},
        "periodSeconds": 1,
        "failureThreshold": 1,
    }
    mounts = [{"name": "config", "mountPath": "/config"}]
    wants = objects.shell("exec sleep 600", readinessProbe=probe, volumeMounts=mounts)
    volumes = [{"name": "config", "configMap": {"name": "state"}}]
    cluster.apply(
        objects.config_map("state", namespace, ready="yes"),
        objects.pod("ready", namespace, wants, volumes=volumes, terminationGracePeriodSeconds=1),
    )
    cluster.wait_for("pod", "ready", namespace, ready)
    cluster.apply(objects.config_map("state", namespace, ready="no"))
    cluster.wait_for("pod", "ready", namespace, lambda pod: not ready(pod))
    cluster.apply(objects.config_map("state", namespace, ready="yes"))
    pod = cluster.wait_for("pod", "ready", namespace, ready)
    assert container(pod)["restartCount"] == 0


def test_a_container_that_is_not_alive_is_restarted(cluster: Cluster, namespace: str) -> None:
    liveness = {
        "exec": {"command": ["test", "!", "-e", "/tmp/old"]},
        "periodSeconds": 1,
        "failureThreshold": 2,
    }
    script = "trap 'echo asked to stop; exit 0' TERM; touch /tmp/old; while true; do sleep 0.1; done"
    cluster.apply(objects.pod("alive", namespace, objects.shell(script, livenessProbe=liveness)))
    cluster.wait_for("pod", "alive", namespace, lambda pod: container(pod)["restartCount"] >= 1)
    assert "asked to stop" in cluster.log(namespace, "alive", "main")


def test_liveness_waits_for_the_startup_probe(cluster: Cluster, namespace: str) -> None:
    wants = objects.shell(
        "sleep 3; touch /tmp/up; while true; do sleep 0.1; done",
        startupProbe={
            "exec": {"command": ["test", "-e", "/tmp/up"]},
            "periodSeconds": 1,
            "failureThreshold": 60,
        },
        livenessProbe={
            "exec": {"command": ["test", "-e", "/tmp/up"]},
            "periodSeconds": 1,
            "failureThreshold": 1,
        },
    )
    cluster.apply(objects.pod("slow", namespace, wants))
    pod = cluster.wait_for("pod", "slow", namespace, ready)
    assert container(pod)["restartCount"] == 0


def test_a_pod_ends_by_hook_then_signal(cluster: Cluster, namespace: str) -> None:
    script = "trap 'echo signal; sleep 1; echo done; exit 0' TERM; echo up; while true; do sleep 0.1; done"
    hook = {"preStop": {"exec": {"command": ["sh", "-c", "echo hook >>/proc/1/fd/1; sleep 1"]}}}
    cluster.apply(
        objects.pod("end", namespace, objects.shell(script, lifecycle=hook), terminationGracePeriodSeconds=20)
    )
    cluster.wait_for("pod", "end", namespace, lambda pod: container(pod)["state"].get("running"))
    cluster.kubectl("delete", "pod", "end", "-n", namespace)
    assert cluster.log(namespace, "end", "main").split() == ["up", "hook", "signal", "done"]


def test_a_pod_that_does_not_end_is_killed_when_its_grace_is_over(cluster: Cluster, namespace: str) -> None:
    script = "trap 'echo not yet' TERM; echo up; while true; do sleep 0.1; done"
    cluster.apply(objects.pod("deaf", namespace, objects.shell(script), terminationGracePeriodSeconds=600))
    cluster.wait_for("pod", "deaf", namespace, lambda pod: container(pod)["state"].get("running"))
    cluster.kubectl("delete", "pod", "deaf", "-n", namespace, "--wait=false")
    cluster.wait_for("pod", "deaf", namespace, lambda pod: pod["metadata"].get("deletionTimestamp"))
    cluster.kubectl("delete", "pod", "deaf", "-n", namespace, "--grace-period=1", "--timeout=40s")
    assert cluster.log(namespace, "deaf", "main").split() == ["up", "not", "yet"]


def test_a_pod_deleted_by_force_leaves_no_process(cluster: Cluster, namespace: str) -> None:
    script = "trap '' TERM; while true; do sleep 0.1; done; : forced-and-gone"
    cluster.apply(objects.pod("force", namespace, objects.shell(script)))
    cluster.wait_for("pod", "force", namespace, ready)
    assert cluster.execute("pgrep", "-f", "forced-and-gone").returncode == 0
    cluster.kubectl("delete", "pod", "force", "-n", namespace, "--grace-period=0", "--force")
    cluster.poll(lambda: cluster.execute("pgrep", "-f", "forced-and-gone").returncode == 1, "still running")


def test_a_job_retries_and_completes(cluster: Cluster, namespace: str) -> None:
    script = 'test -e /shared/tried || { touch /shared/tried; exit 1; }; echo "3 items" >/dev/termination-log'
    template = objects.pod("job", namespace, objects.shell(script), restartPolicy="OnFailure")["spec"]
    template["containers"][0]["volumeMounts"] = [{"name": "shared", "mountPath": "/shared"}]
    template["volumes"] = [{"name": "shared", "emptyDir": {}}]
    cron = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "nightly", "namespace": namespace},
        "spec": {"schedule": "0 3 1 1 *", "jobTemplate": {"spec": {"template": {"spec": template}}}},
    }
    cluster.apply(cron)
    cluster.kubectl("create", "job", "now", "--from=cronjob/nightly", "-n", namespace)
    cluster.wait_for("job", "now", namespace, lambda job: job["status"].get("succeeded") == 1)
    selector = ("-n", namespace, "-l", "batch.kubernetes.io/job-name=now", "-o")
    (name,) = cluster.kubectl("get", "pods", *selector, "jsonpath={.items[*].metadata.name}").split()
    status = container(cluster.get("pod", name, namespace))
    assert status["state"]["terminated"]["message"] == "3 items\n"
    assert status["restartCount"] == 1
    cluster.kubectl("delete", "job", "now", "-n", namespace, "--timeout=40s")


def test_an_active_deadline_fails_the_pod(cluster: Cluster, namespace: str) -> None:
    cluster.apply(
        objects.pod("late", namespace, objects.shell("exec sleep 600"), activeDeadlineSeconds=1, **NEVER)
    )
    pod = cluster.wait_for("pod", "late", namespace, ended)
    assert (pod["status"]["phase"], pod["status"]["reason"]) == ("Failed", "DeadlineExceeded")


def test_an_agent_started_again_takes_its_pods_over(cluster: Cluster, namespace: str) -> None:
    stays = objects.shell("exec sleep 7200")
    cluster.apply(
        objects.pod("stays", namespace, stays),
        objects.pod("once", namespace, stays, **NEVER),
        objects.pod("goes", namespace, stays),
    )
    for name in ("stays", "once", "goes"):
        cluster.wait_for("pod", name, namespace, ready)
    cluster.supervisor.signal("node", signal.SIGKILL)
    cluster.poll(lambda: cluster.execute("pgrep", "-f", "^sleep 7200").returncode == 1, "containers live on")
    cluster.supervisor.stop("node")
    cluster.kubectl("delete", "pod", "goes", "-n", namespace, "--wait=false")
    cluster.start_node()
    cluster.wait_gone("pod", "goes", namespace)
    once = cluster.wait_for("pod", "once", namespace, ended)
    assert once["status"]["phase"] == "Failed"
    pod = cluster.wait_for("pod", "stays", namespace, lambda pod: container(pod)["restartCount"] == 1)
    assert cluster.wait_for("pod", "stays", namespace, ready)
    assert container(pod)["lastState"]["terminated"]["exitCode"] == 137


def test_kubectl_reads_logs_and_runs_commands(cluster: Cluster, namespace: str) -> None:
    script = "echo one; echo two; test -e /again/x || { touch /again/x; exit 1; }; exec sleep 600"
    wants = objects.shell(script, volumeMounts=[{"name": "again", "mountPath": "/again"}])
    volumes = [{"name": "again", "emptyDir": {}}]
    cluster.apply(
        objects.pod("asked", namespace, wants, volumes=volumes, terminationGracePeriodSeconds=1),
        objects.pod("done", namespace, objects.shell("echo a; sleep 1; echo b"), **NEVER),
    )
    cluster.wait_for("pod", "asked", namespace, lambda pod: container(pod)["restartCount"] and ready(pod))
    asked = ("asked", "-n", namespace)
    assert cluster.kubectl("logs", *asked) == "one\ntwo\n"
    assert cluster.kubectl("logs", *asked, "--tail=1") == "two\n"
    assert cluster.kubectl("logs", *asked, "--previous") == "one\ntwo\n"
    cluster.wait_for("pod", "done", namespace, lambda pod: container(pod)["state"] != {"waiting": {}})
    assert cluster.kubectl("logs", "done", "-n", namespace, "--follow") == "a\nb\n"
    assert cluster.kubectl("exec", *asked, "--", "sh", "-c", "echo $HOSTNAME") == "asked\n"
    given = cluster.kubectl("exec", "-i", *asked, "--", "cat", stdin="from here\n")
    assert given == "from here\n"
    failed = cluster.kubectl_result("exec", *asked, "--", "sh", "-c", "echo why >&2; exit 5")
    assert failed.returncode == 5
    assert "why" in failed.stderr


def test_the_node_agent_answers_the_api_server_alone(cluster: Cluster, namespace: str) -> None:
    cluster.apply(objects.pod("private", namespace, objects.shell("echo secret"), **NEVER))
    cluster.wait_for("pod", "private", namespace, ended)
    pki = cluster.control_plane.folder / "pki"
    script = """
import http.client, ssl, sys
context = ssl._create_unverified_context()
if len(sys.argv) > 3:
    context.load_cert_chain(sys.argv[3], sys.argv[4])
connection = http.client.HTTPSConnection(sys.argv[1], 10250, timeout=10, context=context)
connection.request("GET", sys.argv[2])
print(connection.getresponse().status)
"""
    path = f"/containerLogs/{namespace}/private/main"

    def ask(*user: str) -> str:
        certificate = [str(pki / f"{user[0]}.{suffix}") for suffix in ("crt", "key")] if user else []
        result = cluster.execute(sys.executable, "-c", script, NODE, path, *certificate)
        return result.stdout.strip() or result.stderr.strip().splitlines()[-1]

    assert ask("kubelet-client") == "200"
    assert ask("ingress") == "403"
    assert not ask().isdigit()
