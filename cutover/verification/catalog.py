"""Everything that a schema holds, read from information_schema, in a form that servers can be compared by."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cutover.mysql import Session, quoted

Properties = dict[str, str | None]
"""What is said of an object, by the name of the property."""


@dataclass(frozen=True)
class Column:
    """A column of a table, in the words of information_schema."""

    name: str
    type: str
    """Such as `decimal`."""
    full_type: str
    """Such as `decimal(12,2) unsigned`."""
    nullable: bool
    charset: str | None
    collation: str | None
    octets: int
    """The most bytes that a text or binary value may have; 0 for other types."""
    position: int
    """From 0, as the binlog counts them."""
    generated: bool

    @property
    def unsigned(self) -> bool:
        """Whether it is a number that is never negative."""
        return "unsigned" in self.full_type

    @property
    def labels(self) -> tuple[str, ...]:
        """The values of an enum or a set."""
        found = re.findall(r"'((?:[^']|'')*)'", self.full_type) if self.type in ("enum", "set") else []
        return tuple(label.replace("''", "'") for label in found)


@dataclass(frozen=True)
class Table:
    """A table's columns and the key that its rows are known by."""

    schema: str
    name: str
    engine: str
    rows: int
    """The server's own estimate."""
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    """The columns of the primary key, or of a unique key without NULLs; empty: the table has neither."""
    key_name: str | None
    """The index of that key."""

    @property
    def place(self) -> str:
        """`schema.table`."""
        return f"{self.schema}.{self.name}"

    @property
    def quoted(self) -> str:
        """The same for a statement."""
        return quoted(self.schema, self.name)

    def column(self, name: str) -> Column:
        """A column by its name."""
        return next(column for column in self.columns if column.name == name)


@dataclass(frozen=True)
class Catalog:
    """What schemas on one server hold."""

    tables: Mapping[str, Table]
    """By `schema.table`."""
    objects: Mapping[str, Mapping[str, Properties]]
    """By kind (`table`, `column`, `index`, …), then by the object's name."""
    rights: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """What each account may do in these schemas, by `user@host`."""
    unread: tuple[str, ...] = ()
    """What these credentials could not read, and why."""


