"""Each control on a good stack, and on what one change makes of it."""

from __future__ import annotations

import pytest

from policy.control import Control, Stack, judge_stack
from policy.controls import CONTROLS
from policy.judgement import Resource
from tests.policy.cases import CASES
from tests.policy.edits import Edit, edited, outcome, verdicts
from tests.policy.good import GOOD, document

BY_ID = {control.id: control for control in CONTROLS}
EACH = pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control.id)


def test_ids_are_unique_and_each_has_a_case() -> None:
    assert len(BY_ID) == len(CONTROLS)
    assert BY_ID.keys() == CASES.keys()


@EACH
def test_what_is_good_passes(control: Control) -> None:
    assert [verdict for verdict in verdicts(control, GOOD) if verdict.findings] == []
    assert outcome(control, GOOD) == "passed"


def _edits(kind: str) -> list[object]:
    return [
        pytest.param(BY_ID[id_], edit, id=f"{id_}-{edit}")
        for id_, case in CASES.items()
        for edit in getattr(case, kind)
    ]


@pytest.mark.parametrize(("control", "edit"), _edits("bad"))
def test_what_is_bad_fails(control: Control, edit: Edit) -> None:
    assert outcome(control, edited(GOOD, [edit])) == "failed"


@pytest.mark.parametrize(("control", "edit"), _edits("absent"))
def test_what_is_absent_fails(control: Control, edit: Edit) -> None:
    assert outcome(control, edited(GOOD, [edit])) == "failed"


@pytest.mark.parametrize(("control", "edit"), _edits("unknown"))
def test_what_is_unknown_is_not_evaluated(control: Control, edit: Edit) -> None:
    assert outcome(control, edited(GOOD, [edit])) == "not evaluated"


@EACH
def test_each_control_has_every_kind_of_case(control: Control) -> None:
    case = CASES[control.id]
    assert case.bad
    assert case.absent
    assert case.unknown


def test_what_is_known_to_be_wrong_fails_whatever_else_is_unknown() -> None:
    from policy.judgement import UNKNOWN  # noqa: PLC0415 - used here alone

    edits = [Edit("Instance:db", "storageEncrypted", False), Edit("Instance:db", "kmsKeyId", UNKNOWN)]
    assert outcome(BY_ID["RDS.3"], edited(GOOD, edits)) == "failed"


def test_a_public_load_balancer_is_no_violation() -> None:
    rule = Resource(
        "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
        "web",
        "urn:web",
        {"cidrIpv4": "0.0.0.0/0", "ipProtocol": "tcp", "fromPort": 443, "toPort": 443},
    )
    for id_ in ("EC2.18", "EC2.19"):
        assert outcome(BY_ID[id_], [rule]) == "passed"


@pytest.mark.parametrize(
    "given",
    [
        {"cidrIpv6": "::/0", "ipProtocol": "tcp", "fromPort": 22, "toPort": 22},
        {"cidrIpv4": "0.0.0.0/0", "ipProtocol": "-1"},
        {"cidrIpv4": "0.0.0.0/0", "ipProtocol": "tcp", "fromPort": 443, "toPort": 9999},
        {"cidrIpv4": "0.0.0.0/0", "ipProtocol": "tcp"},
    ],
)
def test_every_way_of_opening_a_port_is_seen(given: dict[str, object]) -> None:
    rule = Resource("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule", "r", "urn:r", given)
    for id_ in ("EC2.18", "EC2.19"):
        assert outcome(BY_ID[id_], [rule]) == "failed"


def test_an_api_server_is_never_open_even_on_443() -> None:
    cluster = Resource("aws:eks/cluster:Cluster", "eks", "urn:eks", {})
    rule = Resource(
        "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
        "r",
        "urn:r",
        {"cidrIpv4": "0.0.0.0/0", "ipProtocol": "tcp", "fromPort": 443, "toPort": 443},
        {"securityGroupId": ("urn:eks",)},
    )
    (verdict,) = judge_stack(BY_ID["EC2.19"], Stack([cluster, rule]))
    assert verdict.failures == ("eks is open to the world",)


def test_keys_picked_by_tags_are_not_every_key() -> None:
    statement = {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": "arn:aws:kms:eu-west-1:1:key/*"}
    picked = {**statement, "Condition": {"StringEquals": {"aws:ResourceTag/x": "y"}}}
    kind = "aws:iam/rolePolicy:RolePolicy"
    assert (
        outcome(BY_ID["KMS.2"], [Resource(kind, "r", "urn:r", {"policy": document(statement)})]) == "failed"
    )
    assert outcome(BY_ID["KMS.2"], [Resource(kind, "r", "urn:r", {"policy": document(picked)})]) == "passed"


def test_a_bucket_of_logs_logs_nothing_of_its_own() -> None:
    logs = [verdict for verdict in verdicts(BY_ID["S3.9"], GOOD) if verdict.resource.name == "logs"]
    assert [verdict.failures for verdict in logs] == [()]
