"""Errors of Cloudflare's v4 API, with its own codes."""

from __future__ import annotations


class ApiError(Exception):
    """An answer with `success: false`.

    `chain` holds the causes behind a summary error; `retry_after` is in seconds.
    """

    def __init__(
        self,
        status: int,
        code: int,
        message: str,
        chain: tuple[tuple[int, str], ...] = (),
        retry_after: int | None = None,
    ) -> None:
        super().__init__(f"{message} ({code})")
        self.status = status
        self.code = code
        self.message = message
        self.chain = chain
        self.retry_after = retry_after

    def as_json(self) -> dict[str, object]:
        """The error as it stands in the envelope."""
        body: dict[str, object] = {"code": self.code, "message": self.message}
        if self.chain:
            body["error_chain"] = [{"code": code, "message": message} for code, message in self.chain]
        return body


SAME_NAME_HELP = (
    "For more details, refer to <https://developers.cloudflare.com/dns/manage-dns-records/troubleshooting/"
    "records-with-same-name/>."
)


def missing_authorization() -> ApiError:
    """No credential was given."""
    return ApiError(400, 9106, "Missing X-Auth-Key, X-Auth-Email or Authorization headers")


def malformed_authorization() -> ApiError:
    """The Authorization header is not a bearer token."""
    return ApiError(
        400, 6003, "Invalid request headers", ((6111, "Invalid format for Authorization header"),)
    )


def unknown_key() -> ApiError:
    """A global API key that nobody has; the lab gives out tokens only."""
    return ApiError(403, 9103, "Unknown X-Auth-Key or X-Auth-Email")


def invalid_token() -> ApiError:
    """What /user/tokens/verify says of a token that it does not know."""
    return ApiError(401, 1000, "Invalid API Token")


def authentication_error() -> ApiError:
    """What every other call says of a token that is unknown or lacks the right."""
    return ApiError(403, 10000, "Authentication error")


def no_route(path: str) -> ApiError:
    """An unknown path or an identifier of an unknown zone."""
    return ApiError(404, 7003, f"Could not route to {path}, perhaps your object identifier is invalid?")


def unknown_record() -> ApiError:
    """No record with that identifier in the zone."""
    return ApiError(404, 81044, "Record does not exist.")


def malformed_json() -> ApiError:
    """The body is not JSON."""
    return ApiError(400, 6007, "Malformed JSON in request body")


def invalid(code: int, message: str) -> ApiError:
    """A field of a record that does not hold what it must."""
    return ApiError(400, code, message)


def invalid_ttl() -> ApiError:
    """A TTL outside what a zone of this plan may have."""
    message = "TTL must be between 60 and 86400 seconds, or 1 for Automatic."
    return ApiError(400, 1004, "DNS Validation Error", ((9021, message),))


def identical_record() -> ApiError:
    """A record with the same name, type and content."""
    return ApiError(400, 81058, "An identical record already exists.")


def host_exists() -> ApiError:
    """A CNAME beside an address or another CNAME."""
    return ApiError(
        400, 81053, f"An A, AAAA, or CNAME record with that host already exists. {SAME_NAME_HELP}"
    )


def alias_exists() -> ApiError:
    """An address beside a CNAME."""
    return ApiError(400, 81054, f"A CNAME record with that host already exists. {SAME_NAME_HELP}")


def rate_limited(retry_after: int) -> ApiError:
    """More calls than the limit allows; `retry_after` in seconds."""
    return ApiError(
        429, 971, "Please wait and consider throttling your request speed", retry_after=max(1, retry_after)
    )
