"""One user of both services: what is sent for what is due, and the sessions that the user holds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from lab.traffic.client import Client, Result
from lab.traffic.schedule import CORESTONE, SESSION_USES, Kind, Planned

_JSON = "Content-Type: application/json\r\nContent-Length: "


@dataclass(frozen=True)
class Account:
    """A user's name and password at both services."""

    user: str
    password: str


@dataclass(frozen=True)
class Sending:
    """A request as it goes out: through which client, and the session that it uses."""

    planned: Planned
    client: Client
    request: bytes
    token: str = field(default="", repr=False)

    @property
    def idempotent(self) -> bool:
        """Whether a library may send it again by itself."""
        return self.planned.kind in ("read", "me", "check")


class User:
    """One user: a client for each service, an account, and a session at each once it has begun."""

    def __init__(self, boss: Client, corestone: Client | None, account: Account | None) -> None:
        self.boss = boss
        self.corestone = corestone
        self.stale = boss.stale
        self._account = account
        self._tokens: dict[Kind, str] = {}

    async def resolve(self) -> None:
        """Asks for the services' names before the first request. Raises ResolveError."""
        for client in self._clients:
            await client.resolve()

    def close(self) -> None:
        """Closes idle connections."""
        for client in self._clients:
            client.close()

    @property
    def _clients(self) -> list[Client]:
        return [self.boss, *([self.corestone] if self.corestone else [])]

    def sending(self, planned: Planned) -> Sending:
        """The request for what is due. A session that does not exist yet is begun first."""
        begins = SESSION_USES.get(planned.kind)
        token = self._tokens.get(begins, "") if begins else ""
        if begins and not token:
            planned = replace(planned, kind=begins)
        if planned.kind in SESSION_USES or planned.kind in SESSION_USES.values():
            planned = replace(planned, id=self._account.user if self._account else "", amount="")
        client = self.corestone if planned.kind in CORESTONE else self.boss
        if client is None:
            raise ValueError(f"a request of kind {planned.kind}, but there is no Corestone")
        return Sending(planned, client, self._encode(planned, client.domain, token), token)

    def take(self, sent: Sending, result: Result) -> None:
        """Remember a session that has begun, and forget one that was lost: the next use begins another."""
        kind, status = sent.planned.kind, result.response.status if result.response else None
        if kind in SESSION_USES.values() and status == 201 and result.response:
            self._tokens[kind] = _token(result.response.body)
        begins = SESSION_USES.get(kind)
        if begins and status == 401 and self._tokens.get(begins) == sent.token:
            del self._tokens[begins]

    def _encode(self, planned: Planned, domain: str, token: str) -> bytes:
        match planned.kind:
            case "read":
                return _get(f"/records/{planned.id}", domain)
            case "me":
                return _get("/me", domain, f"Authorization: Bearer {token}\r\n")
            case "check":
                return _get(f"/sessions/{token}", domain)
            case "record" | "usage":
                path = "/records" if planned.kind == "record" else "/usage"
                return _post(path, domain, {"id": planned.id, "amount": planned.amount})
            case "login" | "begin":
                account = self._account or Account("", "")
                path = "/login" if planned.kind == "login" else "/sessions"
                return _post(path, domain, {"user": account.user, "password": account.password})


def _get(path: str, domain: str, more: str = "") -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: {domain}\r\n{more}Accept: application/json\r\n\r\n".encode()


def _post(path: str, domain: str, fields: Mapping[str, str]) -> bytes:
    body = json.dumps(fields)
    return f"POST {path} HTTP/1.1\r\nHost: {domain}\r\n{_JSON}{len(body)}\r\n\r\n{body}".encode()


def _token(body: bytes) -> str:
    try:
        return str(json.loads(body)["token"])
    except (ValueError, KeyError, TypeError):
        return ""
