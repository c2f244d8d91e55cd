"""Launch templates: each change is a version of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lab.providers.aws import shapes
from lab.providers.aws.session import operation_model
from lab.providers.base import Properties

if TYPE_CHECKING:
    from lab.providers.aws.resources import Resources

# The properties that make up a version.
TEMPLATE_DATA = (
    "blockDeviceMappings",
    "creditSpecification",
    "disableApiStop",
    "disableApiTermination",
    "ebsOptimized",
    "iamInstanceProfile",
    "imageId",
    "instanceInitiatedShutdownBehavior",
    "instanceType",
    "keyName",
    "metadataOptions",
    "monitoring",
    "networkInterfaces",
    "tagSpecifications",
    "userData",
    "vpcSecurityGroupIds",
)
TEMPLATE_NAMES = {
    "data.vpcSecurityGroupIds": "SecurityGroupIds",
    "data.networkInterfaces.securityGroups": "Groups",
    "data.networkInterfaces.networkCardIndex": "NetworkCardIndex",
}


def set_template(calls: Resources, old: Properties, new: Properties) -> None:
    """Make a new version of what changed, and the default one if it shall be."""
    identity = {"LaunchTemplateId": new["id"]}
    if not old:
        return
    latest = None
    if any(old.get(name) != new.get(name) for name in (*TEMPLATE_DATA, "description")):
        request = {"description": new.get("description"), "data": new.get("data") or {}}
        shape = operation_model("ec2", "CreateLaunchTemplateVersion").input_shape
        template = {"VersionDescription": "{description}", "LaunchTemplateData": "{data}"}
        filled = shapes.fill(template, shape, request, TEMPLATE_NAMES)
        answer = calls.call("ec2", "CreateLaunchTemplateVersion", {**identity, **filled})
        latest = answer["LaunchTemplateVersion"]["VersionNumber"]
    default = latest if new.get("updateDefaultVersion") else None
    if old.get("defaultVersion") != new.get("defaultVersion") and new.get("defaultVersion"):
        default = new["defaultVersion"]
    if default is not None:
        calls.call("ec2", "ModifyLaunchTemplate", {**identity, "DefaultVersion": str(default)})


def read_template(calls: Resources, values: Properties) -> Properties:
    """The latest version's properties."""
    asked = {"LaunchTemplateId": values["id"], "Versions": ["$Latest"]}
    (version,) = calls.call("ec2", "DescribeLaunchTemplateVersions", asked)["LaunchTemplateVersions"]
    output = operation_model("ec2", "DescribeLaunchTemplateVersions").output_shape
    shape = output.members["LaunchTemplateVersions"].member.members["LaunchTemplateData"]
    form = shapes.Form(
        {path.removeprefix("data."): name for path, name in TEMPLATE_NAMES.items()},
        maps=frozenset({"tagSpecifications.tags"}),
    )
    data: dict[str, Any] = shapes.from_aws(shape, version.get("LaunchTemplateData", {}), "", form)
    found = {name: data[name] for name in TEMPLATE_DATA if name in data}
    # The template's own tags are not part of what it makes.
    specifications = found.pop("tagSpecifications", [])
    if made := [item for item in specifications if item.get("resourceType") != "launch-template"]:
        found["tagSpecifications"] = made
    for mapping in found.get("blockDeviceMappings", []):
        # Stated as texts, since they may be left open.
        for name in ("encrypted", "deleteOnTermination"):
            if name in mapping.get("ebs", {}):
                mapping["ebs"][name] = "true" if mapping["ebs"][name] else "false"
    if "VersionDescription" in version:
        found["description"] = version["VersionDescription"]
    return found
