"""What every settings model shares: strictness, placeholders, and the kinds of text that settings hold."""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag


class Model(BaseModel):
    """A settings model: unknown keys are refused, and nothing changes after it was read."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Placeholder(Model):
    """Stands in the settings for a fact that only the owner of a real environment knows."""

    placeholder: Annotated[str, Field(min_length=8, description="what is needed, and who knows it")]


def _kind(value: object) -> str:
    written = isinstance(value, dict) and "placeholder" in value
    return "placeholder" if written or isinstance(value, Placeholder) else "value"


T = TypeVar("T")
Owned = Annotated[
    Annotated[T, Tag("value")] | Annotated[Placeholder, Tag("placeholder")], Discriminator(_kind)
]
"""A fact of type `T`, or the placeholder of it."""


class PlaceholderError(ValueError):
    """A placeholder stands where a builder or the cutover needs the fact itself."""


def known(value: T | Placeholder, place: str) -> T:
    """The fact itself.

    Raises:
        PlaceholderError: `value` is still a placeholder; the message names `place` and what is needed.
    """
    if isinstance(value, Placeholder):
        raise PlaceholderError(f"{place} is still a placeholder: {value.placeholder}")
    return value


class FieldsError(ValueError):
    """Fields of one model that do not fit together: each by its key, with what was expected."""

    def __init__(self, problems: Sequence[tuple[str, str]]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(f"{key}: {expected}" for key, expected in problems))


@dataclass(frozen=True)
class Matching:
    """Takes text that matches a pattern as a whole."""

    pattern: str
    expected: str
    """What is expected, for a person."""

    def __call__(self, value: str) -> str:
        """The value itself. Raises ValueError."""
        if not re.fullmatch(self.pattern, value):
            raise ValueError(f"expected {self.expected}")
        return value


def repeated(names: Sequence[str]) -> list[str]:
    """Those that stand there more than once, each once."""
    return sorted({name for name in names if names.count(name) > 1})


def _address(value: str) -> str:
    """an IPv4 address such as 203.0.113.10"""
    try:
        return str(ipaddress.IPv4Address(value))
    except ValueError:
        raise ValueError("expected an IPv4 address such as 203.0.113.10") from None


def _network(value: Any) -> ipaddress.IPv4Network:
    """an IPv4 network such as 10.40.0.0/16"""
    if isinstance(value, ipaddress.IPv4Network):
        return value
    try:
        return ipaddress.IPv4Network(value)
    except ValueError as error:
        reason = f" ({error})" if "host bits" in str(error) else ""
        raise ValueError(f"expected an IPv4 network such as 10.40.0.0/16{reason}") from None


_INSTANCE_FAMILY = re.compile(r"[a-z-]+[0-9]+([a-z-]*)\.")


def architecture(instance_type: str) -> Literal["x86_64", "arm64"]:
    """What an EC2 instance type's processor is; Graviton has a `g` behind the generation, as in m7g."""
    family = _INSTANCE_FAMILY.match(instance_type)
    graviton = family is not None and "g" in family[1]
    return "arm64" if graviton or instance_type.startswith("a1.") else "x86_64"


_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"

Ipv4Address = Annotated[str, AfterValidator(_address)]
"""An IPv4 address, as text."""
Ipv4Network = Annotated[ipaddress.IPv4Network, BeforeValidator(_network)]
"""An IPv4 network without host bits."""
DnsName = Annotated[
    str,
    AfterValidator(
        Matching(
            rf"(?=.{{1,253}}$)(\*\.)?({_LABEL}\.)+{_LABEL}",
            "a domain name in lower case without a final dot, such as bill.truewatch.com",
        )
    ),
]
KubernetesName = Annotated[
    str,
    AfterValidator(
        Matching(
            rf"(?=.{{1,253}}$){_LABEL}(\.{_LABEL})*",
            "a Kubernetes name: lower-case letters, digits, '-' and '.', such as boss-config",
        )
    ),
]
NamespacedName = Annotated[
    str,
    AfterValidator(
        Matching(rf"{_LABEL}/{_LABEL}(\.{_LABEL})*", "namespace/name, such as billing-guance-intl/webportal")
    ),
]
HostName = Annotated[
    str,
    AfterValidator(
        Matching(rf"(?=.{{1,253}}$)({_LABEL}\.)*{_LABEL}", "a host name, such as redis.middleware")
    ),
]
Image = Annotated[
    str,
    AfterValidator(
        Matching(
            r"[a-z0-9][a-z0-9._/:-]*?(:(?!latest(?:@|$))[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}(@sha256:[0-9a-f]{64})?"
            r"|@sha256:[0-9a-f]{64})",
            "a container image with a fixed tag or digest, such as nginx:1.28 (not `latest`)",
        )
    ),
]
EnvironmentVariable = Annotated[
    str,
    AfterValidator(Matching(r"[A-Z_][A-Z0-9_]*", "the name of an environment variable, such as DB_USER")),
]
HttpPath = Annotated[
    str, AfterValidator(Matching(r"/[^\s?#]*", "a path that starts with '/', such as /healthz"))
]
AwsName = Annotated[
    str,
    AfterValidator(
        Matching(
            r"[a-z]([a-z0-9-]{0,38}[a-z0-9])?", "1 to 40 lower-case letters, digits and '-', from a letter on"
        )
    ),
]
Zone = Annotated[
    str,
    AfterValidator(
        Matching(r"[a-z]{2}(-[a-z]+)+-[0-9][a-z]", "an availability zone such as ap-southeast-1a")
    ),
]
AccountId = Annotated[str, AfterValidator(Matching(r"[0-9]{12}", "an AWS account's 12 digits, in quotes"))]
Port = Annotated[int, Field(ge=1, le=65535)]
Labels = Annotated[dict[str, str], Field(min_length=1)]
