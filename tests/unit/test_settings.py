"""Reading settings: what is right is read, and what is wrong is said at once, with its place."""

import re
from pathlib import Path
from typing import Any

import pytest

from components.settings.base import architecture
from components.settings.engines import (
    CACHE,
    CACHE_DEFAULT,
    KUBERNETES_STANDARD_SUPPORT,
    RELATIONAL,
    RELATIONAL_DEFAULT,
)
from stacks.settings import (
    Environment,
    Placeholder,
    PlaceholderError,
    RelationalDatabaseSettings,
    SettingsError,
    known,
    load_environment,
)
from tests.unit.recording import OWNERS_FACTS, PROJECT, KeyPath, project_copy

ROOT = "landfall:environment"
ADMIN = {"name": "team", "principal": "arn:aws:iam::123456789012:role/team", "policy": "admin"}
POD_ROLE = {"namespace": "billing", "service_account": "boss", "managed_policies": ["AmazonS3ReadOnlyAccess"]}
ACCEPTED = {
    "cluster": "source",
    "namespace": "ops-tools",
    "name": "invoice-exporter",
    "reason": "the stragglers' forwarder serves it",
    "by": "platform team",
}


def problems(folder: Path) -> dict[str, str]:
    """The text of the problems by their key."""
    with pytest.raises(SettingsError) as caught:
        load_environment(folder, "prod")
    for problem in caught.value.problems:
        assert str(problem) in str(caught.value)
        assert problem.file == folder / "Pulumi.prod.yaml"
    texts: dict[str, str] = {}
    for problem in caught.value.problems:
        key = problem.key.removeprefix(f"{ROOT}.")
        texts[key] = f"{texts.get(key, '')}{problem}"
    return texts


def test_the_tracked_settings_are_right_and_invent_no_owners_facts() -> None:
    environment = load_environment(PROJECT, "prod")
    assert len(environment.placeholders()) == len(OWNERS_FACTS)
    assert environment.region == "ap-southeast-1"
    assert isinstance(environment.database.source.eip, Placeholder)
    with pytest.raises(PlaceholderError, match=r"database\.source\.eip.*Huawei"):
        known(environment.database.source.eip, "database.source.eip")


