"""DMS, in the place of moto's: with subnets, certificates, modifications, tags and table statistics.

A task that is started says that it runs. It really replicates where lab.replication.dms_tasks is enabled.
"""

# ruff: noqa: ARG001, ARG005 - every function has the signature of `Kind`
from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

from moto.dms.responses import DatabaseMigrationServiceResponse
from moto.ec2.models import ec2_backends
from moto.secretsmanager.models import secretsmanager_backends

from lab.aws.fakes.kinds import Kind, tagging
from lab.aws.fakes.operation import Item, Operation, Parameters, Place, Store, add, refuse
from lab.replication import dms_jobs, dms_tasks

_EXISTS, _MISSING, _STATE = "ResourceAlreadyExistsFault", "ResourceNotFoundFault", "InvalidResourceStateFault"
_connections: dict[Place, dict[tuple[str, str], Item]] = {}


def install() -> None:
    """Put all of it in the place of moto's."""
    operations: dict[str, Operation] = {
        "TestConnection": _test_connection,
        "DescribeConnections": _describe_connections,
        "StartReplicationTask": _start,
        "StopReplicationTask": _stop,
        "DescribeTableStatistics": lambda place, given: {
            "ReplicationTaskArn": TASKS.find(place, given)["ReplicationTaskArn"],
            "TableStatistics": dms_jobs.statistics(
                dms_tasks.status(TASKS.find(place, given)["ReplicationTaskArn"])
            ),
        },
    }
    for kind in KINDS:
        operations |= kind.operations()
    operations |= tagging(
        KINDS, "ResourceArn", lambda arn: refuse(_MISSING, f"The resource {arn} was not found.")
    )
    add(DatabaseMigrationServiceResponse, operations)


def _now() -> datetime:
    return datetime.now(UTC)


def _arn(place: Place, kind: str, name: str = "") -> str:
    return f"arn:aws:dms:{place.arn_start}:{kind}:{name or uuid.uuid4().hex[:26].upper()}"


def _subnet_group(place: Place, given: Parameters) -> Item:
    subnets = ec2_backends[place.account][place.region].describe_subnets(subnet_ids=given["SubnetIds"])
    zones = {subnet.availability_zone for subnet in subnets}
    if len(zones) < 2:
        raise refuse(
            "ReplicationSubnetGroupDoesNotCoverEnoughAZs",
            "The replication subnet group does not meet Availability Zone coverage requirement:"
            " at least 2 are needed.",
        )
    return {
        "VpcId": subnets[0].vpc_id,
        "SubnetGroupStatus": "Complete",
        "Arn": _arn(place, "subgrp", given["ReplicationSubnetGroupIdentifier"]),
        "Subnets": [
            {
                "SubnetIdentifier": subnet.id,
                "SubnetAvailabilityZone": {"Name": subnet.availability_zone},
                "SubnetStatus": "Active",
            }
            for subnet in subnets
        ],
    }


def _changed_subnet_group(place: Place, item: Item, given: Parameters) -> Item:
    return {**given, **_subnet_group(place, {**item, **given})}


def _free_subnet_group(place: Place, item: Item) -> None:
    name = item["ReplicationSubnetGroupIdentifier"]
    if any(each.get("ReplicationSubnetGroupIdentifier") == name for each in INSTANCES.store.all(place)):
        raise refuse(_STATE, f"The subnet group {name} is in use by a replication instance.")


SUBNET_GROUPS = Kind(
    "ReplicationSubnetGroup",
    "ReplicationSubnetGroups",
    "ReplicationSubnetGroupIdentifier",
    "Arn",
    Store("Replication subnet group", _EXISTS, _MISSING),
    _subnet_group,
    change=_changed_subnet_group,
    before_delete=_free_subnet_group,
    filters={"replication-subnet-group-id": "ReplicationSubnetGroupIdentifier"},
)


def _instance(place: Place, given: Parameters) -> Item:
    if group := given.get("ReplicationSubnetGroupIdentifier"):
        SUBNET_GROUPS.store.get(place, group)
    number = len(INSTANCES.store.all(place)) + 4
    defaults = {
        "AllocatedStorage": 50,
        "EngineVersion": "3.6.1",
        "AutoMinorVersionUpgrade": True,
        "MultiAZ": False,
        "PubliclyAccessible": True,
        "AvailabilityZone": f"{place.region}a",
        "PreferredMaintenanceWindow": "sun:18:00-sun:18:30",
        "NetworkType": "IPV4",
    }
    return {
        **{name: given.get(name, value) for name, value in defaults.items()},
        "ReplicationInstanceStatus": "available",
        "InstanceCreateTime": _now(),
        "ReplicationInstanceArn": _arn(place, "rep"),
        "ReplicationInstancePrivateIpAddresses": [f"10.255.0.{number}"],
        "ReplicationInstancePublicIpAddresses": [],
    }


