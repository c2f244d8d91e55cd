"""Starting the process of a container: hands `launch.py` its specification and learns whether it worked."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from lab.kubernetes.node import launch as launcher
from lab.kubernetes.node.processes import Process, spawn


class StartError(Exception):
    """The container's file system or its command could not be started."""


async def launch(specification: dict[str, Any], log: Path) -> Process:
    """Start a container's command with its output in `log`; returns once it runs. Raises StartError.

    The specification, which holds secrets, is handed over in memory.
    """
    network = specification["network"]
    given = os.memfd_create("specification")
    errors, report = os.pipe()
    try:
        os.write(given, json.dumps(specification).encode())
        os.lseek(given, 0, os.SEEK_SET)
        with log.open("ab") as output:
            process = spawn(
                [sys.executable, "-I", "-S", launcher.__file__, str(given), str(report)],
                env={},
                output=output,
                keep=[given, report, *([] if network is None else [network])],
                own_processes=True,
            )
    except OSError:
        os.close(errors)
        raise
    finally:
        os.close(given)
        os.close(report)
    try:
        problem = await _read_to_end(errors)
    except BaseException:
        process.signal(signal.SIGKILL)
        raise
    finally:
        os.close(errors)
    if problem:
        await process.wait()
        raise StartError(problem.decode(errors="replace"))
    return process


async def _read_to_end(descriptor: int) -> bytes:
    """All that is written to a pipe until its last writer closes it."""
    os.set_blocking(descriptor, False)
    loop = asyncio.get_running_loop()
    chunks: list[bytes] = []
    while True:
        readable = loop.create_future()
        loop.add_reader(descriptor, readable.set_result, None)
        try:
            await readable
        finally:
            loop.remove_reader(descriptor)
        chunk = os.read(descriptor, 65_536)
        if not chunk:
            return b"".join(chunks)
        chunks.append(chunk)
