"""Exceptions from security controls: named, dated, and with a reason."""

from datetime import date
from typing import Annotated

from pydantic import Field

from components.settings.base import Model


class ControlException(Model):
    """One control that one resource need not meet until a date."""

    control: Annotated[str, Field(pattern=r"^[A-Za-z0-9]+(\.[0-9]+)*(-[A-Za-z0-9.]+)*$")]
    resource: Annotated[str, Field(min_length=1)]
    """The resource's logical name; `*` at its end for any that begins so."""
    reason: Annotated[str, Field(min_length=10)]
    until: date
    """The last day on which it counts."""

    def covers(self, control: str, resource: str, today: date) -> bool:
        """Whether it excuses `resource` from `control` today."""
        named = resource == self.resource or (
            self.resource.endswith("*") and resource.startswith(self.resource[:-1])
        )
        return named and control == self.control and today <= self.until
