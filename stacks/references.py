"""What small stacks read from their environment's landing zone."""

from functools import partial
from typing import Any

import pulumi


def landing_zone_outputs(environment_name: str) -> pulumi.StackReference:
    """The outputs of stack `<environment>` of this project, on any backend."""
    return pulumi.StackReference(f"organization/{pulumi.get_project()}/{environment_name}")


def ingress_addresses(landing_zone: pulumi.StackReference) -> pulumi.Output[list[str]]:
    """The fixed addresses of the target's ingress."""
    return texts_output(landing_zone, "ingress_addresses")


def text_output(stack: pulumi.StackReference, name: str) -> pulumi.Output[str]:
    """An output that is a text. The program fails where the stack has no such output."""
    return stack.require_output(name).apply(partial(_text, name))


def texts_output(stack: pulumi.StackReference, name: str) -> pulumi.Output[list[str]]:
    """An output that is a list of texts, and not an empty one."""
    return stack.require_output(name).apply(partial(_texts, name))


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"expected the landing zone's {name} to be a text, not {value!r}")
    return value


def _texts(name: str, value: Any) -> list[str]:
    if not isinstance(value, list) or not value:
        raise ValueError(f"expected the landing zone's {name} to be a list of texts, not {value!r}")
    return [str(item) for item in value]