def test_filled_in_settings_hold_no_placeholder(tmp_path: Path) -> None:
    environment = load_environment(project_copy(tmp_path), "prod")
    assert environment.placeholders() == ()
    assert environment.namespaces == ("middleware", "billing-guance-intl", "guance-basis")
    assert environment.domain("bill.truewatch.com").service == "billing-guance-intl/webportal"
    assert environment.workload("middleware/redis-basis").kind == "Deployment"


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        (("network", "cidr"), "10.40.1.0/16", "IPv4 network.*host bits"),
        (("network", "cidr"), "ten", "IPv4 network such as"),
        (("network", "zones"), ["ap-southeast-1a"], "at least 2"),
        (("network", "zones"), ["ap-southeast-1a", "eu-west-1a"], "one region"),
        (
            ("network", "private_subnets"),
            ["10.41.0.0/24", "10.40.1.0/24", "10.40.2.0/24"],
            "inside the VPC's",
        ),
        (("network", "private_subnets"), ["10.40.1.0/24", "10.40.1.0/25", "10.40.2.0/24"], "overlap"),
        (("network", "public_subnets"), ["10.40.1.0/24"], "one subnet for each of the 3 zones"),
        (("network", "nat"), "none", "'zone' or 'single'"),
        (("cluster", "node_group", "desired"), 9, "minimum <= desired <= maximum"),
        (("cluster", "version"), 1.34, "in quotes"),
        (("cluster", "version"), "1.33", "without extra cost: 1.34, 1.35"),
        (("cluster", "node_group", "instance_types"), ["m7i.large", "m7g.large"], "of one architecture"),
        (("workspace", "instance_type"), "t4g.large", "an image for arm64, as t4g.large is one"),
        (("cluster", "access"), [ADMIN, ADMIN], "each once, not team again"),
        (("cluster", "pod_roles"), [POD_ROLE, POD_ROLE], "each once, not billing/boss again"),
        (("network", "interface_endpoints"), ["kms", "sts", "kms"], "each once, not kms again"),
        (("database", "target", "version"), "5.6", "RDS has no mysql 5.6; it has 5.7, 8.0, 8.4"),
        (("database", "target", "parameter_family"), "mysql8.0", "expected mysql8.4 for mysql 8.4"),
        (("database", "target", "engine"), "postgres", "RDS has no postgres 8.4; it has 12, 13"),
        (("database", "target", "maximum_storage_gib"), 219, "at least a tenth more than storage_gib, 200"),
        (("database", "target", "backup_window"), "18:00-18:20", "half an hour or more"),
        (("database", "target", "backup_window"), "25:00-26:00", "match"),
        (("database", "target", "maintenance_window"), "sun:18:45-sun:19:15", "outside backup_window, 18:00"),
        (("database", "target", "maintenance_window"), "sun:23:50-mon:18:10", "outside backup_window, 18:00"),
        (("database", "target", "username"), "admin", "a name that nobody guesses"),
        (("database", "target", "database_name"), "other", "boss, as the source's database is called"),
        (("database", "target", "backup_retention_days"), 1, "greater than or equal to 7"),
        (("cache", "version"), "9.9", "ElastiCache has no redis 9.9; it has 6.2, 7.0, 7.1"),
        (("cache", "replicas"), 0, "greater than or equal to 1"),
        (("cache", "engine"), "memcached", "'redis' or 'valkey'"),
        (("replication", "instance", "version"), "3.4.7", "DMS engine version that new instances can have"),
        (("replication", "certificates", "source"), "../source.crt", "match"),
        (("notifications",), None, "the section notifications too, which its alarms go to"),
        (("exceptions", 0, "until"), "soon", "valid date"),
        (("exceptions", 0, "reason"), "later", "at least 10 characters"),
        (("cluster", "public_access_cidrs"), ["0.0.0.0/0"], "never 0.0.0.0/0"),
        (("cluster", "versions"), "1.34", "did you mean version"),
        (("name",), "prod-two", "match"),
        (("name",), "other", "expected prod"),
        (("database", "source", "eip"), "203.0.113", "IPv4 address"),
        (("database", "source"), "here", "mapping"),
        (("database", "administrator", "user_env"), "a b", "environment variable"),
        (("cloudflare", "zones", "truewatch.com"), "x", "match"),
        (("domains", 0, "zone"), "example.com", "a zone declared"),
        (("domains", 0, "name"), "bill.example.com", "inside the zone"),
        (("domains", 0, "name"), "Bill!", "domain name"),
        (("domains", 0, "ttl", "lowered"), 30, "60"),
        (("domains", 0, "ttl", "lowered"), 600, "lowered <= original"),
        (("domains", 0, "source"), "huawei.example", "IPv4 address, as the record is of type A"),
        (("domains", 0, "type"), "CNAME", "target: required"),
        (("domains", 0, "service"), "webportal", "namespace/name"),
        (("domains", 0, "health"), "healthz", "starts with '/'"),
        (("workloads", 0, "domain"), "pay.truewatch.com", "one of the declared domains"),
        (("workloads", 0, "namespace"), "default", "the namespace of the domain's service"),
        (("workloads", 0, "name"), "Boss", "Kubernetes name"),
        (("workloads", 0, "selector"), {}, "at least 1"),
        (("config_entries", 0, "value"), "{password}", "not 'password'"),
        (("config_entries", 0, "value"), "{database_host", "balanced braces"),
        (("database", "further"), ["a b"], "match"),
        (("clusters", "automata"), {}, "context: required"),
        (("clusters", "edge"), {"context": "x"}, "another name, as a stack of the environment is called so"),
        (
            ("callers", 0, "cluster"),
            "nowhere",
            "source, target or one of the section clusters .automata, true",
        ),
        (("callers", 0, "cluster"), "target", "none on the target, whose entries are config_entries"),
        (("callers", 0, "entries", 0, "key"), "a b", "match"),
        (("callers", 0, "entries", 0, "before"), "a", "known keys are config_map, key, source, target"),
        (("callers", 0, "check"), {"url": "ftp://x"}, "http or https address"),
        (("accepted_callers",), [ACCEPTED | {"by": ""}], "at least 1 character"),
        (("accepted_callers",), [ACCEPTED | {"reason": "no"}], "at least 10 characters"),
        (("accepted_callers",), [ACCEPTED, ACCEPTED], r"accepted_callers\[0\] has it too"),
        (
            ("accepted_callers",),
            [ACCEPTED | {"cluster": "automata", "namespace": "automata", "name": "automata"}],
            "a caller that is not among the callers too",
        ),
        (("verifications", 0, "kind"), "email", "one of 'http_in_cluster', 'cron_job_report'"),
        (("verifications", 0, "kind"), None, "kind: required, but absent"),
        (("verifications", 0), 3, "expected a mapping"),
        (("verifications", 0, "cluster"), "truewatch-9", "one of the section clusters"),
        (("verifications", 1, "url"), "http://x/?a=b", "without query"),
        (("verifications", 2, "name"), "inner-app-1", r"verifications\[1\] has it too"),
        (("redis_copy", "disposition"), "disposable", "by: required for disposable"),
        (("redis_copy", "disposition"), "lose", "'copy' or 'disposable'"),
        (("move", "velero", "images"), {"registry.example/": "x"}, "without '/'"),
        (("move", "velero", "drop_annotations"), ["a b"], "name of an annotation"),
        (("source_ingress", "selector"), {}, "at least 1"),
        (("buffers", 0, "port"), 0, "greater than or equal to 1"),
        (("buffers", 0, "kind"), "kafka", "redis-list"),
        (("forwarder_image",), "nginx", "fixed tag or digest"),
        (("forwarder_image",), "nginx:latest", "not `latest`"),
        (("forwarder_ca_bundle",), "/ca; evil", "match"),
        (("cutover", "max_error_rate"), 2, "less than or equal to 1"),
        (("cutover", "soak_seconds"), None, "required, but absent"),
        (("cutover", "deadlines"), {"park_ms": 30000}, "no deadline beyond"),
    ],
)
def test_a_wrong_setting_is_named_with_what_was_expected(
    tmp_path: Path, path: tuple[str | int, ...], value: Any, expected: str
) -> None:
    found = problems(project_copy(tmp_path, {path: value}))
    sections = {path[0], "database"} if path == ("notifications",) else {path[0]}
    relevant = [text for key, text in found.items() if key.split(".")[0].split("[")[0] in sections]
    assert any(re.search(expected, text) for text in relevant), found


