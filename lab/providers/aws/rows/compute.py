"""EC2's instances and their launch templates."""

from __future__ import annotations

from typing import Any

from lab.providers.aws.hooks import compute as hooks
from lab.providers.aws.table import Call, Hook, Row, Settle, Tagging, Update
from lab.providers.base import Properties

_TAGS = Tagging(
    tag=Call("CreateTags", {"Resources": ["{id}"], "Tags": "{tags}"}),
    untag=Call("DeleteTags", {"Resources": ["{id}"], "Tags": "{keys}"}),
)


def _instance(values: Properties) -> Properties:
    """The network, which an instance states itself or (for a public address) by an interface; and its
    disks."""
    network: dict[str, Any] = {
        "plainSubnetId": values.get("subnetId"),
        "plainGroupIds": values.get("vpcSecurityGroupIds"),
    }
    if values.get("associatePublicIpAddress") is not None:
        interface = {
            "deviceIndex": 0,
            "associatePublicIpAddress": values["associatePublicIpAddress"],
            "subnetId": values.get("subnetId"),
            "groups": values.get("vpcSecurityGroupIds"),
            "privateIpAddress": values.get("privateIp"),
        }
        network = {"interfaces": [{name: value for name, value in interface.items() if value is not None}]}
    disks = []
    if values.get("rootBlockDevice"):
        disk = {name: value for name, value in values["rootBlockDevice"].items() if name != "tags"}
        disks.append({"deviceName": "/dev/xvda", "ebs": disk})
    for stated in values.get("ebsBlockDevices") or []:
        disk = {name: value for name, value in stated.items() if name not in {"tags", "deviceName"}}
        disks.append({"deviceName": stated["deviceName"], "ebs": disk})
    return {**network, "disks": disks or None}


def _template(values: Properties) -> Properties:
    data = {name: values[name] for name in hooks.TEMPLATE_DATA if values.get(name) is not None}
    return {"data": data}