def _show_instance(place: Place, item: Item) -> Item:
    shown = dict(item)
    if group := item.get("ReplicationSubnetGroupIdentifier"):
        shown["ReplicationSubnetGroup"] = SUBNET_GROUPS.store.get(place, group)
    shown["VpcSecurityGroups"] = [
        {"VpcSecurityGroupId": name, "Status": "active"} for name in item.get("VpcSecurityGroupIds", [])
    ]
    return shown


def _free_instance(place: Place, item: Item) -> None:
    if any(
        task["ReplicationInstanceArn"] == item["ReplicationInstanceArn"] for task in TASKS.store.all(place)
    ):
        raise refuse(_STATE, "The replication instance has tasks: delete them first.")


INSTANCES = Kind(
    "ReplicationInstance",
    "ReplicationInstances",
    "ReplicationInstanceIdentifier",
    "ReplicationInstanceArn",
    Store("Replication instance", _EXISTS, _MISSING),
    _instance,
    show=_show_instance,
    before_delete=_free_instance,
    by_arn=True,
    filters={
        "replication-instance-id": "ReplicationInstanceIdentifier",
        "replication-instance-arn": "ReplicationInstanceArn",
    },
)


def _free_certificate(place: Place, item: Item) -> None:
    if any(each.get("CertificateArn") == item["CertificateArn"] for each in ENDPOINTS.store.all(place)):
        raise refuse(_STATE, "The certificate is in use by an endpoint.")


def _certificate(place: Place, given: Parameters) -> Item:
    if "BEGIN CERTIFICATE" not in given.get("CertificatePem", "") and "CertificateWallet" not in given:
        raise refuse("InvalidCertificateFault", "The certificate was not valid.")
    return {"CertificateArn": _arn(place, "cert"), "CertificateCreationDate": _now()}


CERTIFICATES = Kind(
    "Certificate",
    "Certificates",
    "CertificateIdentifier",
    "CertificateArn",
    Store("Certificate", _EXISTS, _MISSING),
    _certificate,
    before_delete=_free_certificate,
    by_arn=True,
    filters={"certificate-id": "CertificateIdentifier", "certificate-arn": "CertificateArn"},
    create="ImportCertificate",
)


def _endpoint(place: Place, given: Parameters) -> Item:
    if given.get("SslMode") in {"verify-ca", "verify-full"} and "CertificateArn" not in given:
        raise refuse(
            "InvalidParameterValueException", f"A certificate is needed for the SSL mode {given['SslMode']}."
        )
    if "CertificateArn" in given:
        CERTIFICATES.find(place, given)
    return {
        "EndpointArn": _arn(place, "endpoint"),
        "Status": "active",
        "EngineDisplayName": given["EngineName"],
        "EndpointType": given["EndpointType"].lower(),
        "SslMode": given.get("SslMode", "none"),
    }


def _free_endpoint(place: Place, item: Item) -> None:
    arn = item["EndpointArn"]
    if any(arn in (task["SourceEndpointArn"], task["TargetEndpointArn"]) for task in TASKS.store.all(place)):
        raise refuse(_STATE, "The endpoint is used by a replication task.")


ENDPOINTS = Kind(
    "Endpoint",
    "Endpoints",
    "EndpointIdentifier",
    "EndpointArn",
    Store("Endpoint", _EXISTS, _MISSING),
    _endpoint,
    before_delete=_free_endpoint,
    by_arn=True,
    filters={
        "endpoint-id": "EndpointIdentifier",
        "endpoint-arn": "EndpointArn",
        "endpoint-type": "EndpointType",
        "engine-name": "EngineName",
    },
)


def _task(place: Place, given: Parameters) -> Item:
    INSTANCES.find(place, given)
    for side in ("SourceEndpointArn", "TargetEndpointArn"):
        ENDPOINTS.find(place, {"EndpointArn": given[side]})
    return {
        "ReplicationTaskArn": _arn(place, "task"),
        "Status": "ready",
        "ReplicationTaskCreationDate": _now(),
        "ReplicationTaskSettings": given.get("ReplicationTaskSettings", "{}"),
    }


def _changed_task(place: Place, item: Item, given: Parameters) -> Item:
    _require_stopped(item, "modified")
    return given


def _require_stopped(item: Item, what: str) -> None:
    if _current(item)["Status"] in {"running", "starting", "stopping"}:
        raise refuse(_STATE, f"Replication Task cannot be {what}, it is {_current(item)['Status']}.")


TASKS = Kind(
    "ReplicationTask",
    "ReplicationTasks",
    "ReplicationTaskIdentifier",
    "ReplicationTaskArn",
    Store("Replication task", _EXISTS, _MISSING),
    _task,
    show=lambda place, item: _current(item),
    change=_changed_task,
    before_delete=lambda place, item: _require_stopped(item, "deleted"),
    by_arn=True,
    filters={
        "replication-task-id": "ReplicationTaskIdentifier",
        "replication-task-arn": "ReplicationTaskArn",
        "migration-type": "MigrationType",
        "endpoint-arn": "SourceEndpointArn",
        "replication-instance-arn": "ReplicationInstanceArn",
    },
)


