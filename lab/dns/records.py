"""A fixed table of names: what a private network's resolver knows by itself."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import dns.exception
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lab.dns.server import Answer, Question

MAXIMUM_ALIASES = 8  # how many CNAMEs are followed in one answer


class TableError(ValueError):
    """A records file that cannot be used; the text names the file and the place."""


class Entry(BaseModel):
    """One record of a records file. `ttl` in seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1)
    type: str = "A"
    content: str = Field(min_length=1)
    ttl: int = Field(default=60, ge=0)


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    records: tuple[Entry, ...]


class RecordTable:
    """Names with their records. What it does not hold, it does not answer: `find` says None."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        """Raises ValueError for an unknown type or a content that does not fit its type."""
        self._names: dict[dns.name.Name, dict[dns.rdatatype.RdataType, dns.rrset.RRset]] = {}
        for entry in entries:
            self.add(entry)

    def add(self, entry: Entry) -> None:
        """Adds a record; records of the same name and type make one set."""
        try:
            fresh = dns.rrset.from_text(
                dns.name.from_text(entry.name).canonicalize(), entry.ttl, "IN", entry.type, entry.content
            )
        except (dns.exception.DNSException, ValueError) as error:
            raise ValueError(f"{entry.name} {entry.type} {entry.content}: {error}") from error
        sets = self._names.setdefault(fresh.name, {})
        if fresh.rdtype in sets:
            sets[fresh.rdtype].add(fresh[0])
        else:
            sets[fresh.rdtype] = fresh

    def find(self, question: Question) -> Answer | None:
        """The answer from the table; None where the name is not in it. CNAMEs are followed inside it."""
        name = question.name
        found: list[dns.rrset.RRset] = []
        for _ in range(MAXIMUM_ALIASES):
            sets = self._names.get(name)
            if sets is None:
                break
            if question.rdtype in sets:
                found.append(sets[question.rdtype])
                break
            alias = sets.get(dns.rdatatype.CNAME)
            if alias is None:
                break
            found.append(alias)
            name = alias[0].target.canonicalize()
        if not found and question.name not in self._names:
            return None
        return Answer(records=tuple(found), authoritative=True, recursion=True)


def parse_table(data: Mapping[str, object], where: str) -> RecordTable:
    """A table from the content of a records file. Raises TableError that names `where` and the key."""
    try:
        return RecordTable(_File.model_validate(data).records)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise TableError(f"{where}: {problems}") from error
    except ValueError as error:
        raise TableError(f"{where}: {error}") from error


def load_table(path: Path) -> RecordTable:
    """Reads a records file: `{"records": [{"name": …, "type": "A", "content": …, "ttl": 60}]}`.

    Raises TableError for a file that is absent, is not JSON, or holds a record that DNS cannot.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TableError(f"{path}: {error}") from error
    if not isinstance(data, dict):
        raise TableError(f"{path}: expected an object with the key `records`")
    return parse_table(data, str(path))