def test_all_problems_show_at_once_each_with_its_line(tmp_path: Path) -> None:
    folder = project_copy(
        tmp_path,
        {
            ("network", "cidr"): "10.40.1.0/16",
            ("network", "nats"): "zone",
            ("domains", 0, "zone"): "example.com",
            ("cutover", "soak"): 3,
            ("redis_image",): "redis",
        },
    )
    found = problems(folder)
    assert set(found) == {"network.cidr", "network.nats", "domains[0].zone", "cutover.soak", "redis_image"}
    lines = (folder / "Pulumi.prod.yaml").read_text().splitlines()
    for key, text in found.items():
        match = re.match(r".*\.yaml:(\d+): ", text)
        assert match, text
        assert key.split(".")[-1].split("[")[0] in lines[int(match[1]) - 1]


def test_names_are_used_once(tmp_path: Path) -> None:
    twice = {"namespace": "middleware", "kind": "Deployment", "name": "redis-basis"}
    found = problems(project_copy(tmp_path, {("shared_workloads",): [twice, twice]}))
    assert "shared_workloads[0] has it too" in found["shared_workloads[1].name"]


def test_what_is_scaled_and_switched_is_in_the_backup(tmp_path: Path) -> None:
    namespaces = [{"name": "guance-basis"}, {"name": "middleware", "only": ["redis"]}]
    found = problems(project_copy(tmp_path, {("move", "velero", "namespaces"): namespaces}))
    assert "one of move.velero.namespaces (guance-basis, middleware)" in found["workloads[0].namespace"]
    assert "one of what moves from middleware (redis)" in found["shared_workloads[0].name"]


def test_an_entry_has_one_caller(tmp_path: Path) -> None:
    entry = {"config_map": "config", "key": "HOST", "source": "a", "target": "b"}
    caller = {"cluster": "automata", "namespace": "automata", "entries": [entry]}
    callers = [caller | {"name": "one"}, caller | {"name": "two"}]
    found = problems(project_copy(tmp_path, {("callers",): callers}))
    assert "an entry that stands here once" in found["callers[1].entries[0].key"]


def test_images_and_annotations_are_mapped_by_what_they_begin_with(tmp_path: Path) -> None:
    images = {"registry.example": "aws.example", "registry.example/team": "team.example/x"}
    project = project_copy(tmp_path, {("move", "velero", "images"): images})
    move = load_environment(project, "prod").move
    assert move is not None
    assert move.velero.image("registry.example/boss:1.0") == "aws.example/boss:1.0"
    assert move.velero.image("registry.example/team/boss:1.0") == "team.example/x/boss:1.0"
    assert move.velero.image("registry.example.com/boss:1.0") == "registry.example.com/boss:1.0"
    assert move.velero.image("redis:7") == "redis:7"
    assert move.velero.drops("kubernetes.io/elb.class")
    assert not move.velero.drops("kubernetes.io/ingress.class")


def test_a_callers_check_is_asked_beside_it(tmp_path: Path) -> None:
    check = {"url": "http://automata.automata/state", "status": 204}
    environment = load_environment(project_copy(tmp_path, {("callers", 0, "check"): check}), "prod")
    found = environment.callers[0].verification
    assert found is not None
    assert (found.cluster, found.namespace, found.status) == ("automata", "automata", 204)
    assert environment.contexts["source"] == "huawei"
    assert environment.caller_clusters == ("automata",)


