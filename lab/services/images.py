"""What the lab's own images run, for the node agent's images file."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

REGISTRY = "registry.example"
MIRROR = "registry.aws.example"
"""The target's own registry: it holds the same images."""
INGRESS_IMAGE = "registry.k8s.io/ingress-nginx/controller"
TRUSTED = "/etc/ssl/certs/ca-certificates.crt"
REPOSITORY = Path(__file__).resolve().parents[2]
NAMES = ("boss", "corestone", "invoice-exporter", "automata", "inner-app", "kodo")


def images(
    authority: str = "", python: str = sys.executable, repository: Path = REPOSITORY
) -> dict[str, Mapping[str, object]]:
    """Images by name without a tag; the node agent itself has public ones.

    `authority`: PEM of what signs the certificates of the lab's domains, which the images trust.
    """
    found = {
        f"{registry}/{name}": _image([python, "-m", "lab.services", name], authority, repository)
        for registry in (REGISTRY, MIRROR)
        for name in NAMES
    }
    ingress = [python, "-m", "lab.kubernetes.ingress"]
    return {**found, INGRESS_IMAGE: _image(ingress, "", repository)}


def _image(entrypoint: Sequence[str], authority: str, repository: Path) -> Mapping[str, object]:
    environment = {"PYTHONPATH": str(repository), "PYTHONUNBUFFERED": "1"}
    if not authority:
        return {"entrypoint": entrypoint, "env": environment}
    environment["SSL_CERT_FILE"] = TRUSTED
    return {"entrypoint": entrypoint, "env": environment, "files": {TRUSTED: authority}}
