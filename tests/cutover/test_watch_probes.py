"""What the page says of both sides, in a world in memory."""

from pathlib import Path

from cutover.errors import StepError
from cutover.measure.series import SeriesFile, read_series
from cutover.watch.probes import KEPT, SHOWN, Probes
from tests.cutover.world import BOSS, DOMAIN, SOURCE_ADDRESS, TARGET_ADDRESS, World, request


def test_both_sides_are_asked_and_dns_is(world: World) -> None:
    probes = Probes(world.context)
    probes.look()
    rows = {(row["domain"], row["side"]): row for row in probes.found()["rows"]}

    assert rows[DOMAIN, "source"]["says"] == "200"
    assert rows[DOMAIN, "target"]["says"] == "503"
    assert rows[DOMAIN, "source"]["dns"] == f"{SOURCE_ADDRESS} (TTL 300 s)"

    world.target.replicas[BOSS] = 2
    world.record = TARGET_ADDRESS
    probes.look()
    rows = {(row["domain"], row["side"]): row for row in probes.found()["rows"]}
    target = rows[DOMAIN, "target"]
    assert (target["says"], target["failed"], target["of"], target["p50"]) == ("200", 1, 2, 10.0)
    assert target["dns"].startswith(TARGET_ADDRESS)


def test_only_the_last_answers_are_judged(world: World) -> None:
    probes = Probes(world.context)
    for _ in range(KEPT + 5):
        probes.look()
    assert {row["of"] for row in probes.found()["rows"]} == {KEPT}


def test_what_cannot_be_asked_is_said_and_asked_again(world: World) -> None:
    refuses = True

    def connect(stopping: object) -> object:
        if refuses:
            raise StepError("no kubeconfig")
        return world.context()

    probes = Probes(connect)  # type: ignore[arg-type]
    probes.look()
    assert (probes.found()["error"], probes.found()["rows"]) == ("no kubeconfig", [])
    refuses = False
    probes.look()
    assert (probes.found()["error"], len(probes.found()["rows"]) > 0) == ("", True)


def test_users_requests_and_the_lag_are_measured_and_kept(world: World, tmp_path: Path) -> None:
    now = world.clock.now().timestamp()
    world.source.printed["ingress"] = [request(DOMAIN, "198.18.0.1", "browser/7", now - 1)] * 40
    world.target.printed["ingress"] = []
    file = SeriesFile(tmp_path / "series.jsonl")
    probes = Probes(world.context, file)
    probes.look()
    found = probes.found()
    assert found["traffic"]["source"]["rate"] == 4.0
    assert found["traffic"]["target"]["rate"] == 0.0
    assert (found["lag"]["state"], found["lag"]["seconds"]) == ("absent", None)

    world.move.forward = "running"
    probes.look()
    assert (probes.found()["lag"]["direction"], probes.found()["lag"]["seconds"]) == ("forward", 0.25)
    world.move.serves, world.move.reverse = "target", "failed"
    probes.look()
    assert (probes.found()["lag"]["direction"], probes.found()["lag"]["state"]) == ("reverse", "failed")

    file.write(probes.sample(now))
    (kept,) = read_series(tmp_path / "series.jsonl", now - 1, now + 1)
    assert kept.source is not None
    assert (kept.source.rate, kept.lag_seconds) == (4.0, None)
    again = Probes(world.context, SeriesFile(tmp_path / "series.jsonl"))
    assert len(again.found()["history"]) == 1 < SHOWN


def test_one_side_that_cannot_be_asked_does_not_hide_the_other(world: World) -> None:
    world.target.store.objects = {
        key: value for key, value in world.target.store.objects.items() if key[1] != "ingress-nginx"
    }
    world.move.fails["lag"] = StepError("no route to 203.0.113.30")
    probes = Probes(world.context)
    probes.look()
    found = probes.found()
    assert "has no pod of an ingress" in found["traffic"]["target"]["error"]
    assert "rate" in found["traffic"]["source"]
    assert found["lag"] == {"error": "no route to 203.0.113.30"}
