"""Runs a local program. Started by the engine as a script, with the Python of the program's environment.

It imports nothing but the Pulumi SDK, and it imports that first, while the engine is still getting ready.
What to run it reads from standard input, as one line of JSON, since secrets of the configuration are in it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import runpy
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import grpc
import pulumi
import pulumi.runtime
from pulumi.runtime.settings import reset_options

# The program has failed and has said why.
EXIT_REPORTED = 32


def _ignore_lost_calls(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    if isinstance(context.get("exception"), grpc.RpcError):
        loop.stop()
    else:
        loop.default_exception_handler(context)


def _report(error: BaseException) -> int:
    if isinstance(error, pulumi.RunError):
        pulumi.log.error(str(error))
    elif isinstance(error, grpc.RpcError) and error.code() == grpc.StatusCode.UNAVAILABLE:
        # The engine has ended the operation and knows why.
        return EXIT_REPORTED
    else:
        text = "".join(traceback.format_exception(error))
        pulumi.log.error(f"Program failed with an unhandled exception:\n{text}")
    return EXIT_REPORTED


def main() -> int:
    """Runs the program that standard input names and returns the exit code."""
    work = json.loads(sys.stdin.readline())
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    reset_options(
        project=work["project"],
        stack=work["stack"],
        root_directory=work["root"],
        parallel=work["parallel"],
        engine_address=work["engine"],
        monitor_address=work["monitor"],
        preview=work["preview"],
        organization=work["organization"],
    )
    pulumi.runtime.set_all_config(work["config"], work["secret_keys"])
    os.chdir(work["folder"])
    program = work["program"]
    sys.argv = [program]
    sys.path.insert(0, program if os.path.isdir(program) else os.path.dirname(program))  # noqa: PTH112, PTH120

    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    loop.set_default_executor(ThreadPoolExecutor(max_workers=work["parallel"] * 4))
    loop.set_exception_handler(_ignore_lost_calls)

    def run() -> None:
        runpy.run_path(program, run_name="__main__")

    try:
        loop.run_until_complete(pulumi.runtime.run_in_stack(run))
    except BaseException as error:  # noqa: BLE001 (whatever a program raises is to be reported)
        return _report(error)
    finally:
        for task in asyncio.all_tasks(loop):
            task.cancel()
            with suppress(asyncio.CancelledError, Exception):
                loop.run_until_complete(task)
        loop.close()
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


if __name__ == "__main__":
    # Threads of calls that are still running must not keep a failed program alive.
    code = main()
    sys.stdout.flush()
    os._exit(code)
