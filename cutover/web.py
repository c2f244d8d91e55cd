"""Health checks over https: the certificate is verified, redirects are not followed."""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime
from urllib.parse import urlsplit

from cutover.errors import StepError
from cutover.ports import WebAnswer

PORT = 443
_LARGEST_FILE = 50_000_000


class HttpsClient:
    """Implements ports.Web."""

    def __init__(self) -> None:
        self._tls = ssl.create_default_context()

    def ask(self, domain: str, path: str, address: str | None, timeout_seconds: float) -> WebAnswer:
        """See ports.Web."""
        begun = time.monotonic()
        connection = AddressedConnection(domain, address or domain, timeout_seconds, self._tls)
        try:
            connection.request("GET", path, headers={"User-Agent": "landfall", "Connection": "close"})
            ends = connection.certificate_ends()
            response = connection.getresponse()
            response.read(65536)
        except ssl.SSLCertVerificationError as error:
            took = time.monotonic() - begun
            return WebAnswer(None, took, f"the certificate is not good: {error.verify_message}",
                             certificate_problem=error.verify_message)  # fmt: skip
        except (OSError, http.client.HTTPException) as error:
            return WebAnswer(None, time.monotonic() - begun, f"{type(error).__name__}: {error}")
        finally:
            connection.close()
        return WebAnswer(response.status, time.monotonic() - begun, certificate_ends=ends)

    def fetch(self, url: str, timeout_seconds: float) -> bytes:
        """See ports.Web."""
        parts = urlsplit(url)
        place = f"{parts.scheme}://{parts.netloc}{parts.path}"  # without the query, which holds the signature
        if parts.scheme not in ("http", "https"):
            raise StepError(f"{place} is no address of a file")
        try:
            with urllib.request.urlopen(  # noqa: S310 - the scheme was looked at
                url, timeout=timeout_seconds, context=self._tls
            ) as response:
                data: bytes = response.read(_LARGEST_FILE)
        except urllib.error.HTTPError as error:
            raise StepError(f"{place} answered with {error.code}") from error
        except (OSError, http.client.HTTPException) as error:
            # some errors quote the whole address
            said = str(error).replace(parts.query, "***") if parts.query else str(error)
            raise StepError(f"{place} could not be fetched: {type(error).__name__}: {said}") from None
        return data


class AddressedConnection(http.client.HTTPSConnection):
    """A connection to an address of our choice, with the domain as the name in TLS and in the request."""

    def __init__(self, domain: str, address: str, timeout: float, tls: ssl.SSLContext) -> None:
        super().__init__(domain, PORT, timeout=timeout, context=tls)
        self._address = address
        self._tls = tls

    def connect(self) -> None:
        """Raises OSError also for an address that no service of ours can have."""
        plain = socket.create_connection((self._address, PORT), self.timeout)
        try:
            _check_peer(self.host, plain.getpeername()[0])
            self.sock = self._tls.wrap_socket(plain, server_hostname=self.host)
        except BaseException:
            plain.close()
            raise

    def certificate_ends(self) -> datetime | None:
        """Until when the server's certificate is valid."""
        certificate = self.sock.getpeercert() if isinstance(self.sock, ssl.SSLSocket) else None
        ends = (certificate or {}).get("notAfter")
        return datetime.fromtimestamp(ssl.cert_time_to_seconds(ends), UTC) if isinstance(ends, str) else None


def _check_peer(host: str, address: str) -> None:
    """Raises OSError for an address that no service of ours can have, such as that of a metadata service."""
    peer = ipaddress.ip_address(address)
    if peer.is_link_local or peer.is_unspecified or peer.is_multicast:
        raise OSError(f"{host} leads to {peer}, which is not asked")
