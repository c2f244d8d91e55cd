"""Requests to 3scale's API: https with a verified certificate, the token never in an address."""

from __future__ import annotations

import base64
import http.client
import ssl
from urllib.parse import urlencode

from cutover.errors import StepError
from cutover.ports import ApiAnswer, ApiRequest
from cutover.web import AddressedConnection

_LARGEST = 50_000_000


class HttpsApi:
    """Implements ports.Api."""

    def __init__(self) -> None:
        self._tls = ssl.create_default_context()

    def call(self, request: ApiRequest) -> ApiAnswer:
        """See ports.Api."""
        headers = {"User-Agent": "landfall", "Accept": "application/json", "Connection": "close"}
        if request.token:
            # 3scale takes a token as user or as password; in an address it would stand in every log
            credential = base64.b64encode(f":{request.token}".encode()).decode()
            headers["Authorization"] = f"Basic {credential}"
        body = None
        if request.method != "GET":
            body = urlencode(request.form, doseq=True)
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        connection = AddressedConnection(
            request.host, request.address or request.host, request.timeout_seconds, self._tls
        )
        try:
            connection.request(request.method, request.path, body, headers)
            response = connection.getresponse()
            content = response.read(_LARGEST)
            named = {name.lower(): value for name, value in response.getheaders()}
        except ssl.SSLCertVerificationError as error:
            raise StepError(f"{request}: the certificate is not good: {error.verify_message}") from error
        except (OSError, http.client.HTTPException) as error:
            raise StepError(f"{request}: no answer: {type(error).__name__}: {error}") from error
        finally:
            connection.close()
        return ApiAnswer(response.status, content, named)