def _subscription(place: Place, given: Parameters) -> Item:
    name = given["SubscriptionName"]
    return {
        "CustomerAwsId": place.account,
        "CustSubscriptionId": name,
        "Status": "active",
        "SubscriptionCreationTime": _now().isoformat(sep=" ", timespec="seconds"),
        "SourceIdsList": given.get("SourceIds", []),
        "EventCategoriesList": given.get("EventCategories", []),
        "Enabled": given.get("Enabled", True),
        "Arn": _arn(place, "es", name),
    }


def _changed_subscription(place: Place, item: Item, given: Parameters) -> Item:
    return {**given, "EventCategoriesList": given.get("EventCategories", item["EventCategoriesList"])}


SUBSCRIPTIONS = Kind(
    "EventSubscription",
    "EventSubscriptions",
    "SubscriptionName",
    "Arn",
    Store("Event subscription", _EXISTS, _MISSING),
    _subscription,
    change=_changed_subscription,
    member="EventSubscriptionsList",
)

KINDS = (SUBNET_GROUPS, INSTANCES, CERTIFICATES, ENDPOINTS, TASKS, SUBSCRIPTIONS)


def _current(task: Item) -> Item:
    """A task as it is now, by what its worker says."""
    return dms_jobs.described(task, dms_tasks.status(task["ReplicationTaskArn"]))


def _start(place: Place, given: Parameters) -> Item:
    task = TASKS.find(place, given)
    if _current(task)["Status"] == "running":
        raise refuse(_STATE, "Replication Task cannot be started, it is running.")
    if dms_tasks.enabled():
        _start_worker(place, task, given)
    task |= {
        "Status": "running",
        "ReplicationTaskStartDate": _now(),
        "StartType": given["StartReplicationTaskType"],
    }
    if "CdcStartPosition" in given:
        task["CdcStartPosition"] = given["CdcStartPosition"]
    return {"ReplicationTask": task}


def _start_worker(place: Place, task: Item, given: Parameters) -> None:
    """Signs in as the endpoints' secrets say, over TLS where they have a certificate."""
    ends, authorities = {}, {}
    for end, member in (("source", "SourceEndpointArn"), ("target", "TargetEndpointArn")):
        endpoint = ENDPOINTS.find(place, {"EndpointArn": task[member]})
        secret = endpoint.get("MySQLSettings", {}).get("SecretsManagerSecretId", "")
        backend = secretsmanager_backends[place.account][place.region]
        try:
            ends[end] = dms_jobs.login(backend.get_secret_value(secret, "", "")["SecretString"])
        except Exception as error:
            raise refuse(
                "InvalidResourceStateFault", f"Secret of {member} cannot be used: {error}"
            ) from error
        if "CertificateArn" in endpoint:
            authorities[end] = CERTIFICATES.find(place, endpoint)["CertificatePem"]
    arn = task["ReplicationTaskArn"]
    dms_tasks.start(arn, dms_jobs.job(task, given, ends, dms_tasks.status(arn)), authorities)


def _stop(place: Place, given: Parameters) -> Item:
    task = TASKS.find(place, given)
    state = _current(task)["Status"]
    if state != "running":
        raise refuse(_STATE, f"Replication Task cannot be stopped, it is {state}.")
    dms_tasks.stop(task["ReplicationTaskArn"])
    task |= {"Status": "stopped", "StopReason": "NORMAL"}
    return {"ReplicationTask": task}


def _test_connection(place: Place, given: Parameters) -> Item:
    instance, endpoint = INSTANCES.find(place, given), ENDPOINTS.find(place, given)
    item = {
        "ReplicationInstanceArn": instance["ReplicationInstanceArn"],
        "EndpointArn": endpoint["EndpointArn"],
        "Status": "successful",
        "EndpointIdentifier": endpoint["EndpointIdentifier"],
        "ReplicationInstanceIdentifier": instance["ReplicationInstanceIdentifier"],
    }
    _connections.setdefault(place, {})[item["ReplicationInstanceArn"], item["EndpointArn"]] = item
    return {"Connection": {**item, "Status": "testing"}}


def _describe_connections(place: Place, given: Parameters) -> Item:
    members = {"endpoint-arn": "EndpointArn", "replication-instance-arn": "ReplicationInstanceArn"}
    found: list[dict[str, Any]] = list(_connections.get(place, {}).values())
    for item in given.get("Filters", []):
        found = [each for each in found if each[members[item["Name"]]] in item["Values"]]
    return {"Connections": found}
