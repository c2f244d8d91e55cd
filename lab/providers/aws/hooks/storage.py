"""Buckets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grpc import StatusCode

from lab.providers.aws.session import AwsError
from lab.providers.base import Properties

if TYPE_CHECKING:
    from lab.providers.aws.resources import Resources


def empty_bucket(calls: Resources, values: Properties) -> None:
    """Delete a bucket's objects and their versions, where the program allowed it (``forceDestroy``)."""
    if not values.get("forceDestroy"):
        return
    bucket = {"Bucket": values["id"]}
    while True:
        page = calls.call("s3", "ListObjectVersions", bucket)
        found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        if not found:
            return
        objects = [{"Key": item["Key"], "VersionId": item["VersionId"]} for item in found]
        answer = calls.call("s3", "DeleteObjects", {**bucket, "Delete": {"Objects": objects, "Quiet": True}})
        if answer.get("Errors"):
            error = answer["Errors"][0]
            raise AwsError(
                f"bucket {values['id']}: {error['Key']} cannot be deleted: {error.get('Message')}",
                StatusCode.FAILED_PRECONDITION,
                str(error.get("Code")),
            )