def test_the_region_is_the_zones(tmp_path: Path) -> None:
    folder = project_copy(tmp_path)
    path = folder / "Pulumi.prod.yaml"
    path.write_text(path.read_text().replace("aws:region: ap-southeast-1", "aws:region: eu-west-1"))
    assert "expected ap-southeast-1" in problems(folder)["aws:region"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("config: [", "not valid YAML"),
        ("config:\n  a: 1\n  a: 2\n", "twice"),
        ("config: 3\n", "a mapping of configuration keys"),
        ("- 1\n", "a mapping of configuration keys"),
        ("config: {}\n", "landfall:environment: required"),
        ("config: {'landfall:environment': 3}\n", "expected a mapping"),
        ("", "landfall:environment: required"),
    ],
)
def test_a_broken_file_is_one_clear_error(tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "Pulumi.prod.yaml").write_text(text)
    with pytest.raises(SettingsError, match=expected):
        load_environment(tmp_path, "prod")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"Pulumi\.prod\.yaml: expected this file, which does not exist"):
        load_environment(tmp_path, "prod")


def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.prod.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError, match="cannot be read"):
        load_environment(tmp_path, "prod")


def test_settings_do_not_change_once_read(tmp_path: Path) -> None:
    environment = load_environment(project_copy(tmp_path), "prod")
    with pytest.raises(ValueError, match="frozen"):
        environment.name = "other"


def test_an_environment_made_in_code_is_checked_alike(tmp_path: Path) -> None:
    environment = load_environment(project_copy(tmp_path), "prod")
    data = environment.model_dump(mode="json")
    assert Environment.model_validate(data) == environment
    data["domains"][0]["zone"] = "example.com"
    with pytest.raises(ValueError, match="a zone declared"):
        Environment.model_validate(data)


@pytest.mark.parametrize(
    ("windows", "right"),
    [
        (("23:30-00:30", "sun:01:00-sun:02:00"), True),
        (("23:30-00:30", "sun:23:45-mon:00:15"), False),
        (("18:00-19:00", "sun:19:00-sun:19:30"), True),
        (("18:00-19:00", "sun:17:29-sun:18:00"), True),
        (("18:00-19:00", "sun:23:30-mon:00:30"), True),
        (("18:00-19:00", "sat:20:00-sun:19:00"), False),
    ],
)
def test_maintenance_is_outside_backups_also_over_midnight(windows: tuple[str, str], right: bool) -> None:
    given = {"engine": "mysql", "database_name": "boss"}
    given |= dict(zip(("backup_window", "maintenance_window"), windows, strict=True))
    if right:
        assert RelationalDatabaseSettings.model_validate(given).maintenance_window == windows[1]
    else:
        with pytest.raises(ValueError, match="outside backup_window"):
            RelationalDatabaseSettings.model_validate(given)


def test_versions_and_sizes_have_current_defaults(tmp_path: Path) -> None:
    removed: dict[tuple[str | int, ...], object] = {
        ("cluster", "version"): None,
        ("cluster", "node_group"): None,
        ("database", "target", "version"): None,
        ("database", "target", "instance_class"): None,
        ("database", "target", "storage_gib"): None,
        ("database", "target", "maximum_storage_gib"): None,
        ("cache", "version"): None,
        ("cache", "node_type"): None,
        ("replication", "instance"): None,
        ("workspace", "instance_type"): None,
    }
    environment = load_environment(project_copy(tmp_path, removed), "prod")
    ends = KUBERNETES_STANDARD_SUPPORT[environment.cluster.version]
    assert ends == max(KUBERNETES_STANDARD_SUPPORT.values()), "the longest support ahead"
    assert environment.cluster.node_group.image == "AL2023_x86_64_STANDARD"
    assert environment.database.target is not None
    assert environment.database.target.version == "8.4"
    assert not environment.database.target.release.extended
    assert environment.cache is not None
    assert environment.cache.version == "7.1"
    for engine, version in RELATIONAL_DEFAULT.items():
        assert not RELATIONAL[engine][version].extended
    for cache, version in CACHE_DEFAULT.items():
        assert version == list(CACHE[cache])[-1]


def test_nodes_on_graviton_have_an_image_for_it(tmp_path: Path) -> None:
    types: dict[KeyPath, object] = {("cluster", "node_group", "instance_types"): ["m7g.large", "c7gd.xlarge"]}
    environment = load_environment(project_copy(tmp_path, types), "prod")
    assert environment.cluster.node_group.image == "AL2023_ARM_64_STANDARD"
    assert architecture("g5.xlarge") == architecture("g4dn.xlarge") == "x86_64"
