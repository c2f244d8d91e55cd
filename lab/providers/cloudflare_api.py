"""Calls to Cloudflare's HTTP API v4: envelope, bounded retries, and errors with Cloudflare's code and
message."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import urllib3
from grpc import StatusCode

from lab.providers.base import ProviderError

CALL_TIMEOUT = urllib3.Timeout(connect=5.0, read=30.0)  # seconds
MAX_ATTEMPTS = 4
# Cloudflare's rate limit blocks for at most its own window; a longer wait than this is for a person to
# decide.
MAX_RETRY_AFTER = 300.0  # seconds

_POOL = urllib3.PoolManager(timeout=CALL_TIMEOUT, retries=False)
_CODES = {
    400: StatusCode.INVALID_ARGUMENT,
    401: StatusCode.UNAUTHENTICATED,
    403: StatusCode.PERMISSION_DENIED,
    404: StatusCode.NOT_FOUND,
    409: StatusCode.ABORTED,
    429: StatusCode.RESOURCE_EXHAUSTED,
}


class CloudflareError(ProviderError):
    """An answer with ``success: false``; `number` is Cloudflare's code."""

    def __init__(self, message: str, code: StatusCode, number: int) -> None:
        super().__init__(message, code)
        self.number = number


def refused_code(error: ProviderError) -> int | None:
    """Cloudflare's code of an error, if it has one."""
    return error.number if isinstance(error, CloudflareError) else None


class CloudflareApi:
    """One token's access."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Any:
        """The `result` of a call. A 429 is repeated after Retry-After; a 5xx if repeating cannot do harm.

        Raises CloudflareError for what Cloudflare refuses, ProviderError where it does not answer.
        """
        url = f"{self._url}{path}" + (f"?{urlencode(query)}" if query else "")
        data = None if body is None else json.dumps(body).encode()
        repeatable = method != "POST"
        for attempt in range(1, MAX_ATTEMPTS + 1):
            last = attempt == MAX_ATTEMPTS
            try:
                response = _POOL.request(method, url, body=data, headers=self._headers)
            except urllib3.exceptions.HTTPError as error:
                # A refused connection carried nothing; anything else may have been executed.
                unsent = isinstance(
                    error, urllib3.exceptions.NewConnectionError | urllib3.exceptions.ConnectTimeoutError
                )
                if (repeatable or unsent) and not last:
                    time.sleep(_backoff(attempt))
                    continue
                doubt = (
                    ""
                    if repeatable or unsent
                    else " (it may have been carried out: look before you repeat it)"
                )
                raise ProviderError(
                    f"Cloudflare does not answer {method} {url}: {error}{doubt}", StatusCode.UNAVAILABLE
                ) from error
            if response.status == 429 and not last:
                wait = _seconds(response.headers.get("Retry-After"), _backoff(attempt))
                if wait <= MAX_RETRY_AFTER:
                    time.sleep(wait)
                    continue
            if response.status >= 500 and repeatable and not last:
                time.sleep(_seconds(response.headers.get("Retry-After"), _backoff(attempt)))
                continue
            return _result(f"{method} {path}", response.status, response.data)
        raise AssertionError("the last attempt returns or raises")


def _backoff(attempt: int) -> float:
    return float(0.25 * 2 ** (attempt - 1))


def _seconds(text: str | None, otherwise: float) -> float:
    return min(float(text), MAX_RETRY_AFTER + 1) if text and text.isdecimal() else otherwise


def _result(what: str, status: int, data: bytes) -> Any:
    try:
        envelope = json.loads(data)
        if envelope["success"]:
            return envelope["result"]
        errors = [*_flat(envelope["errors"])]
    except (ValueError, KeyError, TypeError) as error:
        raise ProviderError(
            f"Cloudflare: {what}: HTTP {status} with an unexpected body:"
            f" {data[:200].decode(errors='replace')!r}",
            StatusCode.UNAVAILABLE if status >= 500 else StatusCode.UNKNOWN,
        ) from error
    text = "; ".join(f"{code} {message}" for code, message in errors) or "no reason given"
    code = _CODES.get(status, StatusCode.UNAVAILABLE if status >= 500 else StatusCode.UNKNOWN)
    raise CloudflareError(f"Cloudflare: {what}: HTTP {status}: {text}", code, errors[0][0] if errors else 0)


def _flat(errors: list[Mapping[str, Any]]) -> list[tuple[int, str]]:
    flat: list[tuple[int, str]] = []
    for error in errors:
        flat.append((int(error["code"]), str(error["message"])))
        flat += _flat(error.get("error_chain") or [])
    return flat
