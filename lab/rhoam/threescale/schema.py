"""The system database's tables: a part of 3scale's own, with its names and its kinds of columns.

`RELEASES` holds what each version of 3scale changes, as statements of both kinds of database: a new version
migrates the database that it finds when it starts, as 3scale's pre-deployment hook does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal["mysql", "postgresql"]

_TYPES: Mapping[str, Mapping[Kind, str]] = {
    "id": {"mysql": "BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY", "postgresql": "BIGSERIAL PRIMARY KEY"},
    "ref": {"mysql": "BIGINT", "postgresql": "BIGINT"},
    "string": {"mysql": "VARCHAR(255)", "postgresql": "VARCHAR(255)"},
    "text": {"mysql": "MEDIUMTEXT", "postgresql": "TEXT"},
    "bool": {"mysql": "TINYINT(1) NOT NULL DEFAULT 0", "postgresql": "BOOLEAN NOT NULL DEFAULT FALSE"},
    "maybe": {"mysql": "TINYINT(1)", "postgresql": "BOOLEAN"},
    "int": {"mysql": "INT", "postgresql": "INTEGER"},
    "small": {"mysql": "SMALLINT", "postgresql": "SMALLINT"},
    "money": {"mysql": "DECIMAL(20,4)", "postgresql": "NUMERIC(20,4)"},
    "date": {"mysql": "DATE", "postgresql": "DATE"},
    "time": {"mysql": "DATETIME", "postgresql": "TIMESTAMP"},
    "bytes": {"mysql": "MEDIUMBLOB", "postgresql": "BYTEA"},
}
_ACCOUNT = {"id": "id", "org_name": "string", "domain": "string", "self_domain": "string"}
_STAMPS = {"tenant_id": "ref", "created_at": "time", "updated_at": "time"}

TABLES: Mapping[str, Mapping[str, str]] = {
    "accounts": {
        **_ACCOUNT,
        "provider": "bool",
        "buyer": "bool",
        "master": "maybe",
        "provider_account_id": "ref",
        "state": "string",
        "paid": "bool",
        "paid_at": "time",
        "extra_fields": "text",
        "s3_prefix": "string",
        **_STAMPS,
    },
    "users": {
        "id": "id",
        "account_id": "ref",
        "username": "string",
        "email": "string",
        "role": "string",
        "state": "string",
        "password_digest": "string",
        "last_login_at": "time",
        "janrain_identifier": "string",
        **_STAMPS,
    },
    "settings": {
        "id": "id",
        "account_id": "ref",
        "sso_key": "string",
        "account_approval_required": "bool",
        "sso_login_url": "string",
        "product": "string",
        **_STAMPS,
    },
    "services": {
        "id": "id",
        "account_id": "ref",
        "name": "string",
        "system_name": "string",
        "state": "string",
        "backend_version": "string",
        "buyers_manage_apps": "bool",
        "deployment_option": "string",
        "default_application_plan_id": "ref",
        **_STAMPS,
    },
    "proxies": {
        "id": "id",
        "service_id": "ref",
        "endpoint": "string",
        "sandbox_endpoint": "string",
        "api_backend": "string",
        "auth_user_key": "string",
        **_STAMPS,
    },
    "service_tokens": {"id": "id", "service_id": "ref", "value": "string", **_STAMPS},
    "metrics": {
        "id": "id",
        "service_id": "ref",
        "system_name": "string",
        "friendly_name": "string",
        "unit": "string",
        **_STAMPS,
    },
    "plans": {
        "id": "id",
        "type": "string",
        "issuer_type": "string",
        "issuer_id": "ref",
        "name": "string",
        "system_name": "string",
        "state": "string",
        "rights_hidden": "bool",
        "setup_fee": "money",
        "cost_per_month": "money",
        "trial_period_days": "small",
        **_STAMPS,
    },
    "usage_limits": {
        "id": "id",
        "plan_id": "ref",
        "metric_id": "ref",
        "period": "string",
        "value": "int",
        **_STAMPS,
    },
    "cinstances": {
        "id": "id",
        "plan_id": "ref",
        "user_account_id": "ref",
        "service_id": "ref",
        "type": "string",
        "application_id": "string",
        "user_key": "string",
        "name": "string",
        "state": "string",
        "accepted_at": "time",
        "trial_period_expires_at": "date",
        "first_traffic_at": "time",
        "live_state": "maybe",
        **_STAMPS,
    },
    "application_keys": {"id": "id", "application_id": "ref", "value": "string", **_STAMPS},
    "access_tokens": {
        "id": "id",
        "owner_id": "ref",
        "name": "string",
        "value": "string",
        "permission": "string",
        "scopes": "text",
        "tenant_id": "ref",
    },
    "authentication_providers": {
        "id": "id",
        "account_id": "ref",
        "kind": "string",
        "name": "string",
        "system_name": "string",
        "client_id": "string",
        "client_secret": "string",
        "site": "string",
        "published": "bool",
        "account_type": "string",
        **_STAMPS,
    },
    "invoices": {
        "id": "id",
        "provider_account_id": "ref",
        "buyer_account_id": "ref",
        "period": "date",
        "cost": "money",
        "state": "string",
        "finalized_at": "time",
        **_STAMPS,
    },
    "cms_files": {"id": "id", "provider_id": "ref", "path": "string", "attachment": "bytes", **_STAMPS},
    "audits": {
        "id": "id",
        "kind": "string",
        "auditable_id": "ref",
        "action": "string",
        "audited_changes": "text",
        "version": "int",
        "tenant_id": "ref",
        "created_at": "time",
    },
}
_INDEXES = {
    "accounts": (("self_domain", True), ("provider_account_id", False)),
    "users": (("account_id", False),),
    "proxies": (("service_id", True),),
    "cinstances": (("user_key", True), ("application_id", False), ("user_account_id", False)),
    "application_keys": (("application_id", False),),
    "access_tokens": (("value", True),),
}


@dataclass(frozen=True)
class Release:
    """What a version of 3scale does to the database: its number in `schema_migrations`, and statements."""

    version: str
    number: str
    statements: tuple[str, ...]


RELEASES = (
    Release("2.13", "20221201000000", ()),
    Release("2.14", "20230901000000", ("ALTER TABLE accounts ADD COLUMN first_admin_id BIGINT",)),
    Release(
        "2.15", "20240701000000", ("ALTER TABLE services ADD COLUMN kubernetes_service_link VARCHAR(255)",)
    ),
)
"""In their order."""


def create_statements(kind: Kind) -> list[str]:
    """The statements that make an empty system database of the oldest version, in a database of this kind."""
    end = " ENGINE = InnoDB DEFAULT CHARSET = utf8mb4" if kind == "mysql" else ""
    made = [f"CREATE TABLE schema_migrations (version VARCHAR(255) NOT NULL PRIMARY KEY){end}"]
    for table, columns in TABLES.items():
        declared = ", ".join(f"{name} {_TYPES[what][kind]}" for name, what in columns.items())
        made.append(f"CREATE TABLE {table} ({declared}){end}")
        for column, unique in _INDEXES.get(table, ()):
            how = "UNIQUE INDEX" if unique else "INDEX"
            made.append(f"CREATE {how} index_{table}_on_{column} ON {table} ({column})")
    return made


def releases_up_to(version: str) -> tuple[Release, ...]:
    """Those that a version of 3scale brings, oldest first. Raises ValueError for an unknown one."""
    known = [release.version for release in RELEASES]
    if version not in known:
        raise ValueError(f"there is no version {version!r} of the stand-in; there are {', '.join(known)}")
    return RELEASES[: known.index(version) + 1]
