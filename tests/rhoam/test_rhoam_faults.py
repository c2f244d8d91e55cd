"""What goes wrong on the way: each fault stops the plan, says what to do, and the plan goes on after it."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from cutover.errors import StepError
from cutover.history import BACK, fold
from cutover.journal import read_journal
from cutover.plan import Plan
from cutover.ports import ApiAnswer, ApiRequest
from tests.rhoam.rhoam_names import CANARY, RHOAM, WILDCARDS, encode
from tests.rhoam.rhoam_world import RhoamWorld
from tests.rhoam.test_rhoam_whole import drive, go, source_as_it_is


@dataclass(frozen=True)
class Fault:
    """How it is made, in which step it stops, what is said, and how it is mended."""

    name: str
    step: str
    says: str
    make: Callable[[RhoamWorld], object]
    mend: Callable[[RhoamWorld], object]


def _wrong_version(world: RhoamWorld, version: str) -> None:
    manager = world.clusters["migration"].objects["apimanagers", "3scale", "3scale"]
    manager["metadata"]["annotations"]["apps.3scale.net/apimanager-threescale-version"] = version
    subscription = world.clusters["migration"].objects["subscriptions", "3scale", "3scale-operator"]
    subscription["spec"]["channel"] = f"threescale-{version.rpartition('.')[0]}-mas"


def _parameter(world: RhoamWorld, key: str, value: str) -> None:
    found = world.clusters["destination"].objects["secrets", RHOAM, "addon-managed-api-service-parameters"]
    found["data"] |= encode({key: value})


def _domain(world: RhoamWorld, state: str) -> None:
    world.clusters["destination"].objects["customdomains", "", "rhoam"]["status"]["state"] = state


FAULTS = (
    Fault(
        "a bucket that lacks a Secret",
        "copy-secrets-migration",
        "has no Secret zync",
        lambda world: world.bucket.update({"kept": world.bucket.pop("zync")}),
        lambda world: world.bucket.update({"zync": world.bucket.pop("kept")}),
    ),
    Fault(
        "a Secret in the bucket that lacks a key",
        "copy-secrets-migration",
        "zync in bucket customer-secrets lacks ZYNC_AUTHENTICATION_TOKEN: fetch it anew",
        lambda world: world.bucket["zync"].pop("ZYNC_AUTHENTICATION_TOKEN"),
        lambda world: world.bucket["zync"].update({"ZYNC_AUTHENTICATION_TOKEN": CANARY.encode()}),
    ),
    Fault(
        "a dump that is cut short",
        "load-database",
        "cut short",
        lambda world: world.refuses.update(LoadDatabase=StepError("the dump is cut short")),
        lambda _: None,
    ),
    Fault(
        "rows that pgloader rejects",
        "convert-database",
        "rejected 3 rows",
        lambda world: world.refuses.update(ConvertToPostgres=StepError("pgloader rejected 3 rows of users")),
        lambda _: None,
    ),
    Fault(
        "a deployment that somebody scales back",
        "scale-down-migration",
        "zync-que on rhoam-migration was set to 0 and is at 1 again: somebody else scales it",
        lambda world: world.clusters["migration"].scales_back.add("zync-que"),
        lambda world: world.clusters["migration"].scales_back.clear(),
    ),
    Fault(
        "an operator that reverts a Secret",
        "copy-secrets-destination",
        "redhat-rhoam-3scale/system-app: SECRET_KEY_BASE. An operator that runs reverts them: pause it",
        lambda world: world.clusters["destination"].reverts.update(
            {("redhat-rhoam-3scale", "system-app"): {"SECRET_KEY_BASE": "its own"}}
        ),
        lambda world: world.clusters["destination"].reverts.clear(),
    ),
    Fault(
        "an operator that reverts where the data is",
        "plug-in-migration",
        "3scale/system-database: DB_PASSWORD of the migration cluster is not as it was written",
        lambda world: world.clusters["migration"].reverts.update(
            {("3scale", "system-database"): {"DB_PASSWORD": "its own"}}
        ),
        lambda world: world.clusters["migration"].reverts.clear(),
    ),
    Fault(
        "a wrong version on the migration cluster",
        "install-threescale",
        "3scale of the migration cluster is 2.12, and 2.13 is needed",
        lambda world: _wrong_version(world, "2.12.0"),
        lambda world: _wrong_version(world, "2.13.1"),
    ),
    Fault(
        "an identity provider that is not there",
        "configure-idp",
        "names no identity provider",
        lambda world: world.clusters["destination"].objects["oauths", "", "cluster"].update(spec={}),
        lambda world: (
            world.clusters["destination"]
            .objects["oauths", "", "cluster"]
            .update(spec={"identityProviders": [{"name": "github"}]})
        ),
    ),
    Fault(
        "a custom domain that is not ready",
        "create-domain",
        "the CustomDomain for apps.rhoam.example.com is NotReady",
        lambda world: _domain(world, "NotReady"),
        lambda world: _domain(world, "Ready"),
    ),
    Fault(
        "RHOAM without a quota",
        "trigger-rhoam",
        "RHOAM is not configured as it must be: quota: none",
        lambda world: _parameter(world, "addon-managed-api-service", ""),
        lambda world: _parameter(world, "addon-managed-api-service", "50"),
    ),
    Fault(
        "RHOAM without a mail server",
        "trigger-rhoam",
        "SMTP: custom-smtp-address is empty",
        lambda world: _parameter(world, "custom-smtp-address", ""),
        lambda world: _parameter(world, "custom-smtp-address", "smtp.example.com"),
    ),
    Fault(
        "another AWS account",
        "confirm-access",
        "the credentials are of account 999999999999, and the destination's is 888888888888",
        lambda world: setattr(world, "account", "9" * 12),
        lambda world: setattr(world, "account", "8" * 12),
    ),
    Fault(
        "a user who may not do everything",
        "confirm-access",
        "the user of context rhoam-destination may not do everything there",
        lambda world: setattr(world.clusters["destination"], "admin", False),
        lambda world: setattr(world.clusters["destination"], "admin", True),
    ),
    Fault(
        "a tenant that does not answer after the move",
        "resync-destination",
        "globex-admin.apps.rhoam.example.com answers 503",
        lambda world: world.silent.add(f"globex-admin.{WILDCARDS['destination']}"),
        lambda world: world.silent.clear(),
    ),
    Fault(
        "a master account without the plan Enterprise",
        "set-enterprise-plan",
        "the master account has no plan 'enterprise', only basic: make one in the master portal",
        lambda world: world.databases["source"].update(plans=("basic",)),
        lambda world: world.databases["destination-database"].update(plans=("basic", "enterprise")),
    ),
    Fault(
        "an SSO integration that nobody has published",
        "publish-sso",
        "the SSO integration of acme, globex is not published",
        lambda world: setattr(world, "publishes", False),
        lambda world: world.publish(),
    ),
)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_stops_the_plan_and_is_gone_past_once_it_is_mended(
    world: RhoamWorld, plan: Plan, tmp_path: Path, fault: Fault
) -> None:
    path = tmp_path / "journal.jsonl"
    fault.make(world)

    result = go(world, plan, path)

    assert (result.outcome, result.step) == ("halted", fault.step)
    assert fault.says in result.reason
    assert CANARY not in result.reason
    fault.mend(world)
    world.clock.sleep(86_400)
    again = drive(world, plan, path)
    if again.outcome == "halted" and "begins 24 h after it" in again.reason:
        world.clock.sleep(86_400)
        again = drive(world, plan, path)
    assert again.outcome == "succeeded", again


@pytest.mark.parametrize(
    "fault", [fault for fault in FAULTS if fault.step != "publish-sso"], ids=lambda fault: fault.name
)
def test_after_a_fault_the_source_is_returned_to(
    world: RhoamWorld, plan: Plan, tmp_path: Path, fault: Fault
) -> None:
    path = tmp_path / "journal.jsonl"
    before = source_as_it_is(world)
    fault.make(world)
    changed = source_as_it_is(world)
    assert go(world, plan, path).outcome == "halted"
    world.clusters["migration"].scales_back.clear()

    assert drive(world, plan, path, BACK).outcome == "rolled back"
    after = source_as_it_is(world)
    assert after in (before, changed)


def test_an_operator_that_runs_is_not_worked_against(world: RhoamWorld, plan: Plan, tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    go(world, plan, path, until="connect")
    world.clusters["migration"].merge_patch = _refusing(world)  # type: ignore[method-assign]

    result = drive(world, plan, path, until="leave")

    assert result.outcome == "halted"
    assert (
        "threescale-operator-controller-manager-v2 on rhoam-migration was set to 0 and is at 1"
        in result.reason
    )


def _refusing(world: RhoamWorld) -> Callable[..., None]:
    """A cluster on which somebody scales 3scale's operator up again."""
    cluster = world.clusters["migration"]
    right = type(cluster).merge_patch

    def patch(api: str, plural: str, namespace: str, name: str, change: object, **more: str) -> None:
        if not name.startswith("threescale-operator"):
            right(cluster, api, plural, namespace, name, change, **more)  # type: ignore[arg-type]

    return patch


