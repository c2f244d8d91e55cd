"""The programs of the lab that are built from published Go modules, and where they lie once built."""

from __future__ import annotations

import os
import platform
import re
from dataclasses import dataclass
from pathlib import Path

from lab.setup import cache
from lab.setup.errors import SetupError
from lab.setup.releases import Release

MODULES = Path(__file__).resolve().parent.parent / "tools"
_VERSION_PACKAGE = "k8s.io/component-base/version"


@dataclass(frozen=True)
class GoTools:
    """Programs built from one go.mod.

    `folder` holds go.mod and go.sum; `programs` maps a program's name to its package; `flags` are go build's;
    `minutes` is how long a build from nothing takes on two cores.
    """

    name: str
    title: str
    folder: Path
    programs: dict[str, str]
    flags: tuple[str, ...]
    minutes: int
    releases: tuple[Release, ...] = ()
    """The programs that are published, and need not be built where the internet can be reached."""

    def go_version(self) -> tuple[int, ...]:
        """The oldest Go that builds it, as go.mod says."""
        found = re.search(
            r"^go (\d+)\.(\d+)(?:\.(\d+))?$", (self.folder / "go.mod").read_text(), re.MULTILINE
        )
        if found is None:
            raise SetupError(f"{self.folder / 'go.mod'} does not say which Go it needs (a line `go 1.26.0`)")
        return tuple(int(number) for number in found.groups(default="0"))

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
    title=f"Kubernetes {KUBERNETES_VERSION}",
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
    releases=tuple(
        Release(
            f"https://dl.k8s.io/{KUBERNETES_VERSION}/bin/linux/{{arch}}/{name}",
            f"https://dl.k8s.io/{KUBERNETES_VERSION}/bin/linux/{{arch}}/{name}.sha256",
            {name: None},
        )
        for name in ("kube-apiserver", "kube-controller-manager", "kube-proxy", "kubectl")
    ),
)

VELERO_VERSION = "v1.18.3"
VELERO_PLUGIN_VERSION = "v1.14.3"
_VELERO_RELEASES = f"https://github.com/vmware-tanzu/velero/releases/download/{VELERO_VERSION}"
VELERO = GoTools(
    name="velero",
    title=f"Velero {VELERO_VERSION}",
    folder=MODULES / "velero",
    programs={
        "velero": "github.com/vmware-tanzu/velero/cmd/velero",
        "velero-plugin-for-aws": "github.com/vmware-tanzu/velero-plugin-for-aws/velero-plugin-for-aws",
    },
    flags=(
        "-trimpath",
        "-ldflags",
        f"-s -w -X github.com/vmware-tanzu/velero/pkg/buildinfo.Version={VELERO_VERSION}",
    ),
    minutes=10,
    # the plugin is published as an image alone
    releases=(
        Release(
            f"{_VELERO_RELEASES}/velero-{VELERO_VERSION}-linux-{{arch}}.tar.gz",
            f"{_VELERO_RELEASES}/CHECKSUM",
            {"velero": f"velero-{VELERO_VERSION}-linux-{{arch}}/velero"},
        ),
    ),
)
ALL = (KUBERNETES, VELERO)

PULUMI_VERSION = "3.272.0"
"""The command line that belongs to the SDK in requirements.lock."""
PULUMI = Release(
    f"https://github.com/pulumi/pulumi/releases/download/v{PULUMI_VERSION}/"
    f"pulumi-v{PULUMI_VERSION}-linux-{{x64}}.tar.gz",
    f"https://github.com/pulumi/pulumi/releases/download/v{PULUMI_VERSION}/"
    f"pulumi-{PULUMI_VERSION}-checksums.txt",
    {name: f"pulumi/{name}" for name in ("pulumi", "pulumi-language-python", "pulumi-language-python-exec")},
)
"""It is not built where it cannot be had: the lab has an engine of its own."""


def pulumi_folder(cache_folder: Path) -> Path:
    """Where the official pulumi lies, if it could be had."""
    return cache_folder / f"pulumi-{PULUMI_VERSION}"


def overridden() -> Path | None:
    """`$LANDFALL_TOOLS`: a folder of programs to be used instead of those in the cache."""
    own = os.environ.get("LANDFALL_TOOLS")
    return Path(own).expanduser().resolve() if own else None


def find(tools: GoTools, cache_folder: Path) -> dict[str, Path | None]:
    """Each program's path, None where it has not been built (to its end)."""
    own, built = overridden(), tools.built(cache_folder)
    folder = own or (built if cache.is_complete(built) else None)
    if folder is None:
        return dict.fromkeys(tools.programs)
    paths = {name: folder / name for name in tools.programs}
    return {name: path if os.access(path, os.X_OK) else None for name, path in paths.items()}
