"""The HTTP side: Cloudflare's v4 API under /client/v4, in its envelope."""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import math
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

from aiohttp import web

from lab.cloudflare.directory import Directory, Zone, identifier
from lab.cloudflare.errors import (
    ApiError,
    authentication_error,
    invalid,
    invalid_token,
    malformed_authorization,
    malformed_json,
    missing_authorization,
    no_route,
    rate_limited,
    unknown_key,
)
from lab.cloudflare.faults import Faults
from lab.cloudflare.limits import Allowance, RateLimit
from lab.cloudflare.records import Record

log = logging.getLogger(__name__)

PREFIX = "/client/v4"
VERIFY = f"{PREFIX}/user/tokens/verify"
MAXIMUM_BODY_BYTES = 1 << 20
_BEARER = re.compile(r"Bearer ([A-Za-z0-9_.-]+)")
_TEXT_FILTERS = ("exact", "contains", "startswith", "endswith")
_KNOWN_FILTERS = {
    "name", "content", "comment", "type", "proxied", "search", "match",
    "order", "direction", "page", "per_page",
    *(f"{field}.{how}" for field in ("name", "content", "comment") for how in _TEXT_FILTERS),
}  # fmt: skip

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def success(
    result: object, messages: Sequence[object] = (), info: Mapping[str, int] | None = None
) -> web.Response:
    """An answer in the envelope."""
    body: dict[str, object] = {"result": result, "success": True, "errors": [], "messages": list(messages)}
    if info is not None:
        body["result_info"] = dict(info)
    return web.json_response(body)


def failure(error: ApiError) -> web.Response:
    """An error in the envelope, with Retry-After where the caller is to wait."""
    body = {"result": None, "success": False, "errors": [error.as_json()], "messages": []}
    headers = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
    return web.json_response(body, status=error.status, headers=headers)


