"""Names and credentials of the world in memory."""

from __future__ import annotations

import base64
from collections.abc import Mapping

WILDCARDS = {
    "source": "apps.source.example.com",
    "migration": "apps.migration.example.com",
    "destination": "apps.rhoam.example.com",
}
NAMESPACES = {"source": "3scale", "migration": "3scale", "destination": "redhat-rhoam-3scale"}
OPERATORS = {"source": "3scale", "migration": "3scale", "destination": "redhat-rhoam-3scale-operator"}
RHOAM, SSO = "redhat-rhoam-operator", "redhat-rhoam-rhsso"
MASTER_TOKEN, CANARY = "master-token-canary", "canary-of-a-secret"
TOKENS = {"acme": "acme-token-canary", "globex": "globex-token-canary"}


def encode(values: Mapping[str, str]) -> dict[str, str]:
    """A Secret's data."""
    return {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