# the job queues


def test_queues_that_run_empty_are_waited_for(world: RhoamWorld, plan: Plan, tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    world.queues = [{"system/default": 4, "backend/priority": 1}, {"system/retry": 1}, {}]
    go(world, plan, path, until="stop")

    evidence = fold(read_journal(path).records).step("clear-queue").evidence
    assert evidence["lost"] == 0
    assert "clear-queue" not in world.asked


def test_the_loss_of_what_stays_queued_is_accepted_by_name(
    world: RhoamWorld, plan: Plan, tmp_path: Path
) -> None:
    path = tmp_path / "journal.jsonl"
    world.queues = [{"system/retry": 3, "backend/stats": 2}]
    go(world, plan, path, until="stop")

    evidence = fold(read_journal(path).records).step("clear-queue").evidence
    assert (evidence["lost"], evidence["approved_by"], evidence["note"]) == (5, "Ada", "done")
    assert "Left: 3 in system/retry, 2 in backend/stats." in world.asked["clear-queue"]


def test_queues_that_somebody_clears_while_they_are_asked_for_need_no_word(
    world: RhoamWorld, plan: Plan, tmp_path: Path
) -> None:
    path = tmp_path / "journal.jsonl"
    world.slow["clear-queue"] = -1
    world.queues = [{"system/retry": 1}] * 460 + [{}]
    go(world, plan, path, until="stop")

    evidence = fold(read_journal(path).records).step("clear-queue").evidence
    assert evidence["lost"] == 0
    assert "approved_by" not in evidence


# what is done ahead


def test_the_migration_begins_no_sooner_than_a_day_after_all_is_ready(
    world: RhoamWorld, plan: Plan, tmp_path: Path
) -> None:
    path = tmp_path / "journal.jsonl"
    drive(world, plan, path, until="customer-ready")
    before = source_as_it_is(world)
    world.clock.sleep(80_000)

    result = drive(world, plan, path)

    assert (result.outcome, result.step) == ("halted", "remember-source")
    assert "begins 24 h after it at the earliest" in result.reason
    assert source_as_it_is(world) == before


def test_what_was_ready_a_month_ago_is_looked_at_again(world: RhoamWorld, plan: Plan, tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    drive(world, plan, path, until="customer-ready")
    world.clock.sleep(30 * 86_400)

    result = drive(world, plan, path)
    assert result.outcome == "halted"
    assert "taken for good for 336 h" in result.reason

    assert drive(world, plan, path, BACK, until="red-hat-ready").outcome == "rolled back to red-hat-ready"
    assert go(world, plan, path).outcome == "succeeded"


def test_what_is_ready_is_looked_at_once_more_when_the_migration_begins(
    world: RhoamWorld, plan: Plan, tmp_path: Path
) -> None:
    path = tmp_path / "journal.jsonl"
    drive(world, plan, path, until="customer-ready")
    world.clock.sleep(86_400)
    _wrong_version(world, "2.14.0")

    result = drive(world, plan, path)

    assert result.step == "remember-source"
    assert "3scale of the migration cluster is 2.14, and 2.13 is needed" in result.reason


def test_owners_are_reminded_of_what_is_late(world: RhoamWorld, plan: Plan, tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    drive(world, plan, path, until="customer-ready")
    world.clock.sleep(86_400)
    world.slow["agree-to-begin"] = 10_000_000
    result = drive(world, plan, path)

    assert "took longer than it may" in result.reason
    assert fold(read_journal(path).records).step("agree-to-begin").reminders == 0  # 60 s of waiting at most


def test_a_reminder_comes_again_and_again(
    settings: dict[str, object], tmp_path: Path, make: Callable[[dict[str, object]], tuple[RhoamWorld, Plan]]
) -> None:
    settings["threescale"]["owners"] = {"lead_seconds": 0, "due_seconds": 10}  # type: ignore[index]
    settings["cutover"]["timeouts"] = {"person": 3600}  # type: ignore[index]
    world, plan = make(settings)
    world.slow["agree-to-begin"] = 35
    path = tmp_path / "journal.jsonl"

    drive(world, plan, path, until="stop")

    reminders = [record for record in read_journal(path).records if record.kind == "reminder"]
    assert [record.data["step"] for record in reminders] == ["agree-to-begin"] * 3
    assert [record.data["seconds"] for record in reminders] == [10, 20, 30]


# what the comparison finds


def test_a_counter_that_is_not_what_it_was_is_found(world: RhoamWorld, plan: Plan, tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    go(world, plan, path, until="dump")
    world.dumps["dumps/source-backend-redis"]["acme"] -= 1

    result = drive(world, plan, path)

    assert (result.outcome, result.step) == ("halted", "confirm-tenants")
    assert "acme: 1 of 1 usage different (id 14)" in result.reason


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda tenant: tenant["applications"].clear(), "globex: 1 of 1 applications missing (id 21)"),
        (lambda tenant: tenant["keys"].append("x"), "globex: 1 of 1 keys different (id 21)"),
        (lambda tenant: tenant["plans"][0].update(name="Gold"), "globex: 1 of 1 plans different (id 3000)"),
        (lambda tenant: tenant["accounts"].append({"id": 99}), "globex: 1 of 1 accounts new (id 99)"),
    ],
)
def test_a_row_that_is_not_what_it_was_is_found(
    world: RhoamWorld,
    plan: Plan,
    tmp_path: Path,
    change: Callable[[dict[str, list[object]]], object],
    says: str,
) -> None:
    path = tmp_path / "journal.jsonl"
    go(world, plan, path, until="restore")
    change(world.databases["destination-database"]["tenants"]["globex"])

    result = drive(world, plan, path)

    assert (result.outcome, result.step) == ("halted", "confirm-tenants")
    assert says in result.reason


def test_a_tenant_whose_token_is_not_known_is_named(world: RhoamWorld, plan: Plan, tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    go(world, plan, path, until="restore")
    world.databases["destination-database"]["tokens"]["acme"] = "another"

    result = drive(world, plan, path)

    assert result.step == "confirm-tenants"
    assert "tenant acme: " in result.reason
    assert "the token is not known there" in result.reason


def test_a_portal_that_does_not_let_impersonation_in_is_named(
    world: RhoamWorld, plan: Plan, tmp_path: Path
) -> None:
    path = tmp_path / "journal.jsonl"
    go(world, plan, path, until="restore")
    right = world.answers.to

    def answers(request: ApiRequest, *rest: object) -> ApiAnswer:
        if request.path.startswith("/p/sso"):
            return ApiAnswer(302, b"", {"location": "https://x/p/login"})
        return right(request, *rest)  # type: ignore[arg-type]

    world.answers.to = answers  # type: ignore[method-assign,assignment]

    result = drive(world, plan, path)

    assert (
        "tenant acme: its portal https://acme-admin.apps.rhoam.example.com/p/sso answered 302"
        in result.reason
    )


def test_a_resync_that_fails_says_what_it_said(world: RhoamWorld, plan: Plan, tmp_path: Path) -> None:
    world.exec_says = b"rake aborted! NameError"

    result = go(world, plan, tmp_path / "journal.jsonl")

    assert result.step == "resync-migration"
    assert "rake aborted! NameError" in result.reason


def test_a_version_is_never_left_out(world: RhoamWorld, plan: Plan, tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    go(world, plan, path, until="connect")
    _wrong_version(world, "2.12.9")

    result = drive(world, plan, path)

    assert result.step == "update-to-2.14"
    assert "2.14 is reached from 2.13 only" in result.reason


def test_the_default_tenants_token_is_in_both_secrets(world: RhoamWorld, plan: Plan, tmp_path: Path) -> None:
    go(world, plan, tmp_path / "journal.jsonl", until="serve")

    cluster = world.clusters["destination"]
    for namespace in ("redhat-rhoam-3scale", RHOAM):
        data = cluster.objects["secrets", namespace, "system-seed"]["data"]
        assert base64.b64decode(data["ADMIN_ACCESS_TOKEN"]).decode() == f"{CANARY}-admin-1"
    assert "admin activated" in world.happened


@pytest.mark.parametrize("lost", ["POST /master/api/providers.json", "PUT", "POST /admin/api/users"])
def test_a_token_that_was_lost_on_its_way_is_made_anew(
    world: RhoamWorld, plan: Plan, tmp_path: Path, lost: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request is carried out, and its answer is lost with the runner."""
    path = tmp_path / "journal.jsonl"
    asked = RhoamWorld.call
    go(world, plan, path, until="restore")
    if lost.startswith("POST /admin"):
        _lose(monkeypatch, asked, "PUT")
        assert drive(world, plan, path, until="serve").step == "create-default-tenant"
    _lose(monkeypatch, asked, lost)
    assert drive(world, plan, path, until="serve").step == "create-default-tenant"
    monkeypatch.setattr(RhoamWorld, "call", asked)

    assert drive(world, plan, path, until="serve").outcome == "reached serve"

    tokens = world.databases["destination-database"]["tenants"]["3scale"]["access_tokens"]
    assert len(tokens) == 1  # those that nobody knows are deleted
    for namespace in ("redhat-rhoam-3scale", RHOAM):
        data = world.clusters["destination"].objects["secrets", namespace, "system-seed"]["data"]
        assert base64.b64decode(data["ADMIN_ACCESS_TOKEN"]).decode() in tokens.values()
    assert world.happened.count("tenant 3scale created") == 1
    assert "admin activated" in world.happened


def _lose(monkeypatch: pytest.MonkeyPatch, asked: Callable[..., ApiAnswer], lost: str) -> None:
    def call(world: RhoamWorld, request: ApiRequest) -> ApiAnswer:
        answer = asked(world, request)
        if f"{request.method} {request.path}".startswith(lost) and "default.json" not in request.path:
            raise StepError(f"{request}: no answer")
        return answer

    monkeypatch.setattr(RhoamWorld, "call", call)


def test_a_copy_of_the_default_tenants_token_that_was_not_written_is_written(
    world: RhoamWorld, plan: Plan, tmp_path: Path
) -> None:
    go(world, plan, tmp_path / "journal.jsonl", until="serve")
    action = next(step for step in plan.steps if step.id == "create-default-tenant").action
    seed = world.clusters["destination"].objects["secrets", RHOAM, "system-seed"]["data"]
    seed |= encode({"ADMIN_ACCESS_TOKEN": "an older one"})

    assert "system-seed of redhat-rhoam-operator has another token" in action.observe(world.context()).detail
    action.apply(world.context())
    assert action.observe(world.context()).state == "done"


def test_a_default_tenant_that_moved_along_is_kept(world: RhoamWorld, plan: Plan, tmp_path: Path) -> None:
    tenant = {"id": 1, "accounts": [], "services": [], "plans": [], "applications": [], "keys": [], "sso": []}
    wildcard = WILDCARDS["source"]
    world.databases["source"]["tenants"]["3scale"] = {
        **tenant,
        "self_domain": f"3scale-admin.{wildcard}",
        "domain": f"3scale.{wildcard}",
    }
    world.databases["source"]["tokens"]["3scale"] = "old-admin-token"
    path = tmp_path / "journal.jsonl"

    assert go(world, plan, path).outcome == "succeeded"
    evidence = fold(read_journal(path).records).step("create-default-tenant").evidence
    assert evidence["created"] is False
