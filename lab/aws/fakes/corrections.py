"""Where moto does something else than AWS, and landfall's stacks would notice."""

from __future__ import annotations

import json
from copy import copy
from typing import Any

from moto.ec2.models import ec2_backends
from moto.ec2.responses import EC2Response
from moto.rds.models import RDSBackend, rds_backends
from moto.rds.responses import RDSResponse
from moto.s3.models import FakeBucket, S3Backend

from lab.aws.fakes.operation import Item, Parameters, Place, add, follow, precede, refuse, snake

_LOGGING = "logging.s3.amazonaws.com"
_NEWER_VERSIONS = {"mysql": {"8.4": "8.0"}}
"""By engine, a version that moto does not know, and one that it takes for it."""


def install() -> None:
    """Correct all of it."""
    precede(EC2Response, "RunInstances", _groups_once)
    follow(EC2Response, "ModifyVpcEndpoint", _route_endpoint)
    follow(EC2Response, "DeleteVpcEndpoints", _forget_endpoints)
    follow(EC2Response, "DeleteNatGateway", _forget_gateway_interface)
    follow(EC2Response, "TerminateInstances", _forget_instance_interfaces)
    if not hasattr(RDSBackend.modify_db_subnet_group, "corrected"):
        RDSBackend.modify_db_subnet_group = _keep_subnet_group(RDSBackend.modify_db_subnet_group)  # type: ignore[method-assign]
    add(
        RDSResponse,
        {"ResetDBParameterGroup": _reset_parameters, "ModifyEventSubscription": _modify_subscription},
    )
    if not hasattr(RDSBackend.create_option_group, "corrected"):
        RDSBackend.create_option_group = _offer_new_versions(RDSBackend.create_option_group)  # type: ignore[method-assign]
    if not hasattr(RDSBackend.describe_option_groups, "corrected"):
        RDSBackend.describe_option_groups = _list_none(RDSBackend.describe_option_groups)  # type: ignore[method-assign]
    if not hasattr(S3Backend.get_bucket_encryption, "corrected"):
        S3Backend.get_bucket_encryption = _encrypt_always(S3Backend.get_bucket_encryption)  # type: ignore[method-assign]
    if not hasattr(FakeBucket.get_permission, "corrected"):
        FakeBucket.get_permission = _with_tls(FakeBucket.get_permission)  # type: ignore[method-assign]
    FakeBucket._log_permissions_enabled_policy = staticmethod(_may_deliver_logs)  # type: ignore[method-assign]


def _groups_once(place: Place, given: Parameters) -> None:
    """Where a call describes network interfaces, security groups are theirs; moto takes a template's too."""
    wanted = given.get("LaunchTemplate", {})
    template = ec2_backends[place.account][place.region].launch_templates.get(wanted.get("LaunchTemplateId"))
    if template is None or not given.get("NetworkInterfaces"):
        return
    if template.get_version(wanted.get("Version", "$Default")).data.get("SecurityGroupIds"):
        raise refuse(
            "InvalidParameterCombination",
            "Network interfaces and an instance-level security groups may not be specified on the same"
            " request",
        )


def _route_endpoint(place: Place, given: Parameters) -> None:
    """A gateway endpoint's routes follow its route tables; moto makes them only at creation, and fails at
    deletion."""
    backend = ec2_backends[place.account][place.region]
    (endpoint,) = backend.describe_vpc_endpoints(vpc_end_point_ids=[given["VpcEndpointId"]])
    if str(endpoint.vpc_endpoint_type).lower() != "gateway":
        return
    for table in given.get("AddRouteTableIds", []):
        backend.create_route(
            table,
            None,
            gateway_id=endpoint.id,
            destination_prefix_list_id=endpoint.destination_prefix_list_id,
        )
    for table in given.get("RemoveRouteTableIds", []):
        backend.delete_route(table, str(endpoint.destination_prefix_list_id))


def _forget_endpoints(place: Place, given: Parameters) -> None:
    """A deleted endpoint is gone; moto lists it as deleted for ever, and deletes its routes again."""
    for endpoint in given["VpcEndpointIds"]:
        ec2_backends[place.account][place.region].vpc_end_points.pop(endpoint, None)


def _forget_gateway_interface(place: Place, given: Parameters) -> None:
    """A NAT gateway's network interface goes with it; moto keeps it."""
    backend = ec2_backends[place.account][place.region]
    gateway = backend.nat_gateways[given["NatGatewayId"]]
    backend.enis.pop(gateway._eni.id, None)


def _forget_instance_interfaces(place: Place, given: Parameters) -> None:
    """The first network interface, made with an instance, goes with it; moto asks for it to be stated."""
    backend = ec2_backends[place.account][place.region]
    for instance in backend.get_multi_instances_by_id(given["InstanceIds"]):
        for interface in instance.nics.values():
            if interface.device_index == 0:
                backend.enis.pop(interface.id, None)


