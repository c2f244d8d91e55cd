"""IAM: what has to be taken away before a thing can be deleted, and versions of policies."""

# ruff: noqa: ARG001 - every hook has the same signature
from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lab.providers.base import Properties

if TYPE_CHECKING:
    from lab.providers.aws.resources import Resources


def release_role(calls: Resources, values: Properties) -> None:
    """Detach a role's policies, where the program allowed it (``forceDetachPolicies``)."""
    if not values.get("forceDetachPolicies"):
        return
    role = {"RoleName": values["id"]}
    for policy in calls.call("iam", "ListAttachedRolePolicies", role)["AttachedPolicies"]:
        calls.call("iam", "DetachRolePolicy", {**role, "PolicyArn": policy["PolicyArn"]})
    for name in calls.call("iam", "ListRolePolicies", role)["PolicyNames"]:
        calls.call("iam", "DeleteRolePolicy", {**role, "PolicyName": name})


def delete_policy_versions(calls: Resources, values: Properties) -> None:
    """Delete all versions of a managed policy but the default one, which goes with the policy."""
    for version in calls.call("iam", "ListPolicyVersions", {"PolicyArn": values["id"]})["Versions"]:
        if not version["IsDefaultVersion"]:
            calls.call(
                "iam", "DeletePolicyVersion", {"PolicyArn": values["id"], "VersionId": version["VersionId"]}
            )


def set_policy_version(calls: Resources, old: Properties, new: Properties) -> None:
    """Give a managed policy a new default version, after making room: AWS keeps at most five."""
    if not old:
        return
    versions: list[Any] = calls.call("iam", "ListPolicyVersions", {"PolicyArn": new["id"]})["Versions"]
    spare = sorted(
        (item for item in versions if not item["IsDefaultVersion"]), key=lambda item: item["CreateDate"]
    )
    if len(versions) >= 5:
        calls.call("iam", "DeletePolicyVersion", {"PolicyArn": new["id"], "VersionId": spare[0]["VersionId"]})
    calls.call(
        "iam",
        "CreatePolicyVersion",
        {"PolicyArn": new["id"], "PolicyDocument": new["policy"], "SetAsDefault": True},
    )


def set_profile_role(calls: Resources, old: Properties, new: Properties) -> None:
    """Put the one role of an instance profile in place."""
    name = {"InstanceProfileName": new["id"]}
    (profile,) = calls.call("iam", "GetInstanceProfile", name).values()
    live = [role["RoleName"] for role in profile["Roles"]]
    for role in live:
        if role != new.get("role"):
            calls.call("iam", "RemoveRoleFromInstanceProfile", {**name, "RoleName": role})
    if new.get("role") and new["role"] not in live:
        calls.call("iam", "AddRoleToInstanceProfile", {**name, "RoleName": new["role"]})


def empty_profile(calls: Resources, values: Properties) -> None:
    """Take the role out of an instance profile, which AWS wants before it is deleted."""
    set_profile_role(calls, {}, {"id": values["id"]})


def release_user(calls: Resources, values: Properties) -> None:
    """Take a user's policies, keys and memberships away, where the program allowed it (``forceDestroy``)."""
    if not values.get("forceDestroy"):
        return
    user = {"UserName": values["id"]}
    for policy in calls.call("iam", "ListAttachedUserPolicies", user)["AttachedPolicies"]:
        calls.call("iam", "DetachUserPolicy", {**user, "PolicyArn": policy["PolicyArn"]})
    for name in calls.call("iam", "ListUserPolicies", user)["PolicyNames"]:
        calls.call("iam", "DeleteUserPolicy", {**user, "PolicyName": name})
    for key in calls.call("iam", "ListAccessKeys", user)["AccessKeyMetadata"]:
        calls.call("iam", "DeleteAccessKey", {**user, "AccessKeyId": key["AccessKeyId"]})
    for group in calls.call("iam", "ListGroupsForUser", user)["Groups"]:
        calls.call("iam", "RemoveUserFromGroup", {**user, "GroupName": group["GroupName"]})
