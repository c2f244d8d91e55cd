"""A command in a pod, over the WebSocket of the Kubernetes API: each message begins with its channel."""

from __future__ import annotations

import json
import select
import ssl
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

import websocket
from kubernetes import client

from cutover.errors import StepError

_PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
_STDIN, _STDOUT, _STDERR, _ERROR = 0, 1, 2, 3
_CONNECT_SECONDS = 10.0
_CHUNK = 65_536


class ExecutedCommand:
    """Implements ports.PodCommand. One thread at a time may use it."""

    def __init__(
        self,
        configuration: client.Configuration,
        context: str,
        path: str,
        container: str,
        command: Sequence[str],
    ) -> None:
        """Raises StepError where it cannot be started."""
        self._place = f"`{command[-1]}` in {path.rpartition('/exec')[0]} on {context}"
        streams = [(name, "true") for name in ("stdin", "stdout", "stderr")]
        query = urlencode([("container", container), *streams, *(("command", word) for word in command)])
        address = f"{configuration.host}{path}?{query}".replace("http", "ws", 1)
        token = configuration.auth_settings().get("BearerToken", {}).get("value")
        self._complaint = b""
        self._ended = ""
        self._socket = websocket.WebSocket(sslopt=_tls(configuration), skip_utf8_validation=True)
        try:
            self._socket.connect(  # type: ignore[no-untyped-call]
                address,
                subprotocols=list(_PROTOCOLS),
                header=[f"authorization: {token}"] if token else [],
                timeout=_CONNECT_SECONDS,
            )
        except (websocket.WebSocketException, OSError) as error:
            raise StepError(f"{self._place} could not be started: {error}") from error

    def write(self, data: bytes) -> None:
        """See ports.PodCommand."""
        try:
            for at in range(0, len(data), _CHUNK):
                self._socket.send_binary(bytes([_STDIN]) + data[at : at + _CHUNK])
        except (websocket.WebSocketException, OSError) as error:
            raise StepError(f"{self._place} takes no input: {error}") from error

    def read(self, seconds: float) -> bytes:
        """See ports.PodCommand."""
        output = b""
        try:
            while self._waits(0 if output else seconds):
                output += self._message()
        except (websocket.WebSocketException, OSError) as error:
            self._ended = self._ended or str(error) or type(error).__name__
        if self._ended and not output:
            complaint = self._complaint.decode("utf-8", "replace").strip()[:300]
            raise StepError(f"{self._place} has ended: {complaint or self._ended}")
        return output

    def close(self) -> None:
        """See ports.PodCommand."""
        self._socket.shutdown()  # type: ignore[no-untyped-call]

    def _waits(self, seconds: float) -> bool:
        """Whether a message is there to be read."""
        plain = self._socket.sock
        if self._ended or plain is None:
            return False
        if isinstance(plain, ssl.SSLSocket) and plain.pending():
            return True
        return bool(select.select([plain], [], [], seconds)[0])

    def _message(self) -> bytes:
        """Takes one message; what it says on standard output."""
        code, data = self._socket.recv_data(control_frame=True)
        if code == websocket.ABNF.OPCODE_CLOSE:
            self._ended = self._ended or "the connection was closed"
        if code not in (websocket.ABNF.OPCODE_BINARY, websocket.ABNF.OPCODE_TEXT) or not data:
            return b""
        channel, content = data[0], bytes(data[1:])
        if channel == _STDERR:
            self._complaint += content
        if channel == _ERROR:
            self._ended = _outcome(content)
        return content if channel == _STDOUT else b""


def _tls(configuration: client.Configuration) -> dict[str, Any]:
    options: dict[str, Any] = {
        "cert_reqs": ssl.CERT_REQUIRED if configuration.verify_ssl else ssl.CERT_NONE,
        "ca_certs": configuration.ssl_ca_cert,
        "certfile": configuration.cert_file,
        "keyfile": configuration.key_file,
        "server_hostname": configuration.tls_server_name,
    }
    return {name: value for name, value in options.items() if value is not None}


def _outcome(content: bytes) -> str:
    """How a command ended, as the API says it."""
    try:
        return str(json.loads(content).get("message") or "it has ended")
    except (ValueError, AttributeError):
        return content.decode("utf-8", "replace")
