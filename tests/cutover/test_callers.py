"""Callers: found by every name and way, known or not, awaited by name, and seen again after the move."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from cutover.actions.await_callers import AwaitCallers
from cutover.actions.callers_seen import CallersSeen, expected_agents
from cutover.actions.find_callers import CALLERS, FindCallers
from cutover.callers.access import parse, read_ingress
from cutover.callers.find import Caller, find_callers
from cutover.callers.judge import holding, unknown
from cutover.callers.names import Name, mentions
from cutover.errors import InterruptedRunError, StepError
from cutover.plan import Plan
from cutover.ports import Approval
from stacks.settings import Environment
from tests.cutover.driver import drive
from tests.cutover.objects import manifest, workload
from tests.cutover.world import DOMAIN, World, request

PORTAL = Name("in-cluster", "billing-guance-intl/webportal", "billing-guance-intl/webportal")
BILL = Name("domain", DOMAIN)
INSIDE = "webportal.billing-guance-intl"
CLUSTERS = ("source", "target", "automata")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (INSIDE, INSIDE),
        (f"http://{INSIDE}.svc:80/x", f"{INSIDE}.svc"),
        (f"a: http://{INSIDE}.svc.cluster.local/", f"{INSIDE}.svc.cluster.local"),
        (f"user@{INSIDE}:80", INSIDE),
        (INSIDE.upper(), INSIDE.upper()),
        (f"{INSIDE}.example.com", ""),
        (f"old-{INSIDE}", ""),
        (f"x.{INSIDE}", ""),
        (f"{INSIDE}-2", ""),
        ("webportal", ""),
        (f"https://{DOMAIN}/records", DOMAIN),
        (f"{DOMAIN}:443", DOMAIN),
        (f"www.{DOMAIN}", ""),
        (f"{DOMAIN}.evil.com", ""),
    ],
)
def test_a_name_is_found_in_every_form_and_in_nothing_else(text: str, found: str) -> None:
    assert "".join(mention.text for mention in mentions(text, (PORTAL, BILL), "elsewhere")) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [("webportal", 1), ("webportal:80", 1), ("http://webportal/x", 1), ("the webportal is blue", 0)],
)
def test_a_bare_name_counts_in_its_own_namespace_where_it_is_a_host(text: str, found: int) -> None:
    assert len(list(mentions(text, (PORTAL,), "billing-guance-intl"))) == found


def exporter(**container: Any) -> dict[str, Any]:
    found = workload("ops-tools", "exporter")
    found["spec"]["template"]["spec"]["containers"][0] |= container
    return found


def found_in(world: World) -> list[Caller]:
    return list(find_callers(world.environment, world.context().clusters).callers)


def told(world: World) -> set[tuple[str, str, str, str]]:
    return {(c.cluster, c.namespace, c.name, c.where) for c in found_in(world) if c.namespace != "kodo"}


def test_environments_arguments_config_maps_and_secrets_are_read(world: World) -> None:
    secret = base64.b64encode(f"http://{INSIDE}:80".encode()).decode()
    world.source.store.put(
        exporter(
            env=[{"name": "BOSS_URL", "value": f"http://{INSIDE}"}],
            args=["--boss", f"{INSIDE}.svc"],
            envFrom=[{"configMapRef": {"name": "told"}}, {"secretRef": {"name": "hidden"}}],
        ),
        manifest("ConfigMap", "ops-tools", "told", data={"boss": f"host={INSIDE}"}),
        manifest("Secret", "ops-tools", "hidden", data={"url": secret, "binary": "//79"}),
    )

    assert told(world) == {
        ("source", "ops-tools", "exporter", "Deployment exporter, environment BOSS_URL"),
        ("source", "ops-tools", "exporter", "Deployment exporter, arguments"),
        ("source", "ops-tools", "exporter", "ConfigMap told, boss"),
        ("source", "ops-tools", "exporter", "Secret hidden, url"),
    }


def test_what_is_told_in_a_volume_counts_and_what_nobody_reads_is_a_route(world: World) -> None:
    volume = {"name": "v", "configMap": {"name": "told"}}
    world.source.store.put(
        workload("ops-tools", "exporter", volumes=[volume]),
        manifest("ConfigMap", "ops-tools", "told", data={"app.ini": f"[boss]\nurl = http://{INSIDE}/\n"}),
        manifest("ConfigMap", "ops-tools", "forgotten", data={"boss": INSIDE}),
    )

    found = find_callers(world.environment, world.context().clusters)

    assert told(world) == {("source", "ops-tools", "exporter", "ConfigMap told, app.ini")}
    assert (
        f"source: ConfigMap forgotten, boss in ops-tools says {INSIDE}, and no workload reads it"
        in found.routes
    )


def test_who_moves_along_is_no_caller_and_on_the_target_a_cluster_s_name_is_its_own(world: World) -> None:
    entry = [{"name": "BOSS_URL", "value": f"http://{INSIDE}"}]
    inside = workload("billing-guance-intl", "worker")
    inside["spec"]["template"]["spec"]["containers"][0]["env"] = entry
    world.source.store.put(inside)
    world.target.store.put(exporter(env=entry))
    assert told(world) == set()

    neighbour = workload("middleware", "dashboard")
    neighbour["spec"]["template"]["spec"]["containers"][0]["env"] = entry
    world.source.store.put(neighbour)
    assert {item[2] for item in told(world)} == {"dashboard"}, "of its namespace only redis-basis moves"


def test_other_names_for_it_are_followed(world: World) -> None:
    automata = world.others["automata"].store
    automata.put(
        manifest("Service", "shared", "boss", spec={"externalName": f"{INSIDE}.svc.cluster.local"}),
        workload("automata", "automata"),
        manifest(
            "Ingress",
            "shared",
            "in",
            spec={"rules": [{"http": {"paths": [{"backend": {"service": {"name": "boss"}}}]}}]},
        ),
    )
    container = automata.objects["deployments", "automata", "automata"]["spec"]["template"]["spec"][
        "containers"
    ][0]
    container["env"] = [{"name": "BOSS", "value": "http://boss.shared/records"}]

    found = find_callers(world.environment, world.context().clusters)

    caller = next(caller for caller in found.callers if caller.cluster == "automata")
    assert (caller.way, caller.leads_to, caller.says) == ("in-cluster", PORTAL.leads_to, "boss.shared")
    assert found.routes == (
        f"automata: Service shared/boss is another name for {INSIDE}.svc.cluster.local",
        "automata: Ingress shared/in sends to shared/boss",
    )


def test_endpoints_written_by_hand_are_followed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = {"selector": {"app": "boss"}, "ports": [{"port": 80, "nodePort": 30080}]}
    world.source.store.put(manifest("Service", "billing-guance-intl", "webportal", spec=spec))
    node = {
        "metadata": {"name": "n"},
        "status": {"addresses": [{"type": "InternalIP", "address": "198.51.100.10"}]},
    }
    automata = world.others["automata"]
    automata.store.put(
        manifest("Service", "far", "billing", spec={"ports": [{"port": 80}]}),
        exporter(env=[{"name": "BOSS", "value": "http://billing.far"}]),
    )
    piece = {
        "metadata": {"namespace": "far", "name": "x", "labels": {"kubernetes.io/service-name": "billing"}},
        "endpoints": [{"addresses": ["198.51.100.10"]}],
        "ports": [{"port": 30080}],
    }
    listed = type(automata).list
    monkeypatch.setattr(
        type(automata),
        "list",
        lambda self, kind, namespace: (
            [node]
            if kind.plural == "nodes"
            else [piece]
            if kind.plural == "endpointslices" and self is automata
            else listed(self, kind, namespace)
        ),
    )

    assert [(caller.says, caller.leads_to) for caller in found_in(world) if caller.cluster == "automata"] == [
        ("billing.far", PORTAL.leads_to)
    ]


def test_known_accepted_and_unknown_callers_are_told_apart(environment: Environment) -> None:
    def caller(cluster: str, namespace: str, name: str, way: Any = "in-cluster") -> Caller:
        return Caller(cluster, namespace, "Deployment", name, way, "x", "x", "x")

    automata = caller("automata", "automata", "automata")
    kodo = caller("truewatch-1", "kodo", "kodo-billing-report", "domain")
    inner = caller("truewatch-2", "forethought-inner-app", "inner-app", "domain")
    stranger = caller("source", "ops-tools", "exporter")

    assert unknown([automata, kodo, inner, stranger], environment) == [stranger]
    assert holding([automata, kodo, inner, stranger], environment) == [automata, stranger]
    data = environment.model_dump(mode="json")
    data["accepted_callers"] = [
        {
            "cluster": "source",
            "namespace": "ops-tools",
            "name": "exporter",
            "by": "Ada",
            "reason": "ends next week",
        }
    ]
    accepting = Environment.model_validate(data)
    assert unknown([automata, stranger], accepting) == []
    assert holding([automata, stranger], accepting) == [automata]


def test_finding_them_is_recorded_with_findings_by_name(world: World) -> None:
    said: list[str] = []
    context = world.context()
    context.say = said.append
    world.source.store.put(exporter(env=[{"name": "BOSS_URL", "value": f"http://{INSIDE}"}]))

    evidence = FindCallers(CLUSTERS).apply(context)

    fact = context.facts.recall(CALLERS)
    assert {(item["cluster"], item["name"]) for item in fact["callers"]} == {
        ("source", "exporter"),
        ("truewatch-1", "kodo-billing-report"),
    }
    assert fact["looked_at"].keys() == set(context.clusters)
    assert [client["agent"] for client in fact["seen"]["clients"]] == ["browser"]
    assert len(evidence["findings"]) == 1
    assert "Deployment ops-tools/exporter on source" in evidence["findings"][0]
    assert any(line.startswith("FINDING: Deployment ops-tools/exporter") for line in said)


def test_a_secret_s_value_is_never_recorded(world: World) -> None:
    secret = base64.b64encode(f"http://canary:canary-password@{INSIDE}".encode()).decode()
    world.source.store.put(
        exporter(envFrom=[{"secretRef": {"name": "hidden"}}]),
        manifest("Secret", "ops-tools", "hidden", data={"url": secret}),
    )
    context = world.context()

    FindCallers(CLUSTERS).apply(context)

    recorded = str(context.facts.recall(CALLERS))
    assert "Secret hidden, url" in recorded
    assert "canary" not in recorded


def waiting(world: World, approvals: list[Approval | None]) -> tuple[AwaitCallers, Any, list[str]]:
    context = world.context()
    asked: list[str] = []
    context.step = "await-callers"
    context.facts.values[CALLERS] = {"callers": []}

    def approval(step: str, text: str) -> Approval | None:
        asked.append(text)
        return approvals.pop(0) if approvals else None

    context.approval = approval
    return AwaitCallers(CLUSTERS), context, asked


def test_quiesce_waits_for_a_caller_by_name_until_it_is_redirected(world: World) -> None:
    world.source.store.put(exporter(env=[{"name": "BOSS_URL", "value": f"http://{INSIDE}"}]))
    action, context, asked = waiting(world, [])
    slept = world.clock.sleep

    def redirect(seconds: float) -> None:
        slept(seconds)
        if world.clock.seconds > 20:
            world.source.store.put(exporter(env=[{"name": "BOSS_URL", "value": f"https://{DOMAIN}"}]))

    context.clock.sleep = redirect

    assert action.preview(context)[0].startswith("waits for Deployment ops-tools/exporter on source")
    assert action.apply(context) == {"accepted": [], "left": 0}
    assert "Deployment ops-tools/exporter on source (Deployment exporter, environment BOSS_URL" in asked[0]


def test_quiesce_goes_on_where_the_callers_are_accepted_by_name(world: World) -> None:
    world.source.store.put(exporter(env=[{"name": "BOSS_URL", "value": f"http://{INSIDE}"}]))
    action, context, _ = waiting(
        world, [None, Approval("await-callers", "Ada", "ends next week", "now", "x")]
    )

    evidence = action.apply(context)

    assert evidence["accepted_by"] == "Ada"
    assert "ops-tools/exporter" in evidence["accepted"][0]


def test_a_look_that_fails_is_repeated_and_many_are_an_error(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    action, context, _ = waiting(world, [])
    listed, failing = type(world.source).list, [3]

    def fails(self: Any, kind: Any, namespace: str | None) -> Any:
        if failing[0] > 0:
            failing[0] -= 1
            raise StepError("cluster huawei does not answer")
        return listed(self, kind, namespace)

    monkeypatch.setattr(type(world.source), "list", fails)

    with pytest.raises(StepError, match="does not answer"):
        action.apply(context)
    failing[0] = 2
    assert action.apply(context)["left"] == 0


def test_quiesce_stops_at_a_safe_point(world: World) -> None:
    world.source.store.put(exporter(env=[{"name": "BOSS_URL", "value": f"http://{INSIDE}"}]))
    action, context, _ = waiting(world, [])
    context.stopping = lambda: True

    with pytest.raises(InterruptedRunError, match="safe point"):
        action.apply(context)


def test_a_pod_that_still_holds_what_it_read_before_is_waited_for(world: World) -> None:
    def config(host: str, changed: str) -> dict[str, Any]:
        item = manifest("ConfigMap", "ops-tools", "told", data={"boss": host})
        item["metadata"]["managedFields"] = [{"time": changed}]
        return item

    def pod(created: str) -> dict[str, Any]:
        item = manifest(
            "Pod", "ops-tools", "exporter-1", labels={"app": "exporter"}, status={"phase": "Running"}
        )
        item["metadata"] |= {"creationTimestamp": created, "ownerReferences": [{"kind": "ReplicaSet"}]}
        return item

    reads = exporter(envFrom=[{"configMapRef": {"name": "told"}}])
    world.source.store.put(reads, config(INSIDE, "2026-01-01T00:00:00Z"), pod("2026-01-01T00:00:05Z"))
    action, context, _ = waiting(world, [])
    FindCallers(CLUSTERS).apply(context)

    world.source.store.put(config(DOMAIN, "2026-01-01T01:00:00Z"))
    assert action.preview(context) == (
        "waits for Deployment ops-tools/exporter on source: exporter-1 began before ConfigMap told changed "
        "at 2026-01-01T01:00:00Z: restart Deployment ops-tools/exporter",
    )
    world.source.store.put(pod("2026-01-01T01:00:30Z"))
    assert action.preview(context) == ("waits for nobody",)


def test_who_is_heard_in_an_access_log_and_told_by_nothing_is_waited_for(world: World) -> None:
    now = world.clock.now().timestamp()
    boss = manifest("Pod", "billing-guance-intl", "boss-1", labels={"app": "boss"})
    world.source.store.put(
        {
            **boss,
            "spec": {"containers": [{"name": "boss"}]},
            "status": {"phase": "Running", "podIP": "192.0.2.9"},
        }
    )
    world.source.printed["boss-1"] = [
        "starting",
        request(DOMAIN, "192.0.2.3", "browser/1", now),
        request(f"{INSIDE}.svc", "192.0.2.44", "hard-wired/2", now - 60),
        request(INSIDE, "192.0.2.9", "own/1", now),
    ]
    action, context, _ = waiting(world, [])
    assert action.preview(context) == ("waits for nobody",)

    world.source.printed["boss-1"].append(request(f"{INSIDE}.svc", "192.0.2.44", "hard-wired/2", now))
    assert action.preview(context) == (
        f"waits for somebody who says 'hard-wired', at 192.0.2.44, asked for {INSIDE}.svc just now",
    )


def test_the_whole_plan_names_the_caller_and_goes_on_once_it_is_accepted(
    world: World, plan: Plan, tmp_path: Path
) -> None:
    world.source.store.put(exporter(env=[{"name": "BOSS_URL", "value": f"http://{INSIDE}"}]))
    world.refuses = {"await-callers"}

    result = drive(world, plan, tmp_path / "journal")

    assert (result.outcome, result.step) == ("halted", "await-callers")
    assert "waiting for callers" not in result.reason or "exporter" in result.reason
    assert world.source.replicas["billing-guance-intl/boss"] == 2, "nothing was scaled down"
    world.refuses = set()
    assert drive(world, plan, tmp_path / "journal").outcome == "succeeded"


def test_both_forms_of_access_logs_are_read() -> None:
    json_line = request(f"{DOMAIN}:443", "198.18.0.1", "kodo/1.0 (linux)", 12.5)
    nginx_line = (
        '198.18.0.1 - - [21/Nov/2026:14:00:00 +0000] "GET /x HTTP/1.1" 200 12 "-" "kodo/1.0" 321 0.004 '
        "[billing-guance-intl-webportal-80] [] 192.0.2.4:8080 12 0.004 200 abc"
    )
    upstreams = {"billing-guance-intl-webportal": DOMAIN}

    for line, moment in ((json_line, 12.5), (nginx_line, 1795269600)):
        found = parse(line, upstreams)
        assert found is not None
        assert (found.client.host, found.client.address, found.client.agent) == (DOMAIN, "198.18.0.1", "kodo")
        assert found.moment == moment
        assert (found.status, found.seconds) == ((200, 0.004) if moment > 12.5 else (0, None))
    for line in (
        "",
        "started",
        "[1, 2]",
        '{"host": "x"',
        '{"level": "info"}',
        nginx_line.replace("-80]", "]"),
    ):
        assert parse(line, upstreams) is None, line
    dated = parse('{"host": "x", "remote_addr": "1", "time": "2026-01-01T00:00:00+00:00"}', {})
    assert dated is not None
    assert dated.moment == 1767225600


def test_an_ingress_without_pods_is_named(environment: Environment, world: World) -> None:
    ingress = environment.source_ingress
    assert ingress is not None
    world.source.store.objects.clear()

    with pytest.raises(StepError, match="cluster huawei has no pod of an ingress in ingress-nginx"):
        read_ingress(environment, world.source, ingress)


def test_callers_are_seen_after_the_move_or_named(world: World) -> None:
    context = world.context()
    FindCallers(CLUSTERS).apply(context)
    context.facts.values[CALLERS]["callers"].append(
        {"cluster": "automata", "namespace": "automata", "kind": "Deployment", "name": "automata"}
    )
    assert expected_agents(context.facts.recall(CALLERS)).keys() == {
        "browser",
        "kodo-billing-report",
        "automata",
    }
    world.target.printed["ingress"] = [
        request(DOMAIN, "198.18.0.1", agent) for agent in ("browser/8", "kodo/1")
    ]

    evidence = CallersSeen(seconds=5).apply(context)

    assert evidence["not_seen"] == [
        "automata (Deployment automata/automata): not in its access log within 5 s"
    ]
    assert {item["caller"]: item["after"] for item in evidence["callers"]} == {
        "automata": 0,
        "browser": 1,
        "kodo-billing-report": 1,
    }
    world.target.printed["ingress"].append(request(DOMAIN, "198.18.0.2", "automata/1.0"))
    assert CallersSeen(seconds=5).apply(context)["not_seen"] == []
