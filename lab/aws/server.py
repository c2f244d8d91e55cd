"""moto as a server, quiet, with the lab's additions."""

from __future__ import annotations

import logging
import os
from ipaddress import IPv4Network
from threading import Thread
from types import TracebackType
from typing import Any

from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import make_server

from lab.aws import elastic_ips, fakes
from lab.replication import dms_tasks


class _QuietHandler(MotoRequestHandler):
    """moto's handler without a line for each request."""

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Write what is an error, and nothing else."""
        if type == "error":
            logging.getLogger("lab.aws").error(message, *args)


class AwsServer:
    """Serves AWS's APIs on one address. A context manager for tests; `serve` for a process of its own."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0, pool: IPv4Network | None = None) -> None:
        """Listen on `host` and `port` (0: any free one). Raises OSError where that is not possible."""
        # Roles attach AWS's own policies by their ARNs.
        os.environ.setdefault("MOTO_IAM_LOAD_MANAGED_POLICIES", "true")
        if pool is not None:
            elastic_ips.use_pool(pool)
        fakes.install()
        application = DomainDispatcherApplication(create_backend_app)
        self._server = make_server(host, port, application, threaded=True, request_handler=_QuietHandler)

    @property
    def url(self) -> str:
        """The endpoint for AWS_ENDPOINT_URL."""
        return f"http://{self._server.host}:{self._server.port}"

    def serve(self) -> None:
        """Serve until `stop`."""
        self._server.serve_forever(poll_interval=0.1)

    def stop(self) -> None:
        """End `serve`, close the socket, and end what the API started."""
        self._server.shutdown()
        self._server.server_close()
        dms_tasks.close()

    def __enter__(self) -> AwsServer:
        Thread(target=self.serve, name="aws", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