_TABLES = """
SELECT TABLE_SCHEMA, TABLE_NAME, ENGINE, TABLE_ROWS, TABLE_COLLATION, ROW_FORMAT, CREATE_OPTIONS,
       TABLE_COMMENT
FROM information_schema.TABLES WHERE TABLE_SCHEMA IN %s AND TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED')
"""
_COLUMNS = """
SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, DATA_TYPE, COLUMN_TYPE, IS_NULLABLE, CHARACTER_SET_NAME,
       COLLATION_NAME, CHARACTER_OCTET_LENGTH, COLUMN_DEFAULT, EXTRA, COLUMN_COMMENT, GENERATION_EXPRESSION
FROM information_schema.COLUMNS WHERE TABLE_SCHEMA IN %s ORDER BY TABLE_SCHEMA, TABLE_NAME, ORDINAL_POSITION
"""
_INDEXES = """
SELECT TABLE_SCHEMA, TABLE_NAME, INDEX_NAME, NON_UNIQUE, COLUMN_NAME, SUB_PART, INDEX_TYPE, COLLATION,
       NULLABLE
FROM information_schema.STATISTICS WHERE TABLE_SCHEMA IN %s
ORDER BY TABLE_SCHEMA, TABLE_NAME, INDEX_NAME, SEQ_IN_INDEX
"""
_FOREIGN_KEYS = """
SELECT k.TABLE_SCHEMA, k.TABLE_NAME, k.CONSTRAINT_NAME, k.COLUMN_NAME, k.REFERENCED_TABLE_SCHEMA,
       k.REFERENCED_TABLE_NAME, k.REFERENCED_COLUMN_NAME, r.UPDATE_RULE, r.DELETE_RULE
FROM information_schema.KEY_COLUMN_USAGE k JOIN information_schema.REFERENTIAL_CONSTRAINTS r
  ON r.CONSTRAINT_SCHEMA = k.CONSTRAINT_SCHEMA AND r.CONSTRAINT_NAME = k.CONSTRAINT_NAME
 AND r.TABLE_NAME = k.TABLE_NAME
WHERE k.TABLE_SCHEMA IN %s AND k.REFERENCED_TABLE_NAME IS NOT NULL
ORDER BY k.TABLE_SCHEMA, k.TABLE_NAME, k.CONSTRAINT_NAME, k.ORDINAL_POSITION
"""
_PARTITIONS = """
SELECT TABLE_SCHEMA, TABLE_NAME, PARTITION_NAME, SUBPARTITION_NAME, PARTITION_METHOD, PARTITION_EXPRESSION,
       PARTITION_DESCRIPTION
FROM information_schema.PARTITIONS WHERE TABLE_SCHEMA IN %s AND PARTITION_NAME IS NOT NULL
"""
_VIEWS = """
SELECT TABLE_SCHEMA, TABLE_NAME, VIEW_DEFINITION, CHECK_OPTION, DEFINER, SECURITY_TYPE
FROM information_schema.VIEWS WHERE TABLE_SCHEMA IN %s
"""
_TRIGGERS = """
SELECT TRIGGER_SCHEMA, TRIGGER_NAME, EVENT_MANIPULATION, EVENT_OBJECT_TABLE, ACTION_ORDER, ACTION_STATEMENT,
       ACTION_TIMING, SQL_MODE, DEFINER, COLLATION_CONNECTION
FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA IN %s
"""
_EVENTS = """
SELECT EVENT_SCHEMA, EVENT_NAME, DEFINER, TIME_ZONE, EVENT_DEFINITION, EVENT_TYPE, EXECUTE_AT, INTERVAL_VALUE,
       INTERVAL_FIELD, SQL_MODE, STARTS, ENDS, STATUS, ON_COMPLETION
FROM information_schema.EVENTS WHERE EVENT_SCHEMA IN %s
"""
_ROUTINES = """
SELECT ROUTINE_SCHEMA, ROUTINE_TYPE, ROUTINE_NAME, DTD_IDENTIFIER, ROUTINE_DEFINITION, IS_DETERMINISTIC,
       SQL_DATA_ACCESS, SECURITY_TYPE, SQL_MODE, DEFINER
FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA IN %s
"""
_PARAMETERS = """
SELECT SPECIFIC_SCHEMA, ROUTINE_TYPE, SPECIFIC_NAME, ORDINAL_POSITION, PARAMETER_MODE, PARAMETER_NAME,
       DTD_IDENTIFIER
FROM information_schema.PARAMETERS WHERE SPECIFIC_SCHEMA IN %s
ORDER BY SPECIFIC_SCHEMA, SPECIFIC_NAME, ORDINAL_POSITION
"""
_SCHEMAS = """
SELECT SCHEMA_NAME, DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME
FROM information_schema.SCHEMATA WHERE SCHEMA_NAME IN %s
"""
_OPTION_NOISE = re.compile(r"\bpartitioned\b")


def read_catalog(session: Session, schemas: Sequence[str], *, rights: bool = True) -> Catalog:
    """Reads all of it. Raises DatabaseError.

    Args:
        rights: whether accounts and their grants are read too, which needs more rights than the rest.
    """
    fresh_statistics(session)
    names = (tuple(schemas),)
    objects: dict[str, dict[str, Properties]] = {
        "schema": {
            str(schema): {"charset": charset, "collation": collation}
            for schema, charset, collation in session.rows(_SCHEMAS, names)
        },
        **_tables(session, names),
        "view": {
            f"{schema}.{name}": {
                "definition": _text(definition),
                "check option": check,
                "definer": definer,
                "security": security,
            }
            for schema, name, definition, check, definer, security in session.rows(_VIEWS, names)
        },
        "trigger": _named(
            session.records(_TRIGGERS, names), ("TRIGGER_SCHEMA", "TRIGGER_NAME"), ("ACTION_STATEMENT",)
        ),
        "event": _named(
            session.records(_EVENTS, names), ("EVENT_SCHEMA", "EVENT_NAME"), ("EVENT_DEFINITION",)
        ),
        "routine": _routines(session, names),
    }
    accounts, unread = _rights(session, schemas) if rights else ({}, ())
    return Catalog(_described_tables(session, names), objects, accounts, unread)


def fresh_statistics(session: Session) -> None:
    """MySQL 8 answers statistics, the counters among them, from a cache that may be a day old."""
    if session.flavour.family == "mysql" and session.flavour.version >= (8,):
        session.execute("SET SESSION information_schema_stats_expiry = 0")


def read_counters(session: Session, schemas: Sequence[str]) -> dict[str, int]:
    """The next number of each table that counts, by `schema.table`; quick enough for a fence."""
    return {
        f"{schema}.{name}": int(counter)
        for schema, name, counter in session.rows(
            "SELECT TABLE_SCHEMA, TABLE_NAME, AUTO_INCREMENT FROM information_schema.TABLES "
            "WHERE TABLE_SCHEMA IN %s AND AUTO_INCREMENT IS NOT NULL",
            (tuple(schemas),),
        )
    }


