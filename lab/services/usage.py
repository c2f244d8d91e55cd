"""BOSS's buffer: usage is pushed to a Redis list and committed to MySQL a moment later."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from decimal import Decimal

import pymysql
import redis.asyncio as redis
from redis.exceptions import RedisError

from lab.services.ledger import Ledger, Row

log = logging.getLogger(__name__)

BUFFER = "boss:usage"
PAUSED = "boss:usage:paused"
"""While this key is there, nobody takes items out of the buffer; what was taken before is still committed."""
BATCH = 200
_TAKE = """\
if redis.call('EXISTS', KEYS[1]) == 1 then return {} end
local taken = {}
for i = 1, tonumber(ARGV[1]) do
  local item = redis.call('LMOVE', KEYS[2], KEYS[3], 'LEFT', 'RIGHT')
  if not item then break end
  taken[i] = item
end
return taken
"""
FAILURES = (pymysql.MySQLError, RedisError, OSError)


class UsageBuffer:
    """The list `boss:usage`, and the committer of one pod.

    Items pass through `boss:usage:processing:<pod>` and leave it only after their transaction has
    committed, so a pod that stops gracefully loses none and commits none twice. A pod takes nothing while it
    is paused, and nothing that its database would refuse.
    """

    def __init__(self, client: redis.Redis, ledger: Ledger, pod: str, interval: float) -> None:
        """`interval`: seconds between two commits."""
        self._client = client
        self._ledger = ledger
        self._processing = f"{BUFFER}:processing:{pod}"
        self._interval = interval
        # A container that was restarted may find its own list, committed or not.
        self._maybe_committed = True

    async def push(self, row: Row) -> None:
        """Puts an item into the buffer. Raises RedisError."""
        await self._client.rpush(BUFFER, json.dumps({"id": row.client_id, "amount": str(row.amount)}))

    async def ping(self) -> None:
        """Raises RedisError where Redis does not answer."""
        await self._client.ping()

    async def commit_until(self, ended: asyncio.Event) -> None:
        """Commits what is in the buffer, every interval, until `ended`; what fails is left for the next."""
        while not ended.is_set():
            try:
                while await self.commit_once() == BATCH:
                    continue
            except FAILURES as error:
                log.warning("usage could not be committed now and stays in Redis: %s", error)
            try:
                async with asyncio.timeout(self._interval):
                    await ended.wait()
            except TimeoutError:
                continue

    async def flush(self, seconds: float) -> bool:
        """Commits until the buffer is empty. False, with a log line, where that took too long or failed."""
        deadline = time.monotonic() + seconds
        try:
            while await self.commit_once() > 0:
                if time.monotonic() > deadline:
                    log.warning("the buffer was not empty after %s s; the rest stays in Redis", seconds)
                    return False
        except FAILURES as error:
            log.warning("the buffer could not be flushed; its items stay in Redis: %s", error)
            return False
        return True

    async def commit_once(self) -> int:
        """Commits one batch and gives its size. Raises one of `FAILURES`; nothing is lost then."""
        items = await self._take()
        if not items:
            self._maybe_committed = False
            return 0
        maybe_committed, self._maybe_committed = self._maybe_committed, True
        await self._ledger.add_usage([_row(item) for item in items], maybe_committed=maybe_committed)
        await self._client.ltrim(self._processing, len(items), -1)
        self._maybe_committed = False
        return len(items)

    async def _take(self) -> list[str]:
        """What an earlier failure left in this pod's own list, or a fresh batch moved into it."""
        left = await self._client.lrange(self._processing, 0, BATCH - 1)
        if left:
            return [str(item) for item in left]
        if not await self._client.llen(BUFFER) or not await self._ledger.writable():
            return []
        # in one: whoever has set the key knows that nothing is taken any more
        moved = await self._client.eval(_TAKE, 3, PAUSED, BUFFER, self._processing, BATCH)
        return [str(item) for item in moved]


def _row(item: str) -> Row:
    fields = json.loads(item)
    return Row(fields["id"], Decimal(fields["amount"]))
