"""The lab's own way to look into its Cloudflare and to put faults into it. Loopback only, no part of v4.

`GET /snapshot`; `PUT /faults` with a list of `Fault` (an empty list ends them); `POST /names` adds public
names; `PATCH /records/{name}/{type}` changes a record as somebody else at the console would.
"""

from __future__ import annotations

import json
from typing import TypeVar

from aiohttp import web
from pydantic import BaseModel, TypeAdapter, ValidationError

from lab.cloudflare.api import Api
from lab.cloudflare.directory import Directory, Zone, ZonesError
from lab.cloudflare.errors import ApiError
from lab.cloudflare.faults import Fault, Faults
from lab.dns.records import Entry

_Model = TypeVar("_Model", bound=BaseModel)
_FAULTS = TypeAdapter(list[Fault])
_NAMES = TypeAdapter(list[Entry])


class Control:
    """The control application of one lab Cloudflare."""

    def __init__(self, directory: Directory, faults: Faults, api: Api) -> None:
        self._directory = directory
        self._faults = faults
        self._api = api

    def application(self) -> web.Application:
        """The aiohttp application; to be bound to a loopback address."""
        app = web.Application()
        app.add_routes(
            [
                web.get("/snapshot", self._snapshot),
                web.put("/faults", self._set_faults),
                web.post("/names", self._add_names),
                web.patch("/records/{name}/{type}", self._change),
            ]
        )
        return app

    async def _snapshot(self, _: web.Request) -> web.Response:
        body = {
            **self._directory.snapshot(),
            "calls": self._api.calls,
            "faults": [fault.model_dump() for fault in self._faults.active()],
            "faults_injected": self._faults.injected,
        }
        return web.json_response(body)

    async def _set_faults(self, request: web.Request) -> web.Response:
        self._faults.replace(_parse(_FAULTS, await request.read()))
        return web.json_response({})

    async def _add_names(self, request: web.Request) -> web.Response:
        try:
            for entry in _parse(_NAMES, await request.read()):
                self._directory.add_name(entry)
        except ZonesError as error:
            raise web.HTTPBadRequest(text=str(error)) from error
        return web.json_response({})

    async def _change(self, request: web.Request) -> web.Response:
        name, rtype = request.match_info["name"], request.match_info["type"]
        try:
            body = json.loads(await request.read())
        except ValueError as error:
            raise web.HTTPBadRequest(text=str(error)) from error
        for zone in self._directory.zones.values():
            for record in zone.records.values():
                if (record.name, record.type) == (name, rtype):
                    return self._changed(zone, record.id, body)
        raise web.HTTPNotFound(text=f"no {rtype} record named {name}")

    def _changed(self, zone: Zone, record_id: str, body: dict[str, object]) -> web.Response:
        try:
            return web.json_response(self._directory.patch(zone, record_id, body).as_json())
        except ApiError as error:
            raise web.HTTPBadRequest(text=error.message) from error


def _parse(kind: TypeAdapter[list[_Model]], body: bytes) -> list[_Model]:
    try:
        return kind.validate_json(body)
    except ValidationError as error:
        raise web.HTTPBadRequest(text=str(error)) from error
