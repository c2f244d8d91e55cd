"""The stacks that a cutover flips, for each value of each flip key."""

from pathlib import Path
from typing import Any

import pulumi
import pytest

from stacks import builder_for
from stacks.references import landing_zone_outputs
from stacks.settings import CallerFlips, EdgeFlips, Flips, SourceFlips, TargetFlips
from tests.unit.recording import IMPORT_WARNINGS, RECORD_ID, ZONE_ID, KeyPath, Recording, project_copy, record

pytestmark = pytest.mark.filterwarnings(IMPORT_WARNINGS)

LANDING_ZONE = {
    "organization/landfall/prod": {
        "ingress_addresses": ["203.0.113.70", "203.0.113.71"],
        "database_address": "boss.rds.example",
    }
}
DOMAIN, OTHER_DOMAIN = "bill.truewatch.com", "corestone.truewatch.com"
BOSS = "billing-guance-intl/boss"
WEBPORTAL = "billing-guance-intl/webportal"
GATE = "billing-guance-intl/landfall-gate"
FORWARDER = "billing-guance-intl/landfall-forwarder"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project folder whose owners' facts are filled in."""
    return project_copy(tmp_path)


def flipped(project: Path, stack: str, flips: Flips) -> Recording:
    """What the stack registers with these flip keys."""
    return record(builder_for(stack, project, flips), stack, stack_outputs=LANDING_ZONE)


def assert_is_a_patch(resource: Any) -> None:
    """Destroying it changes no live object, and it states its values over other field managers'."""
    assert resource.type.endswith("Patch")
    assert resource.retain_on_delete
    annotations = resource.inputs["metadata"]["annotations"]
    assert annotations["pulumi.com/patchForce"] == "true"
    assert annotations["pulumi.com/patchFieldManager"] == "landfall"
    assert "pulumi:providers:kubernetes" in resource.provider


@pytest.mark.parametrize("side", ["source", "target"])
@pytest.mark.parametrize("ttl", ["original", "lowered"])
def test_edge_points_the_adopted_record_at_a_side(project: Path, side: Any, ttl: Any) -> None:
    recording = flipped(project, "prod-edge", EdgeFlips(records={DOMAIN: side}, ttl=ttl))
    records = recording.of("DnsRecord")
    assert set(records) == {DOMAIN, OTHER_DOMAIN}
    found = records[DOMAIN]
    assert found.import_id == f"{ZONE_ID}/{RECORD_ID}"
    assert found.retain_on_delete
    assert found.inputs == {
        "name": DOMAIN,
        "zoneId": ZONE_ID,
        "type": "A",
        "content": {"source": "203.0.113.10", "target": "203.0.113.70"}[side],
        "ttl": {"original": 300, "lowered": 60}[ttl],
        "proxied": False,
    }
    assert records[OTHER_DOMAIN].inputs["content"] == "203.0.113.10", "what is not flipped stays"
    assert recording.outputs["flipped"] == {"records": {DOMAIN: side, OTHER_DOMAIN: "source"}, "ttl": ttl}


@pytest.mark.parametrize(
    ("kind", "source", "target"),
    [("AAAA", "2001:db8::1", "2001:db8::2"), ("CNAME", "huawei.example.com", "aws.example.com")],
)
def test_edge_flips_the_content_of_other_records_and_never_their_type(
    tmp_path: Path, kind: str, source: str, target: str
) -> None:
    changes: dict[KeyPath, object] = {
        ("domains", 0, "type"): kind,
        ("domains", 0, "source"): source,
        ("domains", 0, "target"): target,
    }
    project = project_copy(tmp_path, changes)
    for side, content in (("source", source), ("target", target)):
        flips = EdgeFlips.model_validate({"records": {DOMAIN: side}})
        found = flipped(project, "prod-edge", flips).of("DnsRecord")[DOMAIN].inputs
        assert (found["type"], found["content"]) == (kind, content)


