"""Access to AWS through botocore: clients, their settings, and their errors as ProviderError."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import lru_cache
from threading import Lock
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, ParamValidationError
from botocore.parsers import ResponseParserError
from grpc import StatusCode

from lab.providers.base import ProviderError, has_unknown

_CONNECT_TIMEOUT, _READ_TIMEOUT, _ATTEMPTS = 5, 60, 4  # seconds, seconds, and calls in all

_KINDS: tuple[tuple[tuple[str, ...], StatusCode], ...] = (
    (
        ("AuthFailure", "InvalidClientToken", "UnrecognizedClient", "SignatureDoes", "ExpiredToken"),
        StatusCode.UNAUTHENTICATED,
    ),
    (("AccessDenied", "Unauthorized", "Forbidden", "NotAuthorized"), StatusCode.PERMISSION_DENIED),
    (
        ("Throttl", "TooManyRequests", "RequestLimit", "SlowDown", "LimitExceeded"),
        StatusCode.RESOURCE_EXHAUSTED,
    ),
    (("AlreadyExists", "Duplicate", "AlreadyOwned", "BucketAlready"), StatusCode.ALREADY_EXISTS),
    (
        ("DependencyViolation", "InUse", "DeleteConflict", "NotEmpty", "InvalidState", "Incorrect"),
        StatusCode.FAILED_PRECONDITION,
    ),
    (("NotFound", "NoSuch", "NotExist"), StatusCode.NOT_FOUND),
    (("Validation", "Invalid", "Malformed", "Missing"), StatusCode.INVALID_ARGUMENT),
    (("Unavailable", "InternalFailure", "InternalError", "ServiceFailure"), StatusCode.UNAVAILABLE),
)


class AwsError(ProviderError):
    """An error that AWS answered, with AWS's own code in `reason`."""

    def __init__(self, message: str, code: StatusCode, reason: str) -> None:
        super().__init__(message, code)
        self.reason = reason


@lru_cache(maxsize=1)
def models() -> Any:
    """A session that only reads botocore's models."""
    return botocore.session.Session()


@lru_cache(maxsize=64)
def service_model(service: str) -> Any:
    """The model of a service. Reading one takes up to a few tenths of a second, so it is kept."""
    return models().get_service_model(service)


@lru_cache(maxsize=2048)
def operation_model(service: str, operation: str) -> Any:
    """The model of an operation."""
    return service_model(service).operation_model(operation)


class AwsSession:
    """One set of credentials. Safe for use by several threads."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._settings = settings
        self._lock = Lock()
        self._clients: dict[tuple[str, str], Any] = {}
        self._account: str | None = None
        self._session: Any = None

    @property
    def region(self) -> str:
        """The region for what states none. Raises ProviderError where none is configured."""
        region = (
            self._settings.get("region")
            or os.environ.get("AWS_REGION")
            or os.environ.get("AWS_DEFAULT_REGION")
        )
        if not region:
            raise ProviderError(
                "aws provider: no region: set aws:region in the stack's configuration, or AWS_REGION",
                StatusCode.INVALID_ARGUMENT,
            )
        return str(region)

    @property
    def partition(self) -> str:
        """The partition of the region, such as ``aws``."""
        return str(models().get_partition_for_region(self.region))

    @property
    def account(self) -> str:
        """The account's number, asked once."""
        if self._account is None:
            self._account = str(self.call("sts", "GetCallerIdentity", {}, self.region)["Account"])
        return self._account

    def call(
        self, service: str, operation: str, parameters: Mapping[str, Any], region: str
    ) -> dict[str, Any]:
        """One operation. Raises AwsError for what AWS refuses, ProviderError where it does not answer."""
        what = f"AWS {service} {operation}"
        try:
            client = self._client(service, region)
            answer: dict[str, Any] = client._make_api_call(operation, dict(parameters))
        except ClientError as error:
            found = error.response.get("Error", {})
            code, message = str(found.get("Code", "Unknown")), str(found.get("Message", ""))
            raise AwsError(f"{what}: {code}: {message}", _status(code), code) from error
        except ParamValidationError as error:
            raise ProviderError(f"{what}: {error}", StatusCode.INVALID_ARGUMENT) from error
        except NoCredentialsError as error:
            raise ProviderError(
                f"{what}: no AWS credentials were found (environment, profile or provider settings)",
                StatusCode.UNAUTHENTICATED,
            ) from error
        except (BotoCoreError, ResponseParserError) as error:
            raise ProviderError(
                f"{what}: AWS does not answer as it should: {error}", StatusCode.UNAVAILABLE
            ) from error
        answer.pop("ResponseMetadata", None)
        if answer.get("Unsuccessful"):
            found = answer["Unsuccessful"][0].get("Error", {})
            code, message = str(found.get("Code", "Unknown")), str(found.get("Message", ""))
            raise AwsError(f"{what}: {code}: {message}", _status(code), code)
        return answer

    def _client(self, service: str, region: str) -> Any:
        with self._lock:
            if (service, region) not in self._clients:
                self._clients[service, region] = self._new_client(service, region)
            return self._clients[service, region]

    def _new_client(self, service: str, region: str) -> Any:
        settings = self._settings
        if has_unknown(dict(settings)):
            raise ProviderError(
                "aws provider: its settings are not known yet", StatusCode.FAILED_PRECONDITION
            )
        if self._session is None:
            self._session = botocore.session.Session(profile=settings.get("profile"))
        endpoints = [item for item in settings.get("endpoints") or [] if service in item]
        s3: Any = {"addressing_style": "path"} if settings.get("s3UsePathStyle") else None
        config = Config(
            connect_timeout=_CONNECT_TIMEOUT,
            read_timeout=_READ_TIMEOUT,
            retries={"mode": "standard", "total_max_attempts": int(settings.get("maxRetries") or _ATTEMPTS)},
            s3=s3,
            max_pool_connections=64,
        )
        return self._session.create_client(
            service,
            region_name=region,
            endpoint_url=endpoints[0][service] if endpoints else None,
            aws_access_key_id=settings.get("accessKey"),
            aws_secret_access_key=settings.get("secretKey"),
            aws_session_token=settings.get("token"),
            config=config,
        )


def _status(code: str) -> StatusCode:
    return next(
        (status for words, status in _KINDS if any(word in code for word in words)), StatusCode.UNKNOWN
    )