class Api:
    """The v4 API over a directory, for the one token that the lab gave out."""

    def __init__(self, directory: Directory, token: str, limit: RateLimit, faults: Faults) -> None:
        self._directory = directory
        self._token = token
        self._limit = limit
        self._faults = faults
        self.calls = 0

    def application(self) -> web.Application:
        """The aiohttp application that serves it."""
        app = web.Application(middlewares=[self._envelope], client_max_size=MAXIMUM_BODY_BYTES)
        zone = PREFIX + "/zones/{zone:[0-9a-f]{32}}"
        record = zone + "/dns_records/{record}"
        app.add_routes(
            [
                web.get(VERIFY, self._verify),
                web.get(f"{PREFIX}/zones", self._list_zones),
                web.get(zone, self._get_zone),
                web.get(f"{zone}/dns_records", self._list_records),
                web.post(f"{zone}/dns_records", self._create),
                web.post(f"{zone}/dns_records/batch", self._batch),
                web.get(record, self._get),
                web.patch(record, self._patch),
                web.put(record, self._put),
                web.delete(record, self._delete),
            ]
        )
        return app

    @web.middleware
    async def _envelope(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self.calls += 1
        allowance: Allowance | None = None
        lose_answer = False
        response: web.StreamResponse
        try:
            self._authenticate(request)
            allowance = self._limit.count()
            lose_answer = await self._suffer(request.method)
            response = await handler(request)
        except ApiError as error:
            response = failure(error)
        except web.HTTPException as error:
            response = failure(_from_http(error, request.path))
        log.info("%s %s %s", request.method, request.path_qs, response.status)
        if lose_answer and request.transport is not None:
            request.transport.abort()
        if allowance is not None:
            response.headers["Ratelimit"] = f'"default";r={allowance.remaining};t={allowance.recovers_in}'
            response.headers["Ratelimit-Policy"] = (
                f'"default";q={self._limit.calls};w={math.ceil(self._limit.window)}'
            )
        return response

    async def _suffer(self, method: str) -> bool:
        """Lets the faults in force hit a call; True where its answer is to be lost. Raises ApiError."""
        lose_answer = False
        for fault in self._faults.draw(method):
            match fault.kind:
                case "delay":
                    await asyncio.sleep(fault.seconds)
                case "error":
                    raise ApiError(fault.status, fault.code, fault.message)
                case "rate_limit":
                    raise rate_limited(math.ceil(fault.seconds))
                case "lost_answer":
                    lose_answer = True
        return lose_answer

    def _authenticate(self, request: web.Request) -> None:
        given = request.headers.get("Authorization")
        if given is None:
            if "X-Auth-Key" in request.headers or "X-Auth-Email" in request.headers:
                raise unknown_key()
            raise missing_authorization()
        bearer = _BEARER.fullmatch(given)
        if bearer is None:
            raise malformed_authorization()
        if not hmac.compare_digest(bearer.group(1).encode(), self._token.encode()):
            raise invalid_token() if request.path == VERIFY else authentication_error()

    async def _verify(self, _: web.Request) -> web.Response:
        message = {"code": 10000, "message": "This API Token is valid and active", "type": None}
        return success({"id": identifier("token"), "status": "active"}, [message])

    async def _list_zones(self, request: web.Request) -> web.Response:
        zones = sorted(self._directory.zones.values(), key=lambda zone: zone.name)
        name = request.query.get("name")
        if name is not None:
            zones = [zone for zone in zones if zone.name == name.lower()]
        if request.query.get("status", "active") != "active":
            zones = []
        return _page(request, [zone.as_json(self._directory.account) for zone in zones], 20, 50)

    async def _get_zone(self, request: web.Request) -> web.Response:
        return success(self._zone(request).as_json(self._directory.account))

    async def _list_records(self, request: web.Request) -> web.Response:
        held = select(self._zone(request).records.values(), request.query)
        return _page(request, [record.as_json() for record in held], 100, 5_000_000)

    async def _get(self, request: web.Request) -> web.Response:
        return success(self._zone(request).get(request.match_info["record"]).as_json())

    async def _create(self, request: web.Request) -> web.Response:
        body = await _body(request)
        return success(self._directory.create(self._zone(request), body).as_json())

    async def _patch(self, request: web.Request) -> web.Response:
        body = await _body(request)
        record_id = request.match_info["record"]
        return success(self._directory.patch(self._zone(request), record_id, body).as_json())

    async def _put(self, request: web.Request) -> web.Response:
        body = await _body(request)
        record_id = request.match_info["record"]
        return success(self._directory.put(self._zone(request), record_id, body).as_json())

    async def _delete(self, request: web.Request) -> web.Response:
        record = self._directory.delete(self._zone(request), request.match_info["record"])
        return success({"id": record.id})

    async def _batch(self, request: web.Request) -> web.Response:
        body = await _body(request)
        kinds = ("deletes", "patches", "puts", "posts")
        unknown = sorted(set(body) - set(kinds))
        if unknown:
            raise invalid(9207, f"Request body is invalid: unknown fields {', '.join(unknown)}.")
        changes = {kind: _objects(body.get(kind), kind) for kind in kinds}
        done = self._directory.batch(self._zone(request), **changes)
        return success({kind: [record.as_json() for record in held] for kind, held in done.items()})

    def _zone(self, request: web.Request) -> Zone:
        zone = self._directory.zones.get(request.match_info["zone"])
        if zone is None:
            raise no_route(request.path)
        return zone


def select(held: Iterable[Record], query: Mapping[str, str]) -> list[Record]:
    """The records that match the filters of a list call, in its order. Raises ApiError."""
    unknown = sorted(set(query) - _KNOWN_FILTERS)
    if unknown:
        raise invalid(1004, f"DNS Validation Error: the lab does not know the filters {', '.join(unknown)}.")
    tests: list[Callable[[Record], bool]] = []
    for field in ("name", "content", "comment"):
        for key, how in ((field, "exact"), *((f"{field}.{how}", how) for how in _TEXT_FILTERS)):
            if key in query:
                tests.append(_text_test(field, how, query[key].lower()))
    if "type" in query:
        tests.append(lambda record: record.type == query["type"].upper())
    if "proxied" in query:
        tests.append(lambda record: record.proxied == (query["proxied"] == "true"))
    if "search" in query:
        sought = query["search"].lower()
        tests.append(lambda record: sought in record.name or sought in record.content.lower())
    combine = any if query.get("match") == "any" and tests else all
    found = [record for record in held if combine(test(record) for test in tests)]
    order = query.get("order", "type")
    if order not in ("type", "name", "content", "ttl", "proxied"):
        raise invalid(1004, f"DNS Validation Error: order {order} is not known.")
    found.sort(
        key=lambda record: (getattr(record, order), record.name), reverse=query.get("direction") == "desc"
    )
    return found


def _text_test(field: str, how: str, sought: str) -> Callable[[Record], bool]:
    def test(record: Record) -> bool:
        text = (getattr(record, field) or "").lower()
        match how:
            case "contains":
                return sought in text
            case "startswith":
                return bool(text.startswith(sought))
            case "endswith":
                return bool(text.endswith(sought))
            case _:
                return bool(text == sought)

    return test


def _page(request: web.Request, items: list[dict[str, object]], default: int, most: int) -> web.Response:
    page = _number(request, "page", 1, 1 << 31)
    per_page = _number(request, "per_page", default, most)
    shown = items[(page - 1) * per_page : page * per_page]
    info = {
        "page": page,
        "per_page": per_page,
        "count": len(shown),
        "total_count": len(items),
        "total_pages": math.ceil(len(items) / per_page),
    }
    return success(shown, info=info)


def _number(request: web.Request, key: str, default: int, most: int) -> int:
    text = request.query.get(key, str(default))
    try:
        number = int(float(text))
    except ValueError:
        number = 0
    if not 1 <= number <= most:
        raise invalid(1004, f"DNS Validation Error: {key} must be a number from 1 to {most}.")
    return number


async def _body(request: web.Request) -> Mapping[str, object]:
    try:
        body = json.loads(await request.read())
    except ValueError as error:
        raise malformed_json() from error
    if not isinstance(body, dict):
        raise invalid(9207, "Request body is invalid: expected an object.")
    return body


def _objects(value: object, kind: str) -> list[Mapping[str, object]]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise invalid(9207, f"Request body is invalid: {kind} must be a list of objects.")
    return value


def _from_http(error: web.HTTPException, path: str) -> ApiError:
    if error.status == 404:
        return no_route(path)
    if error.status == 405:
        return ApiError(405, 10405, "Method not allowed for this authentication scheme")
    return ApiError(error.status, 10000, error.reason)
