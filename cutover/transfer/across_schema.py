"""What a MySQL and a PostgreSQL database are made of, held against each other."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from cutover.mysql import Session
from cutover.postgres import PostgresError, PostgresSession
from cutover.transfer.canonical import Form, form
from cutover.transfer.sequences import counters, sequences
from cutover.verification.catalog import Catalog, Column, Table

_COLUMNS = """
SELECT c.relname, a.attname, format_type(a.atttypid, NULL), t.typcategory, t.typtype, a.attnotnull,
       pg_get_expr(d.adbin, d.adrelid)
FROM pg_attribute a
JOIN pg_class c ON c.oid = a.attrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY c.relname, a.attnum
"""
_INDEXES = """
SELECT c.relname, i.indisunique,
       ARRAY(SELECT pg_get_indexdef(i.indexrelid, k, true) FROM generate_series(1, i.indnkeyatts) k)
FROM pg_index i
JOIN pg_class c ON c.oid = i.indrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'public' AND i.indisvalid
"""
_FOREIGN_KEYS = """
SELECT c.relname, r.relname, f.confdeltype,
       ARRAY(SELECT attname FROM unnest(f.conkey) WITH ORDINALITY k(n, o)
             JOIN pg_attribute ON attrelid = f.conrelid AND attnum = k.n ORDER BY k.o),
       ARRAY(SELECT attname FROM unnest(f.confkey) WITH ORDINALITY k(n, o)
             JOIN pg_attribute ON attrelid = f.confrelid AND attnum = k.n ORDER BY k.o)
