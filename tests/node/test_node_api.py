"""The API client and its watches, against an API server that fails in the ways real ones do."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web
from aiohttp.test_utils import TestServer

from lab.kubernetes.node.api import Access, Api, ApiError, Informer, load_kubeconfig

Object = dict[str, Any]


def item(name: str, version: int, uid: str = "u") -> Object:
    return {
        "metadata": {"name": name, "namespace": "n", "uid": f"{uid}-{name}", "resourceVersion": str(version)}
    }


class FakeServer:
    """Lists `items`; each watch plays the next script of events, and the last one stays open."""

    def __init__(self, *scripts: list[Object]) -> None:
        self.items: list[Object] = [item("a", 1)]
        self.version = 1
        self.lists = 0
        self.watched_from: list[str] = []
        self._scripts = list(scripts)
        self._end = asyncio.Event()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if "watch" not in request.query:
            self.lists += 1
            return web.json_response(
                {"items": self.items, "metadata": {"resourceVersion": str(self.version)}}
            )
        self.watched_from.append(request.query["resourceVersion"])
        response = web.StreamResponse()
        await response.prepare(request)
        events = self._scripts.pop(0) if self._scripts else []
        for event in events:
            if event["type"] == "LIST":  # what a later list will say
                self.items, self.version = event["items"], event["version"]
            else:
                await response.write(json.dumps(event).encode() + b"\n")
        if not self._scripts:
            await self._end.wait()
        return response

    def stop(self) -> None:
        self._end.set()


def informed(server: FakeServer, wanted: set[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    """The changes that an informer reports, as (kind, name, version), until those wanted were seen."""
    seen: list[tuple[str, str, str]] = []

    async def scenario() -> None:
        enough = asyncio.Event()

        def changed(old: Object | None, new: Object | None) -> None:
            kind = "gone" if new is None else "new" if old is None else "changed"
            metadata = (new or old or {})["metadata"]
            seen.append((kind, metadata["name"], metadata["resourceVersion"]))
            if wanted <= set(seen):
                enough.set()

        await with_api(server.answer, lambda api: _follow(Informer(api, "/things", changed), enough))

    async def _follow(informer: Informer, enough: asyncio.Event) -> None:
        following = asyncio.ensure_future(informer.run())
        async with asyncio.timeout(20):
            await enough.wait()
        following.cancel()
        server.stop()

    asyncio.run(scenario())
    return seen


async def with_api(
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]], use: Callable[[Api], Awaitable[None]]
) -> None:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    async with (
        TestServer(app) as server,
        Api(Access(str(server.make_url("")).rstrip("/"), None, None)) as api,
    ):
        await use(api)


def test_a_watch_that_ends_goes_on_where_it_was() -> None:
    server = FakeServer(
        [{"type": "ADDED", "object": item("b", 2)}],
        [{"type": "MODIFIED", "object": item("b", 3)}, {"type": "DELETED", "object": item("a", 4)}],
    )
    seen = informed(server, {("gone", "a", "4")})
    assert seen == [("new", "a", "1"), ("new", "b", "2"), ("changed", "b", "3"), ("gone", "a", "4")]
    assert server.watched_from == ["1", "2"]
    assert server.lists == 1


def test_a_bookmark_moves_the_version_on() -> None:
    bookmark = {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "9"}}}
    server = FakeServer([bookmark], [{"type": "ADDED", "object": item("b", 10)}])
    informed(server, {("new", "b", "10")})
    assert server.watched_from == ["1", "9"]


def test_an_expired_watch_lists_again_and_compares() -> None:
    expired = {"type": "ERROR", "object": {"code": 410, "message": "too old resource version"}}
    replaced = [item("b", 7), item("c", 5, uid="other")]
    server = FakeServer(
        [
            {"type": "ADDED", "object": item("b", 2)},
            {"type": "ADDED", "object": item("c", 3)},
            {"type": "LIST", "items": replaced, "version": 7},
            expired,
        ],
        [],
    )
    seen = informed(server, {("new", "c", "5")})
    assert seen[3:] == [("gone", "a", "1"), ("changed", "b", "7"), ("gone", "c", "3"), ("new", "c", "5")]
    assert server.lists == 2


def test_a_refusal_says_what_was_asked_and_why() -> None:
    async def refuse(_request: web.Request) -> web.StreamResponse:
        return web.json_response({"message": 'pods "x" is forbidden'}, status=403)

    async def use(api: Api) -> None:
        with pytest.raises(ApiError, match='GET /api/v1/pods: 403 pods "x" is forbidden') as caught:
            await api.get("/api/v1/pods")
        assert caught.value.status == 403

    asyncio.run(with_api(refuse, use))


def test_what_is_absent_is_none_and_need_not_be_deleted() -> None:
    async def absent(_request: web.Request) -> web.StreamResponse:
        return web.json_response({"message": "not found"}, status=404)

    async def use(api: Api) -> None:
        assert await api.find("/api/v1/pods/x") is None
        await api.delete("/api/v1/pods/x")

    asyncio.run(with_api(absent, use))


def test_a_server_that_is_not_there_is_an_error_without_a_status() -> None:
    async def scenario() -> None:
        async with Api(Access("http://127.0.0.1:9", None, None)) as api:
            with pytest.raises(ApiError, match="GET /x") as caught:
                await api.get("/x")
            assert caught.value.status == 0

    asyncio.run(scenario())


def kubeconfig(**user: str) -> Object:
    return {
        "current-context": "one",
        "contexts": [
            {"name": "one", "context": {"cluster": "c", "user": "u"}},
            {"name": "two", "context": {"cluster": "absent", "user": "u"}},
        ],
        "clusters": [{"name": "c", "cluster": {"server": "http://192.0.2.1:6443"}}],
        "users": [{"name": "u", "user": user}],
    }


def test_a_kubeconfig_gives_server_and_token(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(kubeconfig(token="t")))
    assert load_kubeconfig(path) == Access("http://192.0.2.1:6443", None, "t")


@pytest.mark.parametrize(("context", "missing"), [("two", "absent"), ("three", "three")])
def test_a_kubeconfig_that_lacks_something_is_named(tmp_path: Path, context: str, missing: str) -> None:
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(kubeconfig()))
    with pytest.raises(ValueError, match=f"config: not a kubeconfig: '{missing}' is missing"):
        load_kubeconfig(path, context)


def test_a_kubeconfig_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nowhere"):
        load_kubeconfig(tmp_path / "nowhere")
