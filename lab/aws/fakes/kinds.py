"""Fakes of a simple kind: what is created is kept, described, changed and deleted, along botocore's
shapes."""

# ruff: noqa: ARG001, ARG005 - every function has the signature of `Kind`
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from lab.aws.fakes.operation import Item, Operation, Parameters, Place, Store


def _unchanged(place: Place, item: Item) -> Item:
    return item


@dataclass(frozen=True)
class Kind:
    """One kind of resource of a service, and the operations that come of it."""

    name: str
    """The noun in the operations' names, such as ``ReplicationInstance``."""
    listing: str
    """The noun's plural, and the answer's member that lists them."""
    id: str
    """The member that names one."""
    arn: str
    """The member that holds the ARN."""
    store: Store
    build: Callable[[Place, Parameters], Item]
    """What a new one holds beside its parameters."""
    show: Callable[[Place, Item], Item] = _unchanged
    """How one is described."""
    before_delete: Callable[[Place, Item], None] = field(default=lambda place, item: None)
    change: Callable[[Place, Item, Parameters], Item] | None = None
    """What a modification makes of its parameters; by default they are taken as they are."""
    wrapped: bool = True
    """Whether an answer holds it in a member of its name, or is it."""
    by_arn: bool = False
    """Whether it is modified and deleted by ARN."""
    filters: dict[str, str] = field(default_factory=dict)
    """Filter name -> member, for services that look things up by filters."""
    member: str = ""
    """The answer's member that lists them, where it is not named as `listing`."""
    create: str = ""
    """The creating operation, where it is not ``Create`` and the noun."""

    def operations(self) -> dict[str, Operation]:
        """The operations by name."""
        return {
            self.create or f"Create{self.name}": self._create,
            f"Describe{self.listing}": self._describe,
            f"Modify{self.name}": self._modify,
            f"Delete{self.name}": self._delete,
        }

    def find(self, place: Place, given: Parameters) -> Item:
        """The one that parameters name. Raises the service's own error."""
        if not self.by_arn:
            return self.store.get(place, given[self.id])
        for item in self.store.all(place):
            if item[self.arn] == given[self.arn]:
                return item
        return self.store.get(place, given[self.arn])

    def _answer(self, place: Place, item: Item) -> Item:
        shown = self.show(place, item)
        return {self.name: shown} if self.wrapped else shown

    def _create(self, place: Place, given: Parameters) -> Item:
        tags = {tag["Key"]: tag.get("Value", "") for tag in given.pop("Tags", [])}
        item = {**given, **self.build(place, given), "tags": tags}
        return self._answer(place, self.store.create(place, given[self.id], item))

    def _describe(self, place: Place, given: Parameters) -> Item:
        found = self.store.all(place)
        if self.id in given:
            found = [self.store.get(place, given[self.id])]
        for item in given.get("Filters", []):
            member = self.filters[item["Name"]]
            found = [each for each in found if each.get(member) in item["Values"]]
        return {self.member or self.listing: [self.show(place, item) for item in found]}

    def _modify(self, place: Place, given: Parameters) -> Item:
        item = self.find(place, given)
        item |= self.change(place, item, given) if self.change else given
        return self._answer(place, item)

    def _delete(self, place: Place, given: Parameters) -> Item:
        item = self.find(place, given)
        self.before_delete(place, item)
        self.store.delete(place, item[self.id])
        return self._answer(place, item)


def tagging(kinds: tuple[Kind, ...], arn: str, missing: Callable[[str], Exception]) -> dict[str, Operation]:
    """The tagging operations over several kinds. `arn`: the member by which they name a resource."""

    def tags(place: Place, wanted: str) -> dict[str, Any]:
        for kind in kinds:
            for item in kind.store.all(place):
                if item[kind.arn] == wanted:
                    found: dict[str, Any] = item["tags"]
                    return found
        raise missing(wanted)

    def listed(found: dict[str, Any]) -> Item:
        return {"TagList": [{"Key": key, "Value": value} for key, value in found.items()]}

    def add(place: Place, given: Parameters) -> Item:
        found = tags(place, given[arn])
        found |= {tag["Key"]: tag.get("Value", "") for tag in given["Tags"]}
        return listed(found)

    def remove(place: Place, given: Parameters) -> Item:
        found = tags(place, given[arn])
        for key in given["TagKeys"]:
            found.pop(key, None)
        return listed(found)

    return {
        "AddTagsToResource": add,
        "RemoveTagsFromResource": remove,
        "ListTagsForResource": lambda place, given: listed(tags(place, given[arn])),
    }
