"""The domains in 3scale's database, on a real PostgreSQL; and its job queues, in a real Redis."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from cutover.context import Context
from cutover.errors import StepError
from cutover.postgres import PostgresSession
from cutover.threescale import queues
from cutover.threescale.domains import EditDomains
from cutover.threescale.site import Site
from cutover.throwaway import Ended, ThrowawayPod
from lab.stores.postgres import PostgresDb
from lab.stores.redis import RedisDb
from tests.transfer.transfer_world import CONVERTED, TransferWorld

pytestmark = pytest.mark.lab

OLD, NEW = "apps.source.example.com", "apps.rhoam.example.com"
_TABLES = f"""
CREATE TABLE accounts
  (id bigint, org_name text, master boolean, provider boolean, domain text, self_domain text);
INSERT INTO accounts VALUES
  (1, 'Master Account', true, true, 'master.{OLD}', 'master.{OLD}'),
  (2, 'acme', false, true, 'acme.{OLD}', 'acme-admin.{OLD}'),
  (3, 'globex', false, true, 'developers.globex.com', 'globex-admin.{OLD}'),
  (4, 'a developer', false, false, NULL, NULL);
CREATE TABLE proxies (id bigint, endpoint text, sandbox_endpoint text);
INSERT INTO proxies VALUES
  (1, 'https://api-acme-apicast-production.{OLD}:443', 'https://api-acme-apicast-staging.{OLD}:443'),
  (2, 'https://api.globex.com:443', NULL),
  (3, 'https://api.notapps.source.example.com.globex.com', 'https://x.appsXsource.example.com');
CREATE TABLE proxy_configs (id bigint, content text);
INSERT INTO proxy_configs VALUES
  (1, '{{"proxy": {{"hosts": ["api-acme.{OLD}", "localhost"], "other": "x{OLD}y"}}}}');
"""  # noqa: S608 - our own names


class FixedSite(Site):
    """A 3scale whose cluster is not asked."""

    def wildcard(self, context: Context) -> str:
        return NEW


def site() -> Site:
    return FixedSite(
        title="the production cluster",
        cluster="destination",
        namespace="redhat-rhoam-3scale",
        operator_namespace="redhat-rhoam-3scale-operator",
        api_manager="3scale",
        subscription="3scale-operator",
        components=(),
        router=None,
    )


def edit(*tenants: str) -> EditDomains:
    return EditDomains(database=CONVERTED, site=site(), tenants=tenants)


def session(server: PostgresDb) -> PostgresSession:
    return server.server().connect("system")


@pytest.fixture
def loaded(postgres: PostgresDb) -> PostgresDb:
    with session(postgres) as found:
        found.script(_TABLES)
    return postgres


def test_every_name_below_the_old_domain_moves_and_no_other(world: TransferWorld, loaded: PostgresDb) -> None:
    action = edit("acme", "globex")
    assert action.observe(world.context).state == "not done"

    found = action.apply(world.context)

    assert (found["from"], found["to"]) == (OLD, NEW)
    with session(loaded) as database:
        assert database.rows("SELECT domain, self_domain FROM accounts ORDER BY id") == [
            (f"master.{NEW}", f"master.{NEW}"),
            (f"acme.{NEW}", f"acme-admin.{NEW}"),
            ("developers.globex.com", f"globex-admin.{NEW}"),
            (None, None),
        ]
        assert database.rows("SELECT endpoint, sandbox_endpoint FROM proxies ORDER BY id") == [
            (f"https://api-acme-apicast-production.{NEW}:443", f"https://api-acme-apicast-staging.{NEW}:443"),
            ("https://api.globex.com:443", None),
            ("https://api.notapps.source.example.com.globex.com", "https://x.appsXsource.example.com"),
        ]
        content = database.value("SELECT content FROM proxy_configs")
    assert content == f'{{"proxy": {{"hosts": ["api-acme.{NEW}", "localhost"], "other": "x{OLD}y"}}}}'
    assert action.observe(world.context).state == "done"


def test_it_goes_on_where_it_was_broken_off(world: TransferWorld, loaded: PostgresDb) -> None:
    with session(loaded) as database:
        database.execute("UPDATE accounts SET domain = 'acme.' || %s WHERE id = 2", (NEW,))
    edit("acme", "globex").apply(world.context)

    again = edit("acme", "globex").apply(world.context)

    assert again["rows"] == {}
    with session(loaded) as database:
        moved = database.value("SELECT count(*) FROM accounts WHERE self_domain LIKE %s", (f"%.{NEW}",))
    assert moved == 3


def test_a_tenant_that_is_not_there_is_named(world: TransferWorld, loaded: PostgresDb) -> None:
    with pytest.raises(StepError, match="there is no tenant initech"):
        edit("initech").apply(world.context)


def test_a_database_that_was_not_loaded_is_named(world: TransferWorld, postgres: PostgresDb) -> None:
    with pytest.raises(StepError, match="accounts"):
        edit("acme").apply(world.context)


# the job queues


def run_here(monkeypatch: pytest.MonkeyPatch, folder: Path, url: str) -> None:
    """The pod's command on this machine, with the same Redis for both halves, in two databases."""

    def pod_here(context: Context, cluster: object, pod: ThrowawayPod) -> Ended:
        message = folder / "termination-log"
        command = [word.replace("/dev/termination-log", str(message)) for word in pod.command]
        environment = {"SYSTEM_URL": f"{url}/1", "BACKEND_URL": f"{url}/2", "PATH": "/usr/bin:/bin"}
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=30, check=False
        )
        return Ended(done.returncode, message.read_text(), tuple(done.stderr.splitlines()))

    monkeypatch.setattr(queues, "run_throwaway", pod_here)
    monkeypatch.setattr(Site, "on", lambda _self, _context: None)


def test_jobs_are_counted_in_both_halves(
    world: TransferWorld,
    redis_pair: tuple[RedisDb, RedisDb],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    server = redis_pair[0].server()
    login = f"{server.user}:{server.password}@" if server.password else ""
    run_here(monkeypatch, tmp_path, f"redis://{login}{server.host}:{server.port}")
    assert sum(queues.queues(world.context, site(), "redis:7.2", 30).values()) == 0
    with server.open(1) as system, server.open(2) as backend:
        for command in (
            ("SADD", "queues", "default", "low"),
            ("RPUSH", "queue:default", "a", "b"),
            ("ZADD", "retry", "1", "c"),
            ("SADD", "processes", "pod:1:x"),
            ("HSET", "pod:1:x:work", "thread", "{}"),
        ):
            system.call(*command)
        backend.call("RPUSH", "resque:queue:priority", "d", "e", "f")

    found = queues.queues(world.context, site(), "redis:7.2", 30)

    assert {name: number for name, number in found.items() if number} == {
        "system/default": 2,
        "system/retry": 1,
        "system/busy": 1,
        "backend/priority": 3,
    }


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("redis://127.0.0.1:1", "cannot be looked at: redis-cli: Could not connect"),
        ("redis://nobody:canary@127.0.0.1:1", "cannot be looked at"),
        ("mysql://127.0.0.1:1", "a Secret's URL is none of a Redis"),
    ],
)
def test_queues_that_cannot_be_looked_at_are_not_taken_for_empty(
    world: TransferWorld, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, url: str, says: str
) -> None:
    run_here(monkeypatch, tmp_path, url)

    with pytest.raises(StepError, match=says) as caught:
        queues.queues(world.context, site(), "redis:7.2", 30)

    assert "canary" not in str(caught.value)