def _tables(session: Session, names: tuple[Any]) -> dict[str, dict[str, Properties]]:
    """Tables with their columns, indexes, foreign keys, checks and partitions."""
    tables: dict[str, Properties] = {}
    for schema, name, engine, _, collation, row_format, options, comment in session.rows(_TABLES, names):
        tables[f"{schema}.{name}"] = {
            "engine": engine,
            "collation": collation,
            "row format": row_format,
            "options": _OPTION_NOISE.sub("", options or "").strip(),
            "comment": comment,
        }
    columns: dict[str, Properties] = {}
    position: dict[str, int] = {}
    for row in session.records(_COLUMNS, names):
        table = f"{row['TABLE_SCHEMA']}.{row['TABLE_NAME']}"
        if table not in tables:
            continue  # a view's
        position[table] = position.get(table, 0) + 1
        columns[f"{table}.{row['COLUMN_NAME']}"] = {
            "position": str(position[table]),
            "type": row["COLUMN_TYPE"],
            "nullable": row["IS_NULLABLE"],
            "default": row["COLUMN_DEFAULT"],
            "charset": row["CHARACTER_SET_NAME"],
            "collation": row["COLLATION_NAME"],
            "extra": row["EXTRA"],
            "generated as": _text(row["GENERATION_EXPRESSION"]) or None,
            "comment": row["COLUMN_COMMENT"],
        }
    indexes: dict[str, Properties] = {}
    for schema, table, name, repeated, column, part, kind, order, _ in session.rows(_INDEXES, names):
        index = indexes.setdefault(f"{schema}.{table}.{name}", {"columns": ""})
        prefix = f"({part})" if part else ""
        shown = f"{column or 'an expression'}{prefix}{' DESC' if order == 'D' else ''}"
        index["columns"] = f"{index['columns']}, {shown}".removeprefix(", ")
        index |= {"unique": "no" if int(repeated) else "yes", "type": kind}
    foreign: dict[str, Properties] = {}
    for schema, table, name, column, to_schema, to_table, to_column, update, delete in session.rows(
        _FOREIGN_KEYS, names
    ):
        key = foreign.setdefault(f"{schema}.{table}.{name}", {"columns": "", "references": ""})
        key["columns"] = f"{key['columns']}, {column}".removeprefix(", ")
        key["references"] = f"{key['references']}, {to_schema}.{to_table}.{to_column}".removeprefix(", ")
        key |= {"on update": update, "on delete": delete}
    partitions = {
        ".".join(str(part) for part in row[:4] if part is not None): {
            "method": row[4],
            "expression": row[5],
            "description": row[6],
        }
        for row in session.rows(_PARTITIONS, names)
    }
    return {
        "table": tables,
        "column": columns,
        "index": indexes,
        "foreign key": foreign,
        "check": _checks(session, names),
        "partition": partitions,
    }


def _checks(session: Session, names: tuple[Any]) -> dict[str, Properties]:
    """Check constraints; older versions have none."""
    exists = session.value(
        "SELECT COUNT(*) FROM information_schema.TABLES "
        "WHERE TABLE_SCHEMA = 'information_schema' AND TABLE_NAME = 'CHECK_CONSTRAINTS'"
    )
    if not exists:
        return {}
    return {
        # A constraint's name is MySQL's for a whole schema, and MariaDB's for a table.
        ".".join(
            row[part] for part in ("CONSTRAINT_SCHEMA", "TABLE_NAME", "CONSTRAINT_NAME") if part in row
        ): {"clause": _text(row["CHECK_CLAUSE"])}
        for row in session.records(
            "SELECT * FROM information_schema.CHECK_CONSTRAINTS WHERE CONSTRAINT_SCHEMA IN %s", names
        )
    }


def _routines(session: Session, names: tuple[Any]) -> dict[str, Properties]:
    routines = _named(
        session.records(_ROUTINES, names),
        ("ROUTINE_SCHEMA", "ROUTINE_TYPE", "ROUTINE_NAME"),
        ("ROUTINE_DEFINITION",),
    )
    for schema, kind, name, position, mode, parameter, kind_of in session.rows(_PARAMETERS, names):
        routine = routines.get(f"{schema}.{kind}.{name}")
        if routine is not None and position:
            routine[f"parameter {position}"] = " ".join(filter(None, (mode, parameter, kind_of)))
    return routines


