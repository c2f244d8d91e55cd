"""The programs of the lab that are built from published Go modules, and where they lie once built."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path

from lab.setup import cache

MODULES = Path(__file__).resolve().parent.parent / "tools"
_VERSION_PACKAGE = "k8s.io/component-base/version"


@dataclass(frozen=True)
class GoTools:
    """Programs built from one go.mod.

    `folder` holds go.mod and go.sum; `programs` maps a program's name to its package; `flags` are go build's;
    `minutes` is how long a build from nothing takes on two cores.
    """

    name: str
    folder: Path
    programs: dict[str, str]
    flags: tuple[str, ...]
    minutes: int

    def key(self) -> str:
        """Names the result of a build. The Go version that go.mod asks for is part of it, as go.mod is."""
        return cache.key(
            {
                "go.mod": (self.folder / "go.mod").read_bytes(),
                "go.sum": (self.folder / "go.sum").read_bytes(),
                "programs": repr(sorted(self.programs.items())).encode(),
                "flags": repr(self.flags).encode(),
                "machine": platform.machine().encode(),
            }
        )

    def built(self, cache_folder: Path) -> Path:
        """The folder of the built programs."""
        return cache_folder / f"{self.name}-{self.key()}"


KUBERNETES_VERSION = "v1.36.1"
KUBERNETES = GoTools(
    name="kubernetes",
    folder=MODULES / "kubernetes",
    programs={
        name: f"k8s.io/kubernetes/cmd/{name}"
        for name in ("kube-apiserver", "kube-controller-manager", "kube-proxy", "kubectl")
    },
    flags=(
        "-trimpath",
        "-ldflags",
        f"-s -w -X {_VERSION_PACKAGE}.gitVersion={KUBERNETES_VERSION}"
        f" -X {_VERSION_PACKAGE}.gitMajor=1 -X {_VERSION_PACKAGE}.gitMinor=36",
    ),
    minutes=12,
)
ALL = (KUBERNETES,)


def program(tools: GoTools, name: str, cache_folder: Path) -> Path:
    """Where a built program lies: in `$LANDFALL_TOOLS` if that is set, else in the cache."""
    own = os.environ.get("LANDFALL_TOOLS")
    return (Path(own).expanduser().resolve() if own else tools.built(cache_folder)) / name
