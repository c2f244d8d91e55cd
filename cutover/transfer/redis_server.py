"""A Redis that is reached over the network, and its databases as stores of keys."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cutover.errors import StepError
from cutover.masking import keep_secret
from cutover.ports import KeyValue

if TYPE_CHECKING:
    import redis

ANSWER_SECONDS = 30.0
_CONNECT_SECONDS = 5.0
_BATCH = 500


@dataclass(frozen=True)
class RedisServer:
    """Where a Redis answers, and as whom to sign in."""

    name: str
    host: str
    port: int
    user: str = ""
    password: str = field(default="", repr=False)
    tls: bool = False
    ca: str | None = None
    """A PEM file with the authorities of its certificate; None: the system's."""
    socket: str = ""
    """The socket of one on this machine, instead of host and port."""

    def __post_init__(self) -> None:
        keep_secret(self.password)

    def __str__(self) -> str:
        return f"{self.name} ({self.socket or f'{self.host}:{self.port}'})"

    def arguments(self) -> list[str]:
        """What redis-cli is given; the password goes by `environment`."""
        if self.socket:
            return ["-s", self.socket]
        return [
            *("-h", self.host, "-p", str(self.port)),
            *(("--user", self.user) if self.user else ()),
            *(("--tls",) if self.tls else ()),
            *(("--cacert", self.ca) if self.tls and self.ca else ()),
        ]

    def environment(self) -> dict[str, str]:
        """What redis-cli reads from its environment."""
        return {"REDISCLI_AUTH": self.password} if self.password else {}

    @contextmanager
    def open(self, database: int = 0) -> Iterator[RedisDatabase]:
        """One of its databases. Raises StepError, from its methods too."""
        # A client that takes a while to load, and that listing a plan does not need.
        import redis  # noqa: PLC0415

        if self.socket:
            client = redis.Redis(unix_socket_path=self.socket, db=database, socket_timeout=ANSWER_SECONDS)
        else:
            client = redis.Redis(
                host=self.host,
                port=self.port,
                db=database,
                username=self.user or None,
                password=self.password or None,
                ssl=self.tls,
                ssl_ca_certs=self.ca if self.tls else None,
                socket_timeout=ANSWER_SECONDS,
                socket_connect_timeout=_CONNECT_SECONDS,
            )
        try:
            yield RedisDatabase(self, database, client)
        finally:
            client.close()

    def used(self) -> dict[int, int]:
        """How many keys each database that is not empty holds. Raises StepError."""
        return {number: held.keys for number, held in self.held().items()}

    def held(self) -> dict[int, Held]:
        """The same, with how many of them have an end. Raises StepError."""
        with self.open() as store:
            info = store.call("INFO", "keyspace")
        return {
            int(name[2:]): Held(int(found["keys"]), int(found["expires"]))
            for name, found in info.items()
            if name.startswith("db")
        }


@dataclass(frozen=True)
class Held:
    """What a database of a Redis holds."""

    keys: int
    """Those too that are past their end and not cleared away yet."""
    ending: int
    """Of those, so many have an end."""

    @property
    def lasting(self) -> int:
        """Those without an end, which go only if somebody deletes them."""
        return self.keys - self.ending


class RedisDatabase:
    """One numbered database of a Redis. Methods raise StepError."""

    def __init__(self, server: RedisServer, number: int, client: redis.Redis) -> None:
        self.server = server
        self.number = number
        self._client = client

    def call(self, *words: str | bytes | int) -> Any:
        """One command."""
        return self._checked(lambda: self._client.execute_command(*words))  # type: ignore[no-untyped-call]

    def size(self) -> int:
        """How many keys there are."""
        return int(self.call("DBSIZE"))

    def names(self) -> Sequence[bytes]:
        """All keys."""
        return list(dict.fromkeys(self._scan()))

    def _scan(self) -> Iterator[bytes]:
        cursor: Any = 0
        while True:
            cursor, keys = self.call("SCAN", cursor, "COUNT", 1000)
            yield from keys
            if int(cursor) == 0:
                return

    def read(self, keys: Iterable[bytes]) -> Sequence[KeyValue]:
        """The values of those keys that are there."""
        found: list[KeyValue] = []
        for batch in _batches(list(keys)):
            answers = self.many([word for key in batch for word in (("DUMP", key), ("PTTL", key))])
            found += [
                KeyValue(key, int(ttl), dump)
                for key, dump, ttl in zip(batch, answers[::2], answers[1::2], strict=True)
                if dump is not None
            ]
        return found

    def write(self, values: Iterable[KeyValue]) -> int:
        """Writes values over whatever is there; returns how many."""
        count = 0
        for batch in _batches(list(values)):
            self.many([("RESTORE", v.key, max(v.ttl_ms, 0), v.dump, "REPLACE") for v in batch])
            count += len(batch)
        return count

    def types(self, keys: Sequence[bytes]) -> dict[bytes, str]:
        """The type of each key; `none` where it is absent."""
        found: dict[bytes, str] = {}
        for batch in _batches(list(keys)):
            answers = self.many([("TYPE", key) for key in batch])
            found |= {key: answer.decode() for key, answer in zip(batch, answers, strict=True)}
        return found

    def many(self, commands: Sequence[tuple[str | bytes | int, ...]]) -> list[Any]:
        """Several commands in one go."""

        def work() -> list[Any]:
            pipeline = self._client.pipeline(transaction=False)
            for command in commands:
                pipeline.execute_command(*command)  # type: ignore[no-untyped-call]
            return pipeline.execute()

        return list(self._checked(work))

    def _checked(self, work: Any) -> Any:
        import redis  # noqa: PLC0415

        try:
            return work()
        except (redis.RedisError, OSError) as error:
            # An error of Redis shows a command's first words at most; values are binary and not repeated.
            raise StepError(f"Redis {self.server}: {type(error).__name__}: {str(error)[:200]}") from error


def _batches(items: Sequence[Any]) -> Iterator[list[Any]]:
    for at in range(0, len(items), _BATCH):
        yield list(items[at : at + _BATCH])
