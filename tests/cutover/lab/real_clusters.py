"""A step's context in which the clusters are real."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from kubernetes.config import kube_config

from cutover.clock import SystemClock
from cutover.clusters import KubernetesCluster
from cutover.context import Context
from lab.kubernetes.control_plane import ControlPlane, write_kubeconfig
from stacks.settings import Environment
from tests.cutover.conftest import filled_settings
from tests.cutover.world import World


def context_of(folder: Path, clusters: tuple[ControlPlane, ControlPlane], *, call_seconds: float) -> Context:
    """With source and target; everything else but the clock is in memory."""
    path = folder / "kubeconfig"
    write_kubeconfig(path, clusters)
    kube_config.KUBE_CONFIG_DEFAULT_LOCATION = str(path)  # the variable was read at the import
    clock = SystemClock()
    real = {
        side: KubernetesCluster(plane.spec.name, call_seconds, clock)
        for side, plane in zip(("source", "target"), clusters, strict=True)
    }
    context = World(Environment.model_validate(filled_settings())).context()
    return replace(context, clusters=real, clock=clock, say=lambda text: print(text, file=sys.stderr))