def test_edge_points_all_domains_at_the_target_and_reads_its_address_once(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []

    def outputs(name: str) -> pulumi.StackReference:
        read.append(name)  # a second reference of that name would be refused by the engine
        return landing_zone_outputs(name)

    monkeypatch.setattr("stacks.edge.landing_zone_outputs", outputs)
    flips = EdgeFlips(records={DOMAIN: "target", OTHER_DOMAIN: "target"})
    recording = flipped(project, "prod-edge", flips)
    assert {item.inputs["content"] for item in recording.of("DnsRecord").values()} == {"203.0.113.70"}
    assert read == ["prod"]


def test_edge_creates_a_record_without_an_id_and_protects_it(tmp_path: Path) -> None:
    project = project_copy(tmp_path, {("domains", 0, "record_id"): None, ("domains", 0, "proxied"): True})
    found = flipped(project, "prod-edge", EdgeFlips(ttl="lowered")).of("DnsRecord")[DOMAIN]
    assert found.import_id == ""
    assert found.protect
    assert not found.retain_on_delete
    assert found.inputs["ttl"] == 1, "a proxied record's TTL is Cloudflare's own"


def test_one_line_of_settings_adds_a_domain(project: Path) -> None:
    before = flipped(project, "prod-edge", EdgeFlips())
    path = project / "Pulumi.prod.yaml"
    line = (
        "    - {name: pay.truewatch.com, zone: truewatch.com, source: 203.0.113.10, "
        "service: billing-guance-intl/webportal}\n"
    )
    text = path.read_text()
    path.write_text(text.replace("    domains:\n", f"    domains:\n{line}"))
    after = flipped(project, "prod-edge", EdgeFlips())
    added = after.of("DnsRecord").keys() - before.of("DnsRecord").keys()
    assert added == {"pay.truewatch.com"}
    record_ = after.of("DnsRecord")["pay.truewatch.com"]
    assert record_.inputs["content"] == "203.0.113.10"
    assert record_.inputs["ttl"] == 300
    names = flipped(project, "prod-source", SourceFlips(stragglers="standby")).of("core/v1:ConfigMap")
    assert "server_name pay.truewatch.com" in names[FORWARDER].inputs["data"]["nginx.conf"]


@pytest.mark.parametrize(
    ("stack", "flips"),
    [
        ("prod-source", SourceFlips()),
        ("prod-target", TargetFlips()),
        ("prod-automata", CallerFlips()),
    ],
)
def test_without_flip_keys_nothing_is_declared(project: Path, stack: str, flips: Flips) -> None:
    recording = flipped(project, stack, flips)
    kinds = {resource.type.split(":")[0] for resource in recording.resources}
    assert kinds <= {"landfall", "pulumi"}


@pytest.mark.parametrize("stack", ["prod-source", "prod-target"])
def test_replicas_are_patched(project: Path, stack: str) -> None:
    counts = {BOSS: 0, "middleware/redis-basis": 1}
    flips = SourceFlips(replicas=counts) if stack == "prod-source" else TargetFlips(replicas=counts)
    recording = flipped(project, stack, flips)
    patches = recording.of("apps/v1:DeploymentPatch")
    assert {name: patch.inputs["spec"] for name, patch in patches.items()} == {
        name: {"replicas": count} for name, count in counts.items()
    }
    assert patches[BOSS].inputs["metadata"]["namespace"] == "billing-guance-intl"
    assert patches[BOSS].inputs["metadata"]["name"] == "boss"
    for patch in patches.values():
        assert_is_a_patch(patch)
    assert recording.outputs["flipped"]["replicas"] == counts


@pytest.mark.parametrize(
    ("value", "forwarders", "protected", "selector"),
    [
        ("absent", 0, False, {"app": "boss"}),
        ("standby", 1, False, {"app": "boss"}),
        ("forward", 1, True, {"app": "landfall-forwarder"}),
    ],
)
def test_source_stragglers(
    project: Path, value: Any, forwarders: int, protected: bool, selector: dict[str, str]
) -> None:
    recording = flipped(project, "prod-source", SourceFlips(stragglers=value))
    service = recording.of("core/v1:ServicePatch")[WEBPORTAL]
    assert_is_a_patch(service)
    assert service.inputs["spec"] == {"selector": selector}
    deployments = recording.of("apps/v1:Deployment")
    assert len(deployments) == 2 * forwarders, "one in each domain's namespace"
    assert len(recording.of("core/v1:ConfigMap")) == 2 * forwarders
    for found in (*deployments.values(), *recording.of("core/v1:ConfigMap").values()):
        assert found.protect is protected
        assert not found.retain_on_delete, "the forwarder is landfall's own, and goes with its stack"
    assert recording.outputs["flipped"]["stragglers"] == value


def test_the_service_selects_the_forwarders_pods_and_waits_for_them(project: Path) -> None:
    recording = flipped(project, "prod-source", SourceFlips(stragglers="forward"))
    template = recording.of("apps/v1:Deployment")[FORWARDER].inputs["spec"]["template"]
    service = recording.of("core/v1:ServicePatch")[WEBPORTAL]
    assert service.inputs["spec"]["selector"].items() <= template["metadata"]["labels"].items()
    assert any("Deployment::" in urn for urn in service.dependencies)


def test_the_forwarder_runs_unprivileged(project: Path) -> None:
    recording = flipped(project, "prod-source", SourceFlips(stragglers="standby"))
    pod = recording.of("apps/v1:Deployment")[FORWARDER].inputs["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["automountServiceAccountToken"] is False
    (container,) = pod["containers"]
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["ports"] == [{"containerPort": 8080}]
    assert container["readinessProbe"]["httpGet"]["path"] == "/ready"


@pytest.mark.parametrize(
    ("value", "host"),
    [("internal", "rds.boss.huawei.internal"), ("eip", "203.0.113.30"), ("target", "boss.rds.example")],
)
def test_target_states_the_databases_host(project: Path, value: Any, host: str) -> None:
    recording = flipped(project, "prod-target", TargetFlips(database=value))
    patches = recording.of("core/v1:ConfigMapPatch")
    for patch in patches.values():
        assert_is_a_patch(patch)
    assert {name: patch.inputs["data"] for name, patch in patches.items()} == {
        "billing-guance-intl/boss-config": {"DATABASE_HOST": host},
        "guance-basis/corestone-config": {"DATABASE_URL": f"mysql://{host}:3306/corestone"},
    }
    assert recording.outputs["flipped"] == {"database": value, "replicas": {}}


@pytest.mark.parametrize(
    ("value", "gates", "selector"),
    [
        ("absent", 0, {"app": "boss"}),
        ("standby", 1, {"app": "boss"}),
        ("serve", 1, {"app": "landfall-gate"}),
    ],
)
def test_target_gate(project: Path, value: Any, gates: int, selector: dict[str, str]) -> None:
    recording = flipped(project, "prod-target", TargetFlips(gate=value))
    service = recording.of("core/v1:ServicePatch")[WEBPORTAL]
    assert_is_a_patch(service)
    assert service.inputs["spec"] == {"selector": selector}
    deployments = recording.of("apps/v1:Deployment")
    assert len(deployments) == 2 * gates, "one in each domain's namespace"
    if gates:
        labels = deployments[GATE].inputs["spec"]["template"]["metadata"]["labels"]
        assert {"app": "landfall-gate"}.items() <= labels.items()
        behind = recording.of("core/v1:Service")
        assert behind[f"{WEBPORTAL}-landfall-source"].inputs["spec"]["selector"] == {"app": "boss"}
        assert behind[f"{WEBPORTAL}-landfall-target"].inputs["spec"]["selector"] == {
            "landfall.dev/armed": "webportal"
        }
        if value == "serve":
            assert any("Deployment::" in urn for urn in service.dependencies)


@pytest.mark.parametrize("side", [None, "source", "target"])
def test_pods_of_the_gate_that_start_know_the_side(project: Path, side: Any) -> None:
    recording = flipped(project, "prod-target", TargetFlips(gate="standby", gate_side=side))
    data = recording.of("core/v1:ConfigMap")[GATE].inputs["data"]
    assert data["state.map"] == f"gate open\nside {side or 'source'}\n"
    place = "webportal-landfall-target.billing-guance-intl.svc.cluster.local:8080"
    assert f"server target {place}" in data["haproxy.cfg"]


def test_entries_of_one_map_make_one_patch(tmp_path: Path) -> None:
    entries = [
        {
            "namespace": "a",
            "config_map": "c",
            "key": "URL",
            "value": "mysql://{database_host}:{database_port}/x",
        },
        {"namespace": "a", "config_map": "c", "key": "NAME", "value": "{database_name}"},
    ]
    project = project_copy(tmp_path, {("config_entries",): entries})
    patch = flipped(project, "prod-target", TargetFlips(database="eip")).one("ConfigMapPatch")
    assert patch.inputs["data"] == {"URL": "mysql://203.0.113.30:3306/x", "NAME": "boss"}


@pytest.mark.parametrize(("stack", "context"), [("prod-source", "huawei"), ("prod-target", "aws")])
def test_each_cluster_has_a_provider_that_keeps_config_maps(project: Path, stack: str, context: str) -> None:
    flips: Flips = SourceFlips() if stack == "prod-source" else TargetFlips()
    provider = flipped(project, stack, flips).one("pulumi:providers:kubernetes")
    assert provider.inputs["context"] == context
    assert provider.inputs["enableConfigMapMutable"] in (True, "true")
    assert provider.inputs["clusterIdentifier"] == stack


def test_flips_come_from_the_stacks_own_file(project: Path) -> None:
    (project / "Pulumi.prod-target.yaml").write_text("config:\n  landfall:database: internal\n")
    recording = record(builder_for("prod-target", project), "prod-target")
    assert recording.outputs["flipped"]["database"] == "internal"


@pytest.mark.parametrize("stack", ["prod-nothing", "prod-truewatch-1", "prod-migration"])
def test_names_of_stacks_are_checked(project: Path, stack: str) -> None:
    (project / f"Pulumi.{stack}.yaml").write_text("config: {}\n")
    with pytest.raises(pulumi.RunError, match=rf"no stack {stack}; it has prod, .*prod-edge, prod-automata$"):
        record(builder_for(stack, project), stack)


@pytest.mark.parametrize("side", ["source", "target"])
def test_callers_on_another_cluster_are_told_of_a_side(project: Path, side: Any) -> None:
    recording = flipped(project, "prod-automata", CallerFlips(callers={"automata/automata": side}))
    patch = recording.one("core/v1:ConfigMapPatch")
    assert_is_a_patch(patch)
    assert patch.name == "automata/automata-config"
    value = {"source": "webportal.billing-guance-intl", "target": DOMAIN}[side]
    assert patch.inputs["data"] == {"BOSS_HOST": value}
    provider = recording.one("pulumi:providers:kubernetes")
    assert provider.inputs["context"] == "automata"
    assert recording.outputs["flipped"] == {"callers": {"automata/automata": side}}


def test_callers_on_the_sources_own_cluster_are_part_of_its_stack(tmp_path: Path) -> None:
    entries = [
        {"config_map": "exporter", "key": "BOSS_URL", "source": "http://boss", "target": "https://b.example"},
        {"config_map": "exporter", "key": "BOSS_CA", "source": "none", "target": "public"},
    ]
    caller = {"cluster": "source", "namespace": "ops", "name": "exporter", "entries": entries}
    project = project_copy(tmp_path, {("callers",): [caller]})
    recording = flipped(project, "prod-source", SourceFlips(callers={"ops/exporter": "target"}))
    patch = recording.one("core/v1:ConfigMapPatch")
    assert_is_a_patch(patch)
    assert patch.inputs["data"] == {"BOSS_URL": "https://b.example", "BOSS_CA": "public"}
    assert recording.outputs["flipped"]["callers"] == {"ops/exporter": "target"}


def test_a_stack_whose_section_is_absent_is_none(tmp_path: Path) -> None:
    project = project_copy(tmp_path, {("replication",): None})
    with pytest.raises(pulumi.RunError, match="no stack prod-replication; it has prod, prod-source"):
        record(builder_for("prod-replication", project), "prod-replication")


def test_one_process_builds_several_stacks_after_one_another(project: Path) -> None:
    first = flipped(project, "prod-source", SourceFlips(replicas={BOSS: 1}))
    flipped(project, "prod-target", TargetFlips(database="eip"))
    again = flipped(project, "prod-source", SourceFlips(replicas={BOSS: 1}))
    assert first.resources == again.resources