ROWS = (
    Row(
        token="aws:ec2/instance:Instance",
        service="ec2",
        create=Call(
            "RunInstances",
            {
                "MinCount": 1,
                "MaxCount": 1,
                "ImageId": "{ami}",
                "InstanceType": "{instanceType}",
                "KeyName": "{keyName}",
                "SubnetId": "{plainSubnetId}",
                "SecurityGroupIds": "{plainGroupIds}",
                "NetworkInterfaces": "{interfaces}",
                "PrivateIpAddress": "{privateIp}",
                "IamInstanceProfile": {"Name": "{iamInstanceProfile!}"},
                "LaunchTemplate": {
                    "LaunchTemplateId": "{launchTemplate.id}",
                    "LaunchTemplateName": "{launchTemplate.name}",
                    "Version": "{launchTemplate.version}",
                },
                "MetadataOptions": "{metadataOptions}",
                "BlockDeviceMappings": "{disks}",
                "Monitoring": {"Enabled": "{monitoring!}"},
                "DisableApiTermination": "{disableApiTermination}",
                "EbsOptimized": "{ebsOptimized}",
                "UserData": "{userData}",
                "TagSpecifications": [{"ResourceType": "instance", "Tags": "{tagsAll!}"}],
            },
            result="Instances[0]",
        ),
        read=Call("DescribeInstances", {"InstanceIds": ["{id}"]}, result="Reservations[0].Instances[0]"),
        delete=Call("TerminateInstances", {"InstanceIds": ["{id}"]}),
        id="{instanceId}",
        names={
            "ami": "ImageId",
            "privateIp": "PrivateIpAddress",
            "publicIp": "PublicIpAddress",
            "privateDns": "PrivateDnsName",
            "publicDns": "PublicDnsName",
        },
        reads={
            "instanceState": "State.Name",
            "state": "",
            "availabilityZone": "Placement.AvailabilityZone",
            "tenancy": "Placement.Tenancy",
            # moto tells an interface's groups with the interface alone.
            "vpcSecurityGroupIds": "SecurityGroups[].GroupId || NetworkInterfaces[0].Groups[].GroupId",
            "primaryNetworkInterfaceId": "NetworkInterfaces[0].NetworkInterfaceId",
            "monitoring": "Monitoring.State && Monitoring.State == 'enabled'",
            # Told by ARN, stated by name.
            "iamInstanceProfile": "ends_with(IamInstanceProfile.Arn || '', '/{iamInstanceProfile}')"
            " && '{iamInstanceProfile}' || null",
            "metadataOptions": "MetadataOptions && {httpEndpoint: MetadataOptions.HttpEndpoint,"
            " httpTokens: MetadataOptions.HttpTokens,"
            " httpPutResponseHopLimit: MetadataOptions.HttpPutResponseHopLimit,"
            " instanceMetadataTags: MetadataOptions.InstanceMetadataTags}",
            "securityGroups": "",
            "networkInterfaces": "",
            "blockDeviceMappings": "",
            "placement": "",
        },
        updates=(
            Update(
                Call("ModifyInstanceAttribute", {"InstanceId": "{id}", "Groups": "{vpcSecurityGroupIds}"}),
                when=("vpcSecurityGroupIds",),
            ),
            Update(
                Call(
                    "ModifyInstanceAttribute",
                    {"InstanceId": "{id}", "DisableApiTermination": {"Value": "{disableApiTermination}"}},
                ),
                when=("disableApiTermination",),
            ),
            Update(
                Call(
                    "ModifyInstanceMetadataOptions",
                    {
                        "InstanceId": "{id}",
                        "HttpTokens": "{metadataOptions.httpTokens}",
                        "HttpEndpoint": "{metadataOptions.httpEndpoint}",
                        "HttpPutResponseHopLimit": "{metadataOptions.httpPutResponseHopLimit}",
                        "InstanceMetadataTags": "{metadataOptions.instanceMetadataTags}",
                    },
                ),
                when=("metadataOptions",),
            ),
        ),
        prepare=_instance,
        prepared=frozenset({"subnetId", "associatePublicIpAddress", "rootBlockDevice", "ebsBlockDevices"}),
        # A template's newer version is for instances to come; a running one is not replaced for it.
        local=frozenset({"launchTemplate", "userDataReplaceOnChange"}),
        defaults={"disableApiTermination": False},
        computed={"arn": "arn:{partition}:ec2:{region}:{account}:instance/{id}"},
        settle=Settle("instanceState", frozenset({"running"}), frozenset({"terminated", "shutting-down"})),
        tags=_TAGS,
        gone=frozenset({"InvalidInstanceID.NotFound"}),
        gone_states={"instanceState": frozenset({"terminated"})},
    ),
    Row(
        token="aws:ec2/launchTemplate:LaunchTemplate",
        service="ec2",
        create=Call(
            "CreateLaunchTemplate",
            {
                "LaunchTemplateName": "{name}",
                "VersionDescription": "{description}",
                "LaunchTemplateData": "{data}",
                "TagSpecifications": [{"ResourceType": "launch-template", "Tags": "{tagsAll!}"}],
            },
            result="LaunchTemplate",
        ),
        read=Call("DescribeLaunchTemplates", {"LaunchTemplateIds": ["{id}"]}, result="LaunchTemplates[0]"),
        delete=Call("DeleteLaunchTemplate", {"LaunchTemplateId": "{id}"}),
        id="{launchTemplateId}",
        names={
            "name": "LaunchTemplateName",
            "latestVersion": "LatestVersionNumber",
            "defaultVersion": "DefaultVersionNumber",
            **hooks.TEMPLATE_NAMES,
        },
        prepare=_template,
        hooks=(
            Hook(
                (*hooks.TEMPLATE_DATA, "description", "defaultVersion", "updateDefaultVersion"),
                hooks.set_template,
                hooks.read_template,
            ),
        ),
        renewed=frozenset({"latestVersion", "defaultVersion"}),
        computed={"arn": "arn:{partition}:ec2:{region}:{account}:launch-template/{id}"},
        autoname="name",
        tags=_TAGS,
        gone=frozenset({"InvalidLaunchTemplateId.NotFound", "InvalidLaunchTemplateName.NotFoundException"}),
    ),
)
