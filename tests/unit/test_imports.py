"""What a program imports: a flip waits for no other stack's package, and no stack for services it has not."""

import ast
import json
import subprocess
import sys

import pytest

from tests.unit.recording import PROJECT

_LOADED = """
import importlib, json, sys
importlib.import_module({module!r})
loaded = [name for name, module in sys.modules.items() if "Lazy" not in type(module).__name__]
print(json.dumps(loaded))
"""
PROVIDERS = {"pulumi_aws", "pulumi_cloudflare", "pulumi_kubernetes"}
PACKAGES = {
    "stacks.landing_zone": {"pulumi_aws"},
    "stacks.replication": {"pulumi_aws"},
    "stacks.rhoam": {"pulumi_aws"},
    "stacks.source": {"pulumi_kubernetes"},
    "stacks.target": {"pulumi_kubernetes"},
    "stacks.callers": {"pulumi_kubernetes"},
    "stacks.edge": {"pulumi_cloudflare"},
    "stacks.build": set(),
    "stacks.settings": set(),
}


def _loaded(module: str) -> set[str]:
    """The modules that importing one executes; what is only promised is not among them."""
    program = [sys.executable, "-W", "ignore", "-c", _LOADED.format(module=module)]
    done = subprocess.run(program, cwd=PROJECT, capture_output=True, text=True, timeout=120, check=True)
    return set(json.loads(done.stdout))


def _used_services() -> set[str]:
    """The services of AWS that components and stacks name."""
    found: set[str] = set()
    for folder in ("components", "stacks"):
        for file in (PROJECT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.ImportFrom) and node.module == "pulumi_aws":
                    found |= {name.name for name in node.names}
    return found


@pytest.mark.parametrize("module", PACKAGES)
def test_a_stack_imports_its_own_providers_and_their_used_services(module: str) -> None:
    loaded = _loaded(module)
    assert {name.partition(".")[0] for name in loaded} & PROVIDERS == PACKAGES[module]
    services = {
        name.split(".")[1] for name in loaded if name.startswith("pulumi_aws.") and name.count(".") > 1
    }
    assert services <= _used_services()
    assert bool(services) == ("pulumi_aws" in PACKAGES[module])
