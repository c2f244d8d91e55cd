"""URNs: `urn:pulumi:<stack>::<project>::<parent types$type>::<name>`."""

from __future__ import annotations

STACK_TYPE = "pulumi:pulumi:Stack"
PROVIDER_PREFIX = "pulumi:providers:"


def make(stack: str, project: str, parent: str, kind: str, name: str) -> str:
    """The URN of a resource; the parent's types are left out where the parent is the stack itself."""
    if parent and type_of(parent) != STACK_TYPE:
        kind = f"{qualified_type(parent)}${kind}"
    return f"urn:pulumi:{stack}::{project}::{kind}::{name}"


def qualified_type(urn: str) -> str:
    """The type with its parents' types before it, joined by `$`."""
    return urn.split("::", 3)[2]


def type_of(urn: str) -> str:
    """The resource's own type."""
    return qualified_type(urn).rsplit("$", 1)[-1]


def name_of(urn: str) -> str:
    """The resource's name."""
    return urn.split("::", 3)[3]


def is_provider_type(kind: str) -> bool:
    """Whether resources of this type are providers."""
    return kind.startswith(PROVIDER_PREFIX)


def package_of_provider(kind: str) -> str:
    """The package of a provider's type, `aws` of `pulumi:providers:aws`."""
    return kind.removeprefix(PROVIDER_PREFIX)


def package_of(token: str) -> str:
    """The package of a resource's or function's token, `aws` of `aws:ec2/vpc:Vpc`."""
    return token.split(":", 1)[0]


def is_default_provider(urn: str) -> bool:
    """Whether the engine itself made this provider, from the stack's configuration."""
    return is_provider_type(type_of(urn)) and (
        name_of(urn) == "default" or name_of(urn).startswith("default_")
    )
