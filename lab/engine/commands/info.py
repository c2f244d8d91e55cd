"""Commands about the engine itself."""

from __future__ import annotations

import getpass
import json
from datetime import UTC, datetime

from lab.engine import VERSION
from lab.engine.flags import Arguments


def version(arguments: Arguments) -> int:  # noqa: ARG001
    """Prints the version that is followed."""
    print(f"v{VERSION}")
    return 0


def about(arguments: Arguments) -> int:
    """Prints what this is."""
    if arguments.has("--json"):
        print(json.dumps({"cliAbout": {"version": VERSION, "engine": "lab"}}))
    else:
        print(f"The lab's engine, following pulumi {VERSION}")
    return 0


def whoami(arguments: Arguments) -> int:
    """Prints the user, and with --json the backend."""
    from lab.engine.errors import EngineError  # noqa: PLC0415
    from lab.engine.project import backend_url, find_project  # noqa: PLC0415

    try:
        content = find_project().content
    except EngineError:
        content = {}
    url = backend_url(content)
    if arguments.has("--json"):
        print(json.dumps({"user": getpass.getuser(), "organizations": [], "url": url}))
    else:
        print(getpass.getuser())
    return 0


def plugins(arguments: Arguments) -> int:
    """Prints the attached providers."""
    from lab.engine.registry import addresses  # noqa: PLC0415

    found = addresses()
    if arguments.has("--json"):
        stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        print(
            json.dumps(
                [
                    {"name": name, "kind": "resource", "version": "", "size": 0, "lastUsedTime": stamp}
                    for name in sorted(found)
                ]
            )
        )
        return 0
    for name, address in sorted(found.items()):
        print(f"{name}  attached at {address}")
    return 0


def plugin_install(arguments: Arguments) -> int:  # noqa: ARG001
    """Does nothing, and says so."""
    print("nothing is installed: the lab's engine uses only providers attached by PULUMI_DEBUG_PROVIDERS")
    return 0
