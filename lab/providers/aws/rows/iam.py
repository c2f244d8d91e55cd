"""IAM: roles, policies, instance profiles, identity providers."""

from __future__ import annotations

from lab.providers.aws.hooks import iam as hooks
from lab.providers.aws.table import Call, Hook, Row, Tagging, Update

_NO_SUCH = frozenset({"NoSuchEntity", "NoSuchEntityException"})


def _tagging(kind: str, key: str) -> Tagging:
    return Tagging(
        tag=Call(f"Tag{kind}", {key: "{id}", "Tags": "{tags}"}),
        untag=Call(f"Untag{kind}", {key: "{id}", "TagKeys": "{keys}"}),
    )


_USER_POLICY = Call(
    "PutUserPolicy", {"UserName": "{user}", "PolicyName": "{name}", "PolicyDocument": "{policy}"}
)

ROWS = (
    Row(
        token="aws:iam/role:Role",
        service="iam",
        create=Call("CreateRole", {"Tags": "{tagsAll}"}, result="Role", rest=True),
        read=Call("GetRole", {"RoleName": "{id}"}, result="Role"),
        delete=Call("DeleteRole", {"RoleName": "{id}"}),
        id="{name}",
        names={"name": "RoleName", "assumeRolePolicy": "AssumeRolePolicyDocument", "uniqueId": "RoleId"},
        reads={"permissionsBoundary": "PermissionsBoundary.PermissionsBoundaryArn", "roleLastUsed": ""},
        updates=(
            Update(
                Call("UpdateAssumeRolePolicy", {"RoleName": "{id}", "PolicyDocument": "{assumeRolePolicy}"}),
                when=("assumeRolePolicy",),
            ),
            Update(
                Call(
                    "UpdateRole",
                    {
                        "RoleName": "{id}",
                        "Description": "{description}",
                        "MaxSessionDuration": "{maxSessionDuration}",
                    },
                ),
                when=("description", "maxSessionDuration"),
            ),
            Update(
                Call(
                    "PutRolePermissionsBoundary",
                    {"RoleName": "{id}", "PermissionsBoundary": "{permissionsBoundary}"},
                ),
                when=("permissionsBoundary",),
                flag="permissionsBoundary",
            ),
            Update(
                Call("DeleteRolePermissionsBoundary", {"RoleName": "{id}"}),
                when=("permissionsBoundary",),
                flag="!permissionsBoundary",
            ),
        ),
        documents=frozenset({"assumeRolePolicy"}),
        defaults={"description": "", "maxSessionDuration": 3600},
        local=frozenset({"forceDetachPolicies"}),
        on_delete=hooks.release_role,
        required=("assumeRolePolicy",),
        autoname="name",
        tags=_tagging("Role", "RoleName"),
        gone=_NO_SUCH,
        regional=False,
    ),
    Row(
        token="aws:iam/rolePolicy:RolePolicy",
        service="iam",
        create=Call(
            "PutRolePolicy", {"RoleName": "{role}", "PolicyName": "{name}", "PolicyDocument": "{policy}"}
        ),
        read=Call("GetRolePolicy", {"RoleName": "{role}", "PolicyName": "{name}"}),
        delete=Call("DeleteRolePolicy", {"RoleName": "{role}", "PolicyName": "{name}"}),
        id="{role}:{name}",
        names={"role": "RoleName", "name": "PolicyName", "policy": "PolicyDocument"},
        updates=(
            Update(
                Call(
                    "PutRolePolicy",
                    {"RoleName": "{role}", "PolicyName": "{name}", "PolicyDocument": "{policy}"},
                ),
                when=("policy",),
            ),
        ),
        documents=frozenset({"policy"}),
        required=("role", "policy"),
        autoname="name",
        gone=_NO_SUCH,
        regional=False,
    ),
    Row(
        token="aws:iam/rolePolicyAttachment:RolePolicyAttachment",
        service="iam",
        create=Call("AttachRolePolicy", {"RoleName": "{role}", "PolicyArn": "{policyArn}"}),
        read=Call(
            "ListAttachedRolePolicies",
            {"RoleName": "{role}"},
            result="AttachedPolicies[?PolicyArn=='{policyArn}'] | [0]",
        ),
        delete=Call("DetachRolePolicy", {"RoleName": "{role}", "PolicyArn": "{policyArn}"}),
        id="{role}/{policyArn}",
        reads={"policyName": ""},
        required=("role", "policyArn"),
        gone=_NO_SUCH,
        regional=False,
    ),
    Row(
        token="aws:iam/policy:Policy",
        service="iam",
        create=Call("CreatePolicy", {"Tags": "{tagsAll}"}, result="Policy", rest=True),
        read=Call("GetPolicy", {"PolicyArn": "{id}"}, result="Policy"),
        delete=Call("DeletePolicy", {"PolicyArn": "{id}"}),
        id="{arn}",
        names={"name": "PolicyName", "policy": "PolicyDocument"},
        looks=(
            (
                "policy",
                Call(
                    "GetPolicyVersion",
                    {"PolicyArn": "{id}", "VersionId": "{defaultVersionId}"},
                    result="PolicyVersion.Document",
                ),
            ),
        ),
        hooks=(Hook(("policy",), hooks.set_policy_version),),
        on_delete=hooks.delete_policy_versions,
        local=frozenset({"delayAfterPolicyCreationInMs"}),
        documents=frozenset({"policy"}),
        required=("policy",),
        autoname="name",
        tags=_tagging("Policy", "PolicyArn"),
        gone=_NO_SUCH,
        regional=False,
    ),
    Row(
        token="aws:iam/instanceProfile:InstanceProfile",
        service="iam",
        create=Call("CreateInstanceProfile", {"Tags": "{tagsAll}"}, result="InstanceProfile", rest=True),
        read=Call("GetInstanceProfile", {"InstanceProfileName": "{id}"}, result="InstanceProfile"),
        delete=Call("DeleteInstanceProfile", {"InstanceProfileName": "{id}"}),
        id="{name}",
        names={"name": "InstanceProfileName", "uniqueId": "InstanceProfileId"},
        reads={"role": "Roles[0].RoleName", "roles": ""},
        hooks=(Hook(("role",), hooks.set_profile_role),),
        on_delete=hooks.empty_profile,
        autoname="name",
        tags=_tagging("InstanceProfile", "InstanceProfileName"),
        gone=_NO_SUCH,
        regional=False,
    ),
    Row(
        token="aws:iam/openIdConnectProvider:OpenIdConnectProvider",
        service="iam",
        create=Call("CreateOpenIDConnectProvider", {"Tags": "{tagsAll}"}, rest=True),
        read=Call("GetOpenIDConnectProvider", {"OpenIDConnectProviderArn": "{id}"}),
        delete=Call("DeleteOpenIDConnectProvider", {"OpenIDConnectProviderArn": "{id}"}),
        id="{openIDConnectProviderArn}",
        names={"clientIdLists": "ClientIDList", "thumbprintLists": "ThumbprintList"},
        # Stated with a scheme, described without.
        reads={"url": "ends_with('{url}', Url) && '{url}' || Url"},
        updates=(
            Update(
                Call(
                    "UpdateOpenIDConnectProviderThumbprint",
                    {"OpenIDConnectProviderArn": "{id}", "ThumbprintList": "{thumbprintLists}"},
                ),
                when=("thumbprintLists",),
            ),
        ),
        computed={"arn": "{id}"},
        required=("url", "clientIdLists"),
        tags=_tagging("OpenIDConnectProvider", "OpenIDConnectProviderArn"),
        gone=_NO_SUCH,
        regional=False,
    ),
    Row(
        token="aws:iam/user:User",
        service="iam",
        create=Call("CreateUser", {"Tags": "{tagsAll}"}, result="User", rest=True),
        read=Call("GetUser", {"UserName": "{id}"}, result="User"),
        delete=Call("DeleteUser", {"UserName": "{id}"}),
        id="{name}",
        names={"name": "UserName", "uniqueId": "UserId"},
        reads={"permissionsBoundary": "PermissionsBoundary.PermissionsBoundaryArn"},
        local=frozenset({"forceDestroy"}),
        on_delete=hooks.release_user,
        autoname="name",
        tags=_tagging("User", "UserName"),
        gone=_NO_SUCH,
        regional=False,
    ),
    Row(
        token="aws:iam/userPolicy:UserPolicy",
        service="iam",
        create=_USER_POLICY,
        read=Call("GetUserPolicy", {"UserName": "{user}", "PolicyName": "{name}"}),
        delete=Call("DeleteUserPolicy", {"UserName": "{user}", "PolicyName": "{name}"}),
        id="{user}:{name}",
        names={"user": "UserName", "name": "PolicyName", "policy": "PolicyDocument"},
        updates=(Update(_USER_POLICY, when=("policy",)),),
        documents=frozenset({"policy"}),
        required=("user", "policy"),
        autoname="name",
        gone=_NO_SUCH,
        regional=False,
    ),
)
