"""Kubernetes objects as the tests need them."""

from __future__ import annotations

from typing import Any

Object = dict[str, Any]

IMAGE = "registry.example/server:1.0"
READY = {"httpGet": {"path": "/ready", "port": "web"}, "periodSeconds": 1, "failureThreshold": 1}


def pod(name: str, namespace: str, container: Object, **spec: Any) -> Object:
    """A bare pod of one container, which is called `main`."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": {"app": name}},
        "spec": {
            "terminationGracePeriodSeconds": 5,
            "containers": [{"name": "main", "image": IMAGE, **container}],
            **spec,
        },
    }


def shell(script: str, **container: Any) -> Object:
    """A busybox container that runs a script."""
    return {"image": "busybox:1.37", "command": ["sh", "-c", script], **container}


def config_map(name: str, namespace: str, **data: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace},
        "data": data,
    }


def secret(name: str, namespace: str, kind: str = "Opaque", **data: str) -> Object:
    metadata = {"name": name, "namespace": namespace}
    fields = {key.replace("__", "."): value for key, value in data.items()}
    return {"apiVersion": "v1", "kind": "Secret", "type": kind, "metadata": metadata, "stringData": fields}


def deployment(name: str, namespace: str, replicas: int, env: dict[str, str] | None = None) -> Object:
    """A Deployment of the test server that never has less than its replicas."""
    container = {
        "name": "main",
        "image": IMAGE,
        "ports": [{"name": "web", "containerPort": 8080}],
        "env": [{"name": key, "value": value} for key, value in (env or {}).items()],
        "readinessProbe": READY,
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "strategy": {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [container], "terminationGracePeriodSeconds": 20},
            },
        },
    }


def service(name: str, namespace: str, app: str, **spec: Any) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "selector": {"app": app},
            "ports": [{"name": "http", "port": 80, "targetPort": 8080}],
            **spec,
        },
    }


def ingress(
    name: str, namespace: str, host: str, to: str, *, tls: str = "", annotations: dict[str, str] | None = None
) -> Object:
    backend = {"service": {"name": to, "port": {"number": 80}}}
    spec: Object = {
        "ingressClassName": "nginx",
        "rules": [
            {"host": host, "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}
        ],
    }
    if tls:
        spec["tls"] = [{"hosts": [host], "secretName": tls}]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": name, "namespace": namespace, "annotations": annotations or {}},
        "spec": spec,
    }