def _named(
    records: Sequence[Mapping[str, Any]], name: tuple[str, ...], texts: tuple[str, ...]
) -> dict[str, Properties]:
    """Objects by their name; every other column is a property."""
    found: dict[str, Properties] = {}
    for record in records:
        found[".".join(str(record[part]) for part in name)] = {
            key.lower().replace("_", " "): _text(value)
            if key in texts
            else (None if value is None else str(value))
            for key, value in record.items()
            if key not in name
        }
    return found


def _described_tables(session: Session, names: tuple[Any]) -> dict[str, Table]:
    columns: dict[str, list[Column]] = {}
    for row in session.records(_COLUMNS, names):
        place = columns.setdefault(f"{row['TABLE_SCHEMA']}.{row['TABLE_NAME']}", [])
        place.append(
            Column(
                name=row["COLUMN_NAME"],
                type=row["DATA_TYPE"].lower(),
                full_type=row["COLUMN_TYPE"].lower()
                if row["DATA_TYPE"].lower() not in ("enum", "set")
                else row["COLUMN_TYPE"],
                nullable=row["IS_NULLABLE"] == "YES",
                charset=row["CHARACTER_SET_NAME"],
                collation=row["COLLATION_NAME"],
                octets=int(row["CHARACTER_OCTET_LENGTH"] or 0),
                position=len(place),
                generated=bool(row["GENERATION_EXPRESSION"]),
            )
        )
    keys: dict[str, dict[str, list[str]]] = {}
    unfit: set[tuple[str, str]] = set()
    for schema, table, name, repeated, column, part, _, _, nullable in session.rows(_INDEXES, names):
        keys.setdefault(f"{schema}.{table}", {}).setdefault(name, []).append(str(column))
        if int(repeated) or part or nullable == "YES" or column is None:
            unfit.add((f"{schema}.{table}", name))
    tables = {}
    for schema, name, engine, rows, *_ in session.rows(_TABLES, names):
        place_ = f"{schema}.{name}"
        fit = {
            index: columns_
            for index, columns_ in keys.get(place_, {}).items()
            if (place_, index) not in unfit
        }
        key_name = min(fit, key=lambda index: (index != "PRIMARY", len(fit[index]), index), default=None)
        tables[place_] = Table(
            schema=schema,
            name=name,
            engine=engine or "",
            rows=int(rows or 0),
            columns=tuple(columns.get(place_, ())),
            key=tuple(fit[key_name]) if key_name else (),
            key_name=key_name,
        )
    return tables


def _rights(session: Session, schemas: Sequence[str]) -> tuple[dict[str, tuple[str, ...]], tuple[str, ...]]:
    """What each account may do in these schemas; passwords are no part of it."""
    found: dict[str, set[str]] = {}
    unread: list[str] = []
    names = (tuple(schemas),)
    for source, place in (
        ("SCHEMA_PRIVILEGES", "CONCAT(TABLE_SCHEMA, '.*')"),
        ("TABLE_PRIVILEGES", "CONCAT(TABLE_SCHEMA, '.', TABLE_NAME)"),
        ("COLUMN_PRIVILEGES", "CONCAT(TABLE_SCHEMA, '.', TABLE_NAME, '.', COLUMN_NAME)"),
    ):
        # A schema in a grant is a pattern in which an underscore was escaped.
        for grantee, right, on, grantable in session.rows(
            f"SELECT GRANTEE, PRIVILEGE_TYPE, {place}, IS_GRANTABLE "  # noqa: S608 - constants from above
            f"FROM information_schema.{source} WHERE REPLACE(TABLE_SCHEMA, '\\\\', '') IN %s",
            names,
        ):
            option = " with grant option" if grantable == "YES" else ""
            found.setdefault(_account(grantee), set()).add(f"{right} on {on}{option}")
    if not session.rows(
        "SELECT 1 FROM information_schema.USER_PRIVILEGES WHERE PRIVILEGE_TYPE IN ('CREATE USER', 'SUPER') "
        "AND REPLACE(GRANTEE, '''', '') = CURRENT_USER()"
    ):
        unread.append(
            "grants: these credentials have no CREATE USER, so the server shows them only their own grants"
        )
    return {account: tuple(sorted(rights)) for account, rights in sorted(found.items())}, tuple(unread)


def _account(grantee: str) -> str:
    """`user@host` from `'user'@'host'`."""
    return grantee.replace("'", "")


def _text(value: Any) -> str:
    """A definition without the differences of layout that servers make."""
    return re.sub(r"\s+", " ", str(value or "")).strip()