FROM pg_constraint f
JOIN pg_class c ON c.oid = f.conrelid
JOIN pg_class r ON r.oid = f.confrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE f.contype = 'f' AND n.nspname = 'public' AND f.convalidated
"""
_ON_DELETE = {"a": "NO ACTION", "r": "NO ACTION", "c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT"}
_LITERAL = re.compile(r"^-?\d+(\.\d+)?$|^'(.*)'$|^b'[01]+'$", re.DOTALL)


@dataclass(frozen=True)
class PostgresColumn:
    """A column of PostgreSQL."""

    name: str
    type: str
    array: bool
    required: bool
    default: str | None


@dataclass(frozen=True)
class AcrossTable:
    """A table that both have, and how its columns are compared."""

    mysql: Table
    name: str
    """On PostgreSQL."""
    columns: tuple[tuple[Column, PostgresColumn, Form], ...]

    @cached_property
    def key(self) -> tuple[int, ...]:
        """Which columns make the key; empty where there is none."""
        names = [column.name for column, _, _ in self.columns]
        if not all(name in names for name in self.mysql.key):
            return ()
        return tuple(names.index(name) for name in self.mysql.key)


@dataclass
class SchemaFound:
    """What came of it."""

    tables: list[AcrossTable] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def compare_schemas(
    mysql: Session,
    postgres: PostgresSession,
    database: str,
    *,
    catalog: Catalog,
    left_out: Collection[str],
    left_to_application: Collection[str],
) -> SchemaFound:
    """Tables, columns, NOT NULL, defaults, indexes, foreign keys and sequences. Raises StepError."""
    found = SchemaFound()
    columns = _postgres_columns(postgres)
    ours = {t.name.lower(): t for t in catalog.tables.values() if t.name not in left_out}
    found.differences += [
        f"table {ours[name].name} is missing" for name in sorted(ours.keys() - columns.keys())
    ]
    found.remarks += [f"table {name} is on PostgreSQL alone" for name in sorted(columns.keys() - ours.keys())]
    for name in sorted(ours.keys() & columns.keys()):
        _compare_columns(found, ours[name], name, columns[name])
    tables = {table.name for table in found.tables}
    for table in found.tables:
        _compare_defaults(found, postgres, table, catalog, mysql.flavour.family)
    found.differences += _missing(
        _mysql_indexes(found, catalog, tables), _postgres_indexes(postgres), "index"
    )
    found.differences += _missing(
        _mysql_foreign_keys(catalog, tables), _postgres_foreign_keys(postgres), "foreign key"
    )
    found.differences += _behind(mysql, postgres, database, tables)
    for kind in ("view", "trigger", "routine", "event"):
        names = sorted(name.partition(".")[2] for name in catalog.objects.get(kind, {}))
        if not names:
            continue
        shown = f"{len(names)} {kind}s are not converted ({', '.join(names[:5])}{'…' * (len(names) > 5)})"
        if kind in left_to_application:
            found.remarks.append(f"{shown}: the application makes its own")
        else:
            found.differences.append(shown)
    return found


def _compare_columns(
    found: SchemaFound, ours: Table, name: str, theirs: Mapping[str, PostgresColumn]
) -> None:
    pairs = []
    for column in ours.columns:
        other = theirs.get(column.name.lower())
        place = f"{ours.name}.{column.name}"
        if other is None:
            found.differences.append(f"column {place} is missing")
            continue
        if column.nullable == other.required:
            state = "required" if other.required else "not required"
            found.differences.append(f"column {place} is {state} on PostgreSQL, other than on MySQL")
        pairs.append((column, other, form(column.type, other.type)))
    extra = theirs.keys() - {column.name.lower() for column in ours.columns}
    found.differences += [f"column {name}.{column} is on PostgreSQL alone" for column in sorted(extra)]
    found.tables.append(AcrossTable(ours, name, tuple(pairs)))


def _compare_defaults(
    found: SchemaFound, postgres: PostgresSession, table: AcrossTable, catalog: Catalog, family: str
) -> None:
    """Literal defaults; what is computed by the server is left to the application, and said."""
    for ours, theirs, how in table.columns:
        said = catalog.objects["column"][f"{table.mysql.place}.{ours.name}"]
        if "auto_increment" in (said["extra"] or "") or ours.generated:
            continue
        known, wanted = _literal(said["default"], family)
        place = f"{table.mysql.name}.{ours.name}"
        if not known:
            found.remarks.append(f"default of {place} is computed: {said['default']}")
            continue
        if how.kind == "moment" and (wanted or "").startswith("0000-00-00"):
            wanted = None
        there = _evaluated(postgres, theirs)
        left = None if wanted is None else how.mysql(_as_given(ours, wanted))
        right = None if there is None else how.postgres(there)
        if left != right:
            found.differences.append(f"default of {place} is {there!r} instead of {wanted!r}")


def _as_given(column: Column, default: str) -> str | bytes:
    """A default of information_schema as the server would give the value."""
    if column.type == "bit" and (bits := re.match(r"^b'([01]+)'$", default)):
        return str(int(bits[1], 2))
    return default


def _literal(default: str | None, family: str) -> tuple[bool, str | None]:
    """Whether a default is a plain value, and which; MariaDB quotes, MySQL does not."""
    if default is None or (family == "mariadb" and default == "NULL"):
        return True, None
    if family != "mariadb":
        computed = re.match(r"(?i)current_timestamp|.*\(", default) is not None
        return not computed, default
    if not _LITERAL.match(default):
        return False, default
    if default.startswith("'"):
        return True, default[1:-1].replace("''", "'")
    return True, default


def _evaluated(session: PostgresSession, column: PostgresColumn) -> str | None:
    """What a default gives; PostgreSQL's expression is PostgreSQL's to read."""
    if column.default is None:
        return None
    shown = f"encode({column.default}, 'hex')" if column.type == "bytea" else f"({column.default})::text"
    try:
        found = session.value(f"SELECT {shown}")
    except PostgresError:
        return column.default
    return None if found is None else str(found)


def _postgres_columns(session: PostgresSession) -> dict[str, dict[str, PostgresColumn]]:
    found: dict[str, dict[str, PostgresColumn]] = {}
    for table, name, kind, category, _, required, default in session.rows(_COLUMNS):
        column = PostgresColumn(str(name), str(kind), category == "A", bool(required), default)
        found.setdefault(str(table), {})[column.name] = column
    return found


Signature = tuple[str, ...]


def _mysql_indexes(found: SchemaFound, catalog: Catalog, tables: set[str]) -> set[Signature]:
    made = set()
    for name, said in catalog.objects["index"].items():
        table = name.split(".")[1].lower()
        if table not in tables:
            continue
        if said["type"] not in ("BTREE", "HASH"):
            found.remarks.append(f"index {name.partition('.')[2]} is a {said['type']} index: not converted")
            continue
        columns = [
            re.sub(r"(\(\d+\))?( DESC)?$", "", part).lower() for part in (said["columns"] or "").split(", ")
        ]
        made.add((table, "unique" if said["unique"] == "yes" else "", *columns))
    return made


def _postgres_indexes(session: PostgresSession) -> set[Signature]:
    return {
        (str(table), "unique" if unique else "", *(_plain(column) for column in columns))
        for table, unique, columns in session.rows(_INDEXES)
    }


def _mysql_foreign_keys(catalog: Catalog, tables: set[str]) -> set[Signature]:
    made: set[Signature] = set()
    for name, said in catalog.objects["foreign key"].items():
        table = name.split(".")[1].lower()
        if table not in tables:
            continue
        references = [part.lower().split(".") for part in (said["references"] or "").split(", ")]
        delete = str(said["on delete"]).replace("RESTRICT", "NO ACTION")
        columns = (said["columns"] or "").lower()
        made.add((table, columns, references[0][1], ", ".join(part[2] for part in references), delete))
    return made


def _postgres_foreign_keys(session: PostgresSession) -> set[Signature]:
    return {
        (str(table), ", ".join(columns), str(other), ", ".join(others), _ON_DELETE[_letter(delete)])
        for table, other, delete, columns, others in session.rows(_FOREIGN_KEYS)
    }


def _letter(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _missing(wanted: set[Signature], there: set[Signature], kind: str) -> Iterator[str]:
    for signature in sorted(wanted - there):
        yield f"{kind} of {signature[0]} ({' '.join(part for part in signature[1:] if part)}) is missing"


def _behind(mysql: Session, postgres: PostgresSession, database: str, tables: set[str]) -> Iterator[str]:
    """Sequences that would give a number again."""
    there = sequences(postgres)
    for counter in counters(mysql, database):
        if counter.table.lower() not in tables:
            continue
        place = f"{counter.table}.{counter.column}"
        sequence = there.get((counter.table.lower(), counter.column.lower()))
        if sequence is None:
            yield f"column {place} counts by itself on MySQL, and has no sequence on PostgreSQL"
        elif sequence[1] < counter.next:
            yield f"the sequence of {place} goes on with {sequence[1]}, and MySQL would with {counter.next}"


def _plain(name: str) -> str:
    return name.strip('"').lower()
