"""A small asynchronous client of the Kubernetes API: plain JSON objects, and watches that never end."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import random
import ssl
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import aiohttp
import yaml

log = logging.getLogger(__name__)

Object = dict[str, Any]
"""A Kubernetes object as the API gives it."""

REQUEST_SECONDS = 15.0
_WATCH_SECONDS = 300  # how long one watch lasts before it is asked for again
_STALLED_SECONDS = 30.0  # beyond a watch's own end; a connection silent for longer is taken as dead
_BACKOFF_SECONDS = (0.1, 5.0)  # first and longest pause between attempts to watch


class ApiError(Exception):
    """The API refused a request, or could not be reached (`status` 0)."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Access:
    """Where a cluster's API is and what proves who we are."""

    server: str
    context: ssl.SSLContext | None
    token: str | None


def load_kubeconfig(path: Path, context: str | None = None) -> Access:
    """The access that a context of a kubeconfig gives; its current context if none is named.

    Raises ValueError that names the file and what is missing in it.
    """
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
        wanted = context or config["current-context"]
        chosen = _named(config["contexts"], wanted)["context"]
        cluster = _named(config["clusters"], chosen["cluster"])["cluster"]
        user = _named(config["users"], chosen["user"])["user"]
        return Access(cluster["server"], _tls(path, cluster, user), user.get("token"))
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path}: not a kubeconfig: {error} is missing") from error
    except (OSError, yaml.YAMLError, ssl.SSLError) as error:
        raise ValueError(f"{path}: {error}") from error


def _named(entries: list[Object], name: str) -> Object:
    for entry in entries:
        if entry["name"] == name:
            return entry
    raise KeyError(name)


def _tls(path: Path, cluster: Object, user: Object) -> ssl.SSLContext | None:
    if not str(cluster["server"]).startswith("https:"):
        return None
    if cluster.get("insecure-skip-tls-verify"):
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        authority = _pem(path, cluster, "certificate-authority")
        context = ssl.create_default_context(cadata=authority.decode() if authority else None)
    certificate, key = _pem(path, user, "client-certificate"), _pem(path, user, "client-key")
    if certificate and key:
        with tempfile.NamedTemporaryFile(suffix=".pem") as pair:  # ssl reads key pairs from files alone
            pair.write(certificate + b"\n" + key)
            pair.flush()
            context.load_cert_chain(pair.name)
    return context


def _pem(path: Path, section: Object, key: str) -> bytes | None:
    if f"{key}-data" in section:
        return base64.b64decode(str(section[f"{key}-data"]))
    if key in section:
        return (path.parent / str(section[key])).read_bytes()
    return None


