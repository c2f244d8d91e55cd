"""What the page says of both sides, in a world in memory."""

from cutover.errors import StepError
from cutover.watch.probes import KEPT, Probes
from tests.cutover.world import BOSS, DOMAIN, SOURCE_ADDRESS, TARGET_ADDRESS, World


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
    assert probes.found() == {"error": "no kubeconfig", "rows": []}
    refuses = False
    probes.look()
    assert (probes.found()["error"], len(probes.found()["rows"]) > 0) == ("", True)
