"""What DMS tells CloudWatch of its tasks: how far behind each is.

DMS itself does so once a minute; here it is said whenever somebody asks, as of that moment.
"""

from __future__ import annotations

from moto.cloudwatch.models import cloudwatch_backends
from moto.cloudwatch.responses import CloudWatchResponse

from lab.aws.fakes.dms import INSTANCES, TASKS
from lab.aws.fakes.operation import Parameters, Place, precede
from lab.replication import dms_tasks

NAMESPACE, METRIC = "AWS/DMS", "CDCLatencyTarget"


def install() -> None:
    """Let CloudWatch know whenever somebody is about to ask."""
    precede(CloudWatchResponse, "GetMetricData", _publish)


def _publish(place: Place, _given: Parameters) -> None:
    names = {
        item["ReplicationInstanceArn"]: item["ReplicationInstanceIdentifier"]
        for item in INSTANCES.store.all(place)
    }
    for task in TASKS.store.all(place):
        status = dms_tasks.status(task["ReplicationTaskArn"])
        if status is None or status["state"] != "running":
            continue
        dimensions = {
            "ReplicationInstanceIdentifier": names[task["ReplicationInstanceArn"]],
            "ReplicationTaskIdentifier": task["ReplicationTaskArn"].rpartition(":")[2],
        }
        datum = {
            "MetricName": METRIC,
            "Value": status.get("latency", 0.0),
            "Unit": "Seconds",
            "Dimensions": [{"Name": name, "Value": value} for name, value in dimensions.items()],
        }
        cloudwatch_backends[place.account][place.region].put_metric_data(NAMESPACE, [datum])