def _keep_subnet_group(modify: Any) -> Any:
    """A changed subnet group is still there; moto loses it."""

    def modify_db_subnet_group(
        self: RDSBackend, subnet_name: str, description: str, subnets: list[Any]
    ) -> Any:
        group = modify(self, subnet_name, description, subnets)
        self.subnet_groups[subnet_name] = group
        return group

    modify_db_subnet_group.corrected = True  # type: ignore[attr-defined]
    return modify_db_subnet_group


def _offer_new_versions(create: Any) -> Any:
    """Option groups are for newer versions as well; moto's list ends in 2022."""

    def create_option_group(self: RDSBackend, option_group_kwargs: dict[str, Any]) -> Any:
        engine, version = option_group_kwargs["engine_name"], option_group_kwargs["major_engine_version"]
        if (known := _NEWER_VERSIONS.get(engine, {}).get(version)) is None:
            return create(self, option_group_kwargs)
        group = create(self, {**option_group_kwargs, "major_engine_version": known})
        group.major_engine_version = version
        return group

    create_option_group.corrected = True  # type: ignore[attr-defined]
    return create_option_group


def _list_none(describe: Any) -> Any:
    """Who names no option group asks for all of them, and there may be none; moto fails at both."""

    def describe_option_groups(self: RDSBackend, option_group_kwargs: dict[str, Any]) -> Any:
        members = ("option_group_name", "engine_name", "major_engine_version")
        asked = {member: option_group_kwargs.get(member) for member in members}
        return describe(self, asked) if self.option_groups or any(asked.values()) else []

    describe_option_groups.corrected = True  # type: ignore[attr-defined]
    return describe_option_groups


def _encrypt_always(get: Any) -> Any:
    """A bucket without settings of its own is encrypted with S3's keys; moto has none for it."""

    def get_bucket_encryption(self: S3Backend, bucket_name: str) -> Any:
        default = {
            "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"},
            "BucketKeyEnabled": "false",
        }
        return get(self, bucket_name) or {"Rule": default}

    get_bucket_encryption.corrected = True  # type: ignore[attr-defined]
    return get_bucket_encryption


def _with_tls(permission: Any) -> Any:
    """A bucket that denies what comes without TLS takes the lab's requests for such as come with it.

    moto knows no conditions: to it the statement denies everything.
    """

    def get_permission(self: FakeBucket, action: str, resource: str) -> Any:
        if self.policy is None:
            return permission(self, action, resource)
        policy = json.loads(self.policy)
        without = {"Bool": {"aws:SecureTransport": "false"}}
        kept = [item for item in policy["Statement"] if item.get("Condition") != without]
        seen = copy(self)
        seen.policy = json.dumps({**policy, "Statement": kept}).encode() if kept else None
        return permission(seen, action, resource)

    get_permission.corrected = True  # type: ignore[attr-defined]
    return get_permission


def _reset_parameters(place: Place, given: Parameters) -> Item:
    """Parameters back to their family's defaults, which moto does not list: they are no longer set by
    anybody."""
    name = given["DBParameterGroupName"]
    groups = rds_backends[place.account][place.region].db_parameter_groups
    if name not in groups:
        raise refuse("DBParameterGroupNotFoundFault", f"DBParameterGroup not found: {name}")
    if given.get("ResetAllParameters"):
        groups[name].parameters.clear()
    for parameter in given.get("Parameters", []):
        groups[name].parameters.pop(parameter["ParameterName"], None)
    return {"DBParameterGroupName": name}


def _modify_subscription(place: Place, given: Parameters) -> Item:
    name = given["SubscriptionName"]
    subscriptions = rds_backends[place.account][place.region].event_subscriptions
    if name not in subscriptions:
        raise refuse("SubscriptionNotFoundFault", f"Event notification subscription {name} not found.")
    subscription = subscriptions[name]
    for member in ("SnsTopicArn", "SourceType", "EventCategories", "Enabled"):
        if member in given:
            setattr(subscription, snake(member), given[member])
    return {"EventSubscription": subscription}


def _may_deliver_logs(target_bucket: Any, target_prefix: str | None) -> bool:
    """Whether a bucket's policy lets S3's logging write into it; moto fails on a principal that is not an
    object."""
    statements = json.loads(target_bucket.policy or b"{}").get("Statement", [])
    start = f"arn:{target_bucket.partition}:s3:::{target_bucket.name}"
    places = {start, f"{start}/*", f"{start}/{target_prefix or ''}*"}
    return any(
        statement.get("Effect") == "Allow"
        and isinstance(statement.get("Principal"), dict)
        and _LOGGING in _listed(statement["Principal"].get("Service"))
        and "s3:PutObject" in _listed(statement.get("Action"))
        and places & set(_listed(statement.get("Resource")))
        for statement in statements
    )


def _listed(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]
