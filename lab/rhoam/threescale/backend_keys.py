"""The keys in the backend's Redis, named as 3scale's own backend names them, and its job queue."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import redis

QUEUES = ("priority", "main", "stats")
QUEUE_SET = "resque:queues"
SOCKET_SECONDS = 5.0
FAILURES: tuple[type[Exception], ...] = (redis.RedisError, OSError)


def connect(url: str) -> redis.Redis:
    """A client for `redis://`, or `rediss://`, checked against the authorities that the image trusts."""
    return redis.Redis.from_url(
        url, decode_responses=True, socket_timeout=SOCKET_SECONDS, socket_connect_timeout=SOCKET_SECONDS
    )


def queue(name: str) -> str:
    """The list of a queue's jobs."""
    return f"resque:queue:{name}"


@dataclass(frozen=True)
class App:
    """What the backend knows of an application: its service, its id there, key, state and plan."""

    service_id: int
    app_id: str
    user_key: str
    state: str
    plan_id: int
    plan_name: str
    keys: tuple[str, ...] = ()


def save_app(client: redis.Redis, app: App) -> None:
    """Writes an application."""
    save_apps(client, [app])


def save_apps(client: redis.Redis, apps: Iterable[App]) -> None:
    """Writes applications in one go."""
    pipeline = client.pipeline(transaction=False)
    for app in apps:
        start = f"application/service_id:{app.service_id}/id:{app.app_id}"
        pipeline.set(f"{start}/state", app.state)
        pipeline.set(f"{start}/plan_id", app.plan_id)
        pipeline.set(f"{start}/plan_name", app.plan_name)
        pipeline.set(f"application/service_id:{app.service_id}/key:{app.user_key}/id", app.app_id)
        pipeline.sadd(f"service_id:{app.service_id}/applications", app.app_id)
        for key in app.keys:
            pipeline.sadd(f"{start}/keys", key)
    pipeline.execute()


def save_token(client: redis.Redis, service_id: int, token: str) -> None:
    """Writes a service's token."""
    client.hset(f"service_token/token:{token}/service_id:{service_id}", "permissions", "service_admin")


def has_token(client: redis.Redis, service_id: str, token: str) -> bool:
    """Whether the backend knows a service by this token."""
    return bool(client.exists(f"service_token/token:{token}/service_id:{service_id}"))


def app_of_key(client: redis.Redis, service_id: str, user_key: str) -> str | None:
    """The application that a key belongs to."""
    found = client.get(f"application/service_id:{service_id}/key:{user_key}/id")
    return None if found is None else str(found)


def app_state(client: redis.Redis, service_id: str, app_id: str) -> str | None:
    """An application's state; None where the backend does not know it."""
    found = client.get(f"application/service_id:{service_id}/id:{app_id}/state")
    return None if found is None else str(found)


def report_job(service_id: str, app_id: str, metric: str, count: int) -> str:
    """A job that reports usage."""
    transaction = {"service_id": service_id, "application_id": app_id, "usage": {metric: count}}
    now = datetime.now(UTC)
    return json.dumps(
        {"class": "ReportJob", "args": [service_id, {"0": transaction}, now.timestamp()]},
        separators=(",", ":"),
    )


def push(client: redis.Redis, name: str, job: str) -> None:
    """Puts a job into a queue."""
    pipeline = client.pipeline()
    pipeline.sadd(QUEUE_SET, name)
    pipeline.rpush(queue(name), job)
    pipeline.execute()


def count(client: redis.Redis, job: Mapping[str, Any]) -> None:
    """Adds what a report job says to the counters, all in one transaction."""
    _, transactions, moment = job["args"]
    at = datetime.fromtimestamp(float(moment), UTC)
    pipeline = client.pipeline()
    for transaction in transactions.values():
        service, app = transaction["service_id"], transaction["application_id"]
        for metric, value in transaction["usage"].items():
            for whose in (f"stats/{{service:{service}}}", f"stats/{{service:{service}}}/cinstance:{app}"):
                for period in _periods(at):
                    pipeline.incrby(f"{whose}/metric:{metric}/{period}", int(value))
        pipeline.sadd(f"stats/{{service:{service}}}/cinstances", app)
    pipeline.execute()


def usage_by_day(
    client: redis.Redis, service_id: int, app_id: str | None, metric: str, days: Sequence[date]
) -> list[int]:
    """What a service, or one of its applications, used on each day (UTC)."""
    start = f"stats/{{service:{service_id}}}" + (f"/cinstance:{app_id}" if app_id else "")
    if not days:
        return []
    return [
        int(value or 0)
        for value in client.mget([f"{start}/metric:{metric}/day:{day:%Y%m%d}" for day in days])
    ]


def enqueue_sidekiq(client: redis.Redis, worker: str, subject: int) -> None:
    """Puts a job into Sidekiq's queue, as Sidekiq writes it."""
    job = {
        "class": worker,
        "args": [subject],
        "queue": "default",
        "retry": True,
        "jid": secrets.token_hex(12),
    }
    pipeline = client.pipeline()
    pipeline.sadd("queues", "default")
    pipeline.lpush("queue:default", json.dumps(job, separators=(",", ":")))
    pipeline.execute()


def _periods(at: datetime) -> tuple[str, ...]:
    return (
        "eternity",
        f"year:{at:%Y}0101",
        f"month:{at:%Y%m}01",
        f"day:{at:%Y%m%d}",
        f"hour:{at:%Y%m%d%H}",
    )
