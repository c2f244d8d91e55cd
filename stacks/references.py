"""What small stacks read from their environment's landing zone."""

from typing import Any

import pulumi


def landing_zone_outputs(environment_name: str) -> pulumi.StackReference:
    """The outputs of stack `<environment>` of this project, on any backend."""
    return pulumi.StackReference(f"organization/{pulumi.get_project()}/{environment_name}")


def ingress_addresses(landing_zone: pulumi.StackReference) -> pulumi.Output[list[str]]:
    """The fixed addresses of the target's ingress."""
    return landing_zone.require_output("ingress_addresses").apply(_texts)


def _texts(value: Any) -> list[str]:
    if not isinstance(value, list) or not value:
        raise ValueError(
            f"expected the landing zone's ingress_addresses to be a list of addresses, not {value!r}"
        )
    return [str(item) for item in value]
