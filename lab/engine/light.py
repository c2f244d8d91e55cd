"""Makes the SDK's generated protocol classes importable without the SDK itself.

`import pulumi` takes half a second and the engine needs only `pulumi.runtime.proto`, so a command puts
empty packages in the place of `pulumi`, `pulumi.runtime` and `pulumi.runtime.proto`: their submodules are
found as usual. Only for a process that never needs the SDK; does nothing where the SDK is already imported.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from lab.engine.errors import EngineError


def install() -> None:
    """Installs the empty packages.

    Raises:
        EngineError: the Pulumi Python SDK is not installed.
    """
    if "pulumi" in sys.modules:
        return
    spec = importlib.util.find_spec("pulumi")
    if spec is None or not spec.submodule_search_locations:
        raise EngineError(f"the Pulumi Python SDK is not installed for {sys.executable}: pip install pulumi")
    folder = Path(spec.submodule_search_locations[0])
    for name, path in (
        ("pulumi", folder),
        ("pulumi.runtime", folder / "runtime"),
        ("pulumi.runtime.proto", folder / "runtime" / "proto"),
    ):
        package = ModuleType(name)
        package.__path__ = [str(path)]
        sys.modules[name] = package
