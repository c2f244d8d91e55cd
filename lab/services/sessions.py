"""Sessions of users, kept in Redis alone: whoever loses Redis's keys has logged everybody out."""

from __future__ import annotations

import secrets

import redis.asyncio as redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

REDIS_SECONDS = 5
REDIS_CONNECTIONS = 32


def redis_client(host: str, port: int) -> redis.Redis:
    """A client that never sends a command twice. A burst waits for a connection; it is not refused."""
    pool = redis.BlockingConnectionPool(
        max_connections=REDIS_CONNECTIONS,
        timeout=REDIS_SECONDS,
        host=host,
        port=port,
        decode_responses=True,
        socket_connect_timeout=REDIS_SECONDS,
        socket_timeout=REDIS_SECONDS,
        retry=Retry(NoBackoff(), 0),  # a push that timed out may have been carried out
    )
    return redis.Redis.from_pool(pool)


class Sessions:
    """The sessions of one service. Methods raise RedisError."""

    def __init__(self, client: redis.Redis, prefix: str, seconds: int) -> None:
        """`prefix` of the keys; `seconds`: how long a session lasts from its start."""
        self._client = client
        self._prefix = prefix
        self._seconds = seconds

    async def begin(self, user: str) -> str:
        """The token of a new session."""
        token = secrets.token_urlsafe(24)
        await self._client.set(self._prefix + token, user, ex=self._seconds)
        return token

    async def find(self, token: str) -> str | None:
        """The user of a session; None where there is no such session, or no more."""
        user = await self._client.get(self._prefix + token)
        return None if user is None else str(user)
