"""The language in which a resource type is described: one Row each, data only.

Most of a row follows by itself. A Pulumi property and a botocore member belong together if their names are
the same but for case and underscores (``cidrBlock`` and ``CidrBlock``), so calls are filled in and answers
are read mechanically along botocore's shapes; a row says only what is particular.

Templates (`Call.parameters`, `Row.id`, `Row.computed`) hold botocore's member names with placeholders of
Pulumi properties: ``{"VpcIds": ["{id}"]}``. A parameter whose property has no value is left out; written
``"{name!}"``, the structure around it is left out as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lab.providers.base import Properties


@dataclass(frozen=True)
class Call:
    """One operation of the row's service, such as ``CreateVpc``."""

    operation: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    result: str = ""
    """Where in the answer the resource is described: a JMESPath, with placeholders; empty for the whole
    answer."""
    rest: bool = False
    """Whether further properties become parameters by their names."""
    ignore: frozenset[str] = frozenset()
    """Error codes that mean that there is nothing to do."""
    service: str = ""
    """Another service than the row's."""


@dataclass(frozen=True)
class Update:
    """How some properties are changed in place."""

    call: Call
    when: tuple[str, ...] = ()
    """The properties that need this call; with none, all that the call takes by name (`Call.rest`)."""
    on_create: bool = False
    """Whether it is also needed after creation, where creation itself does not take the properties."""
    whole: bool = False
    """Whether the call takes all properties by name, not only those that changed."""
    flag: str = ""
    """Only if this property is true; ``!name``: only if it is false or absent."""


@dataclass(frozen=True)
class Tagging:
    """How tags are changed (``{tags}``, ``{keys}``) and read."""

    tag: Call
    untag: Call
    path: str = "Tags"
    """Where the tags are in what was read (JMESPath)."""
    read: Call | None = None
    """A call of its own, where the resource's description has no tags."""
    after: bool = False
    """Whether a new resource is tagged by `tag`, where creation does not take tags."""
    clear: Call | None = None
    """What removes the last tags, where `untag` cannot."""


@dataclass(frozen=True)
class Settle:
    """A property that says whether a change is complete."""

    property: str
    ready: frozenset[str]
    failed: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Hook:
    """What no call's template can say, as a function (``lab.providers.aws.hooks``)."""

    properties: tuple[str, ...]
    apply: Callable[[Any, Properties, Properties], None]
    """Bring the live resource to these properties: (calls, old values, new values). After creation, and when
    one changed."""
    read: Callable[[Any, Properties], Properties] | None = None
    """The live values of the properties: (calls, values)."""


@dataclass(frozen=True)
class Row:
    """One resource type."""

    token: str
    service: str
    create: Call
    read: Call
    delete: Call | None
    id: str
    """The resource's id, also the form that an import takes."""
    updates: tuple[Update, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    """Property path -> botocore member, where they differ by more than case."""
    reads: Mapping[str, str] = field(default_factory=dict)
    """Property -> JMESPath in what was read, where its place or form differs; ``''`` for what cannot be
    read."""
    looks: tuple[tuple[str, Call], ...] = ()
    """(property, call): values that take a call of their own. An error in `Call.ignore` means that there is
    none."""
    computed: Mapping[str, str] = field(default_factory=dict)
    """Property -> template, for what no call answers, such as an ARN."""
    singles: frozenset[str] = frozenset()
    """Property paths that are one object in Pulumi and a list in AWS."""
    plurals: frozenset[str] = frozenset()
    """Property paths that are a list in Pulumi and one object in AWS."""
    maps: frozenset[str] = frozenset()
    """Property paths that are a map in Pulumi and a list of pairs in AWS."""
    documents: frozenset[str] = frozenset()
    """Properties that hold JSON: compared by meaning."""
    local: frozenset[str] = frozenset()
    """Properties that only direct this provider, such as ``skipFinalSnapshot``."""
    replace: frozenset[str] = frozenset()
    """Properties whose change needs a new resource. So does each that no update takes."""
    required: tuple[str, ...] = ()
    tags: Tagging | None = None
    autoname: str = ""
    """The property that names the resource, made up from the logical name where it is absent."""
    lower: bool = False
    """Whether a made-up name must be lower case."""
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """What a property becomes when a program no longer states it."""
    settle: Settle | None = None
    gone: frozenset[str] = frozenset()
    """Error codes that mean that there is no such resource."""
    gone_states: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Property -> values with which a resource is listed although it is no more."""
    regional: bool = True
    prepare: Callable[[Properties], Properties] | None = None
    """Further values for the templates, made of the properties (and of the old ones, by the name ``old``)."""
    prepared: frozenset[str] = frozenset()
    """Properties that creation takes through `prepare`."""
    renewed: frozenset[str] = frozenset()
    """Outputs that an update may change, unknown in its preview."""
    before_delete: tuple[Update, ...] = ()
    hooks: tuple[Hook, ...] = ()
    on_delete: Callable[[Any, Properties], None] | None = None
    kept: str = ""
    """The property that, where it is true, lets the resource outlive its deletion by Pulumi."""
