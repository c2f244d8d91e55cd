"""How an operation is added to one of moto's services.

moto parses requests and writes answers along botocore's models, so an added operation is a plain function
from parameters to an answer, both as dictionaries of botocore's members.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from moto.core.exceptions import ServiceException
from moto.core.parse import XFormedDict
from moto.core.responses import ActionResult, BaseResponse

Parameters = dict[str, Any]
Item = dict[str, Any]


@dataclass(frozen=True)
class Place:
    """Where a call is made."""

    account: str
    region: str

    @property
    def arn_start(self) -> str:
        """``region:account``, as it stands in every ARN."""
        return f"{self.region}:{self.account}"


Operation = Callable[[Place, Parameters], Mapping[str, Any]]


class Refusal(ServiceException):
    """An error of a service's own. moto looks its shape up in the service's model, by the code."""


def refuse(code: str, message: str) -> Refusal:
    """An error to be raised: `code` is the name of its shape in botocore's model."""
    return Refusal(code, message)


def add(response: type[BaseResponse], operations: Mapping[str, Operation]) -> None:
    """Add operations (``CreateAddon``) to a service; they replace moto's own where it has one by that
    name."""
    for name, operation in operations.items():
        setattr(response, snake(name), _method(operation))


def follow(response: type[BaseResponse], name: str, after: Callable[[Place, Parameters], None]) -> None:
    """Let something happen after one of moto's own operations has succeeded."""
    original = getattr(response, snake(name))
    if getattr(original, "followed", False):
        return

    def method(self: Any) -> Any:
        answer = original(self)
        after(_place(self), _parameters(self))
        return answer

    method.followed = True  # type: ignore[attr-defined]
    setattr(response, snake(name), method)


def precede(response: type[BaseResponse], name: str, before: Callable[[Place, Parameters], None]) -> None:
    """Let something look at a call before one of moto's own operations; it may refuse it."""
    original = getattr(response, snake(name))
    if getattr(original, "preceded", False):
        return

    def method(self: Any) -> Any:
        before(_place(self), _parameters(self))
        return original(self)

    method.preceded = True  # type: ignore[attr-defined]
    method.followed = getattr(original, "followed", False)  # type: ignore[attr-defined]
    setattr(response, snake(name), method)


def _method(operation: Operation) -> Callable[[Any], ActionResult]:
    def method(self: Any) -> ActionResult:
        return ActionResult(dict(operation(_place(self), _parameters(self))))

    return method


def _place(response: Any) -> Place:
    return Place(response.current_account, response.region)


def _parameters(response: Any) -> Parameters:
    if not response.automated_parameter_parsing:
        response.parse_parameters(response.normalized_request)
    given = response.params
    if isinstance(given, XFormedDict):
        given = given.original_dict()
    return {key: value for key, value in given.items() if value is not None}


def snake(name: str) -> str:
    """``CreateVPCEndpoint`` as moto names the method: ``create_vpc_endpoint``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


@dataclass
class Store:
    """Things of one kind by name, for each place. Raises the service's own errors."""

    kind: str
    exists: str
    """The error code for a name that is taken."""
    missing: str
    """The error code for a name that nobody has."""
    _items: defaultdict[Place, dict[str, Item]] = field(default_factory=lambda: defaultdict(dict))

    def create(self, place: Place, name: str, item: Item) -> Item:
        """Keep a new thing."""
        if name in self._items[place]:
            raise refuse(self.exists, f"{self.kind} already exists: {name}")
        self._items[place][name] = item
        return item

    def get(self, place: Place, name: str) -> Item:
        """The thing with that name."""
        try:
            return self._items[place][name]
        except KeyError:
            raise refuse(self.missing, f"{self.kind} not found: {name}") from None

    def delete(self, place: Place, name: str) -> Item:
        """Remove a thing, and return it."""
        item = self.get(place, name)
        del self._items[place][name]
        return item

    def all(self, place: Place) -> list[Item]:
        """Everything in a place, in the order of creation."""
        return list(self._items[place].values())

    def delete_where(self, place: Place, belongs: Callable[[Item], bool]) -> None:
        """Remove what goes with something else."""
        self._items[place] = {name: item for name, item in self._items[place].items() if not belongs(item)}
