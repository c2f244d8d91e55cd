"""The objects that every cluster of the lab starts with: the cluster DNS Service, and who may do what."""

from __future__ import annotations

from typing import Any

Object = dict[str, Any]

_ALL = ["get", "list", "watch", "create", "update", "patch", "delete"]
_READ = ["get", "list", "watch"]


def bootstrap_objects(cluster_dns: str) -> list[Object]:
    """All of them; `cluster_dns` is the service address of the cluster's DNS."""
    return [
        _cluster_dns_service(cluster_dns),
        *_role(
            "node",
            # what a kubelet does and, as there is no scheduler, binding pods
            _rule("", ["pods", "pods/status"], _ALL),
            _rule("", ["pods/binding"], ["create"]),
            _rule("", ["nodes", "nodes/status"], _ALL),
            _rule("", ["configmaps", "secrets", "services", "endpoints", "namespaces"], _READ),
            _rule("", ["serviceaccounts"], _READ),
            # it makes the volumes that claims ask for, whichever provisioner their class names
            _rule("", ["persistentvolumeclaims", "persistentvolumes"], _ALL),
            _rule("storage.k8s.io", ["storageclasses"], _READ),
            _rule("", ["serviceaccounts/token"], ["create"]),
            _rule("discovery.k8s.io", ["endpointslices"], _READ),
            _rule("coordination.k8s.io", ["leases"], _ALL),
            _EVENTS,
        ),
        *_role(
            "ingress",
            _rule("networking.k8s.io", ["ingresses", "ingressclasses"], _READ),
            _rule("networking.k8s.io", ["ingresses/status"], ["update", "patch"]),
            _rule("", ["services", "secrets", "namespaces", "configmaps"], _READ),
            _rule("discovery.k8s.io", ["endpointslices"], _READ),
            _EVENTS,
        ),
        *_role(
            "cluster-dns",
            _rule("", ["services", "namespaces", "pods"], _READ),
            # its own addresses behind the Service: it runs beside the cluster, not as a pod
            _rule("discovery.k8s.io", ["endpointslices"], _ALL),
        ),
    ]


def _cluster_dns_service(address: str) -> Object:
    # no selector: whoever answers DNS publishes where it does, in an EndpointSlice of this Service
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "kube-dns", "namespace": "kube-system", "labels": {"k8s-app": "kube-dns"}},
        "spec": {
            "clusterIP": address,
            "ports": [
                {"name": "dns", "port": 53, "protocol": "UDP"},
                {"name": "dns-tcp", "port": 53, "protocol": "TCP"},
            ],
        },
    }


def _rule(group: str, resources: list[str], verbs: list[str]) -> Object:
    return {"apiGroups": [group], "resources": resources, "verbs": verbs}


_EVENTS: Object = {
    "apiGroups": ["", "events.k8s.io"],
    "resources": ["events"],
    "verbs": ["create", "patch", "update"],
}


def _role(name: str, *rules: Object) -> list[Object]:
    full = f"landfall:{name}"
    api = "rbac.authorization.k8s.io"
    return [
        {
            "apiVersion": f"{api}/v1",
            "kind": "ClusterRole",
            "metadata": {"name": full},
            "rules": list(rules),
        },
        {
            "apiVersion": f"{api}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": full},
            "roleRef": {"apiGroup": api, "kind": "ClusterRole", "name": full},
            "subjects": [{"apiGroup": api, "kind": "User", "name": full}],
        },
    ]
