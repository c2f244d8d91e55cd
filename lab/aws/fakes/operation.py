"""How an operation is added to one of moto's services.

moto parses requests and writes answers along botocore's models, so an added operation is a plain function from
parameters to an answer, both as dictionaries of botocore's members.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult, BaseResponse

Parameters = dict[str, Any]


@dataclass(frozen=True)
class Place:
    """Where a call is made."""

    account: str
    region: str


Operation = Callable[[Place, Parameters], Mapping[str, Any]]


def refuse(code: str, message: str) -> ServiceException:
    """An error of the service's own, to be raised: a code of its botocore model."""
    return ServiceException(code, message)


def add(response: type[BaseResponse], operations: Mapping[str, Operation]) -> None:
    """Add operations (``CreateAddon``) to a service; they replace moto's own where it has one by that name."""
    for name, operation in operations.items():
        setattr(response, _snake(name), _method(operation))


def _method(operation: Operation) -> Callable[[Any], ActionResult]:
    def method(self: Any) -> ActionResult:
        parameters = {key: value for key, value in self.params.items() if value is not None}
        return ActionResult(operation(Place(self.current_account, self.region), parameters))

    return method


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
