"""Volumes that claims ask for."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.kubernetes.node.storage import is_released, volume_for, wants_volume
from tests.node import objects
from tests.node.cluster import Cluster, Object
from tests.node.test_pods import NEVER, ended

PROVISIONER = "volume.kubernetes.io/storage-provisioner"


def claim(name: str, namespace: str, storage_class: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": storage_class,
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }


def storage_class(name: str, mode: str) -> Object:
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": name},
        "provisioner": "ebs.csi.aws.com",
        "volumeBindingMode": mode,
    }


def test_a_claim_wants_a_volume_once_it_is_handed_over() -> None:
    wanted = claim("data", "n", "gp3")
    assert not wants_volume(wanted)
    wanted["metadata"]["annotations"] = {PROVISIONER: "ebs.csi.aws.com"}
    assert wants_volume(wanted)
    wanted["spec"]["volumeName"] = "pvc-1"
    assert not wants_volume(wanted)


def test_a_volume_fits_its_claim_and_its_class() -> None:
    wanted = claim("data", "n", "gp3")
    wanted["metadata"] |= {"uid": "1", "annotations": {PROVISIONER: "ebs.csi.aws.com"}}
    volume = volume_for(wanted, {"reclaimPolicy": "Retain"}, Path("/lab/volumes"))
    assert volume["metadata"]["name"] == "pvc-1"
    assert volume["spec"]["hostPath"]["path"] == "/lab/volumes/pvc-1"
    assert volume["spec"]["persistentVolumeReclaimPolicy"] == "Retain"
    assert volume["spec"]["claimRef"]["uid"] == "1"
    assert not is_released(volume)
    assert not is_released({**volume, "status": {"phase": "Released"}})
    volume["spec"]["persistentVolumeReclaimPolicy"] = "Delete"
    assert is_released({**volume, "status": {"phase": "Released"}})


@pytest.mark.lab
@pytest.mark.parametrize("mode", ["Immediate", "WaitForFirstConsumer"])
def test_what_a_pod_stores_is_there_for_the_next_and_goes_with_the_claim(cluster: Cluster, mode: str) -> None:
    namespace = f"stores-{mode.lower()}"
    cluster.make_namespace(namespace)
    mounts = [{"name": "data", "mountPath": "/data"}]
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
    cluster.apply(storage_class(namespace, mode), claim("data", namespace, namespace))
    for name, script in (("writer", "echo kept >/data/file"), ("reader", "cat /data/file")):
        wants = objects.shell(script, volumeMounts=mounts)
        cluster.apply(objects.pod(name, namespace, wants, volumes=volumes, **NEVER))
        cluster.wait_for("pod", name, namespace, ended)
    assert cluster.log(namespace, "reader", "main") == "kept\n"
    (folder,) = (cluster.node_folder / "volumes").iterdir()
    assert (folder / "file").read_text() == "kept\n"
    cluster.kubectl("delete", "pods", "--all", "-n", namespace)
    cluster.kubectl("delete", "pvc", "data", "-n", namespace)
    cluster.poll(lambda: not folder.exists(), "the volume's folder stays")
    cluster.kubectl("wait", "--for=delete", f"pv/{folder.name}", "--timeout=40s")