class Api:
    """Requests to one cluster's API. Use as an asynchronous context manager."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        headers = {"Accept": "application/json", "User-Agent": "landfall-lab"}
        if self._access.token:
            headers["Authorization"] = f"Bearer {self._access.token}"
        self._session = aiohttp.ClientSession(
            headers=headers,
            connector=aiohttp.TCPConnector(limit=0, ssl=self._access.context or True),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def get(self, path: str) -> Object:
        """The object at `path`, for example `/api/v1/namespaces/a/configmaps/b`."""
        return await self._request("GET", path)

    async def find(self, path: str) -> Object | None:
        """The object at `path`, or None where there is none."""
        try:
            return await self.get(path)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    async def create(self, path: str, body: Object) -> Object:
        """POST to a collection or a subresource."""
        return await self._request("POST", path, body)

    async def merge(self, path: str, body: Object) -> Object:
        """A JSON merge patch (RFC 7386)."""
        return await self._request("PATCH", path, body, content="application/merge-patch+json")

    async def apply(self, path: str, body: Object, manager: str) -> Object:
        """Server-side apply, taking fields over from other managers."""
        parameters = {"fieldManager": manager, "force": "true"}
        return await self._request("PATCH", path, body, parameters, content="application/apply-patch+yaml")

    async def delete(self, path: str, body: Object | None = None) -> None:
        """Deletes an object; that it is gone already is no error."""
        try:
            await self._request("DELETE", path, body)
        except ApiError as error:
            if error.status != 404:
                raise

    async def list(self, path: str, parameters: Mapping[str, str] | None = None) -> tuple[list[Object], str]:
        """The objects of a collection, and the resource version to watch from."""
        answer = await self._request("GET", path, parameters=parameters)
        return answer.get("items") or [], answer["metadata"]["resourceVersion"]

    async def watch(self, path: str, parameters: Mapping[str, str]) -> AsyncIterator[Object]:
        """Events of a collection until the server ends the watch."""
        wait = _WATCH_SECONDS + random.randrange(60)
        query = {**parameters, "watch": "1", "allowWatchBookmarks": "true", "timeoutSeconds": str(wait)}
        limits = aiohttp.ClientTimeout(total=wait + _STALLED_SECONDS, sock_connect=REQUEST_SECONDS)
        async with self._open.get(
            self._access.server + path, params=query, timeout=limits, read_bufsize=2**22
        ) as response:
            if response.status != 200:
                raise _refusal("GET", path, response.status, await response.text())
            async for line in response.content:
                yield json.loads(line)

    @property
    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise RuntimeError("Api is used outside its context")
        return self._session

    async def _request(
        self,
        method: str,
        path: str,
        body: Object | None = None,
        parameters: Mapping[str, str] | None = None,
        content: str = "application/json",
    ) -> Object:
        try:
            async with self._open.request(
                method,
                self._access.server + path,
                params=parameters,
                data=None if body is None else json.dumps(body),
                headers={} if body is None else {"Content-Type": content},
                timeout=aiohttp.ClientTimeout(total=REQUEST_SECONDS),
            ) as response:
                text = await response.text()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ApiError(0, f"{method} {path}: {error or type(error).__name__}") from error
        if response.status >= 400:
            raise _refusal(method, path, response.status, text)
        answer: Object = json.loads(text)
        return answer


def _refusal(method: str, path: str, status: int, text: str) -> ApiError:
    try:
        message = json.loads(text)["message"]
    except (ValueError, KeyError, TypeError):
        message = text[:300]
    return ApiError(status, f"{method} {path}: {status} {message}")


class Informer:
    """Keeps a copy of a collection: `objects` by (namespace, name).

    `changed(old, new)` is called in order for each change, `old` None for a new object and `new` None for
    one that is gone. After a broken or expired watch the collection is listed again and compared.
    """

    def __init__(
        self,
        api: Api,
        path: str,
        changed: Callable[[Object | None, Object | None], None] = lambda _old, _new: None,
        parameters: Mapping[str, str] | None = None,
    ) -> None:
        self.objects: dict[tuple[str, str], Object] = {}
        self.synced = asyncio.Event()
        self._api = api
        self._path = path
        self._changed = changed
        self._parameters = dict(parameters or {})

    async def run(self) -> None:
        """Follow the collection until cancelled."""
        version: str | None = None
        pause, longest = _BACKOFF_SECONDS
        while True:
            try:
                if version is None:
                    items, version = await self._api.list(self._path, self._parameters)
                    self._replace(items)
                    self.synced.set()
                async for event in self._api.watch(
                    self._path, {**self._parameters, "resourceVersion": version}
                ):
                    version = self._take(event)
                    pause = _BACKOFF_SECONDS[0]
                    if version is None:
                        break
                await asyncio.sleep(_BACKOFF_SECONDS[0])  # whatever ends watches at once is not hammered
            except ApiError as error:
                version = None
                log.warning("watch of %s: %s", self._path, error)
                await asyncio.sleep(pause)
                pause = min(pause * 2, longest)
            except (aiohttp.ClientError, TimeoutError, ValueError) as error:
                log.info("watch of %s is renewed: %s", self._path, error or type(error).__name__)
                await asyncio.sleep(pause)
                pause = min(pause * 2, longest)

    def _take(self, event: Object) -> str | None:
        """Apply an event; the version it brings us to, None where the collection must be listed again."""
        kind, item = event["type"], event["object"]
        if kind == "ERROR":
            log.info("watch of %s ended: %s", self._path, item.get("message"))
            return None
        if kind != "BOOKMARK":
            key = _key(item)
            old = self.objects.pop(key, None)
            if kind != "DELETED":
                self.objects[key] = item
                self._changed(old, item)
            else:
                self._changed(item, None)
        version: str = item["metadata"]["resourceVersion"]
        return version

    def _replace(self, items: list[Object]) -> None:
        fresh = {_key(item): item for item in items}
        for key in [key for key in self.objects if key not in fresh]:
            self._changed(self.objects.pop(key), None)
        for key, item in fresh.items():
            old = self.objects.get(key)
            self.objects[key] = item
            if old is not None and old["metadata"]["uid"] != item["metadata"]["uid"]:
                self._changed(old, None)  # deleted and made again while nobody looked
                old = None
            if old is None or old["metadata"]["resourceVersion"] != item["metadata"]["resourceVersion"]:
                self._changed(old, item)


def _key(item: Object) -> tuple[str, str]:
    metadata = item["metadata"]
    return metadata.get("namespace", ""), metadata["name"]
