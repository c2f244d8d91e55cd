"""AWS for the tests: the lab's server as a process, and resources that others need, made once."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import botocore.session

from lab.providers.base import State
from tests.providers.client import ProviderClient, urn

REGION = "ap-southeast-1"
POOL = "203.0.113.64/29"
SETTINGS = {
    "region": REGION,
    "accessKey": "test",
    "secretKey": "test",
    "defaultTags": json.dumps({"tags": {"project": "landfall"}}),
}


class AwsProcess:
    """``python -m lab.aws`` on a free port."""

    def __init__(self) -> None:
        argv = [sys.executable, "-m", "lab.aws", "--port", "0", "--elastic-ips", POOL]
        self._process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()
        assert self.url.startswith("http://127.0.0.1:"), self.url

    def stop(self) -> None:
        """End it as the lab does."""
        self._process.terminate()
        code = self._process.wait(timeout=20)
        assert self._process.stdout is not None
        self._process.stdout.close()
        assert code == 0

    def client(self, service: str) -> Any:
        """A botocore client, for looking and for changing things behind the provider's back."""
        return botocore.session.Session().create_client(
            service,
            region_name=REGION,
            endpoint_url=self.url,
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )


def token(short: str) -> str:
    """``ec2.Vpc`` as a type token."""
    module, name = short.split(".")
    return f"aws:{module}/{name[0].lower() + name[1:]}:{name}"


def document(action: str) -> str:
    """A policy that allows one action."""
    statement = {"Effect": "Allow", "Action": action, "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def trust(action: str) -> str:
    """A policy that lets instances take a role."""
    principal = {"Service": "ec2.amazonaws.com"}
    statement = {"Effect": "Allow", "Action": action, "Principal": principal}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


class Cloud:
    """Makes what a test's resource needs."""

    def __init__(self, aws: AwsProcess, provider: ProviderClient) -> None:
        self.aws = aws
        self.provider = provider

    def make(self, short: str, name: str, inputs: Mapping[str, Any]) -> State:
        """Create a resource as an engine does."""
        where = urn(token(short), name)
        return self.provider.create(where, self.provider.check(where, dict(inputs)))

    @cached_property
    def vpc(self) -> str:
        return self.make("ec2.Vpc", "shared", {"cidrBlock": "10.40.0.0/16"}).id

    @cached_property
    def peer_vpc(self) -> str:
        return self.make("ec2.Vpc", "peer", {"cidrBlock": "10.50.0.0/16"}).id

    def _subnet(self, index: int, zone: str) -> str:
        inputs = {
            "vpcId": self.vpc,
            "cidrBlock": f"10.40.{index}.0/24",
            "availabilityZone": REGION + zone,
        }
        return self.make("ec2.Subnet", zone, inputs).id

    @cached_property
    def subnets(self) -> list[str]:
        return [self._subnet(0, "a"), self._subnet(1, "b")]

    @cached_property
    def gateway(self) -> str:
        return self.make("ec2.InternetGateway", "shared", {"vpcId": self.vpc}).id

    @cached_property
    def route_tables(self) -> list[str]:
        return [self.make("ec2.RouteTable", name, {"vpcId": self.vpc}).id for name in ("one", "two")]

    @cached_property
    def security_group(self) -> str:
        return self.make("ec2.SecurityGroup", "shared", {"vpcId": self.vpc}).id

    @cached_property
    def address(self) -> str:
        return self.make("ec2.Eip", "shared", {"domain": "vpc"}).id

    @cached_property
    def role(self) -> State:
        return self.make("iam.Role", "shared", {"assumeRolePolicy": trust("sts:AssumeRole")})

    @cached_property
    def role_arn(self) -> str:
        return str(self.role.outputs["arn"])

    @cached_property
    def profile(self) -> State:
        return self.make("iam.InstanceProfile", "shared", {"role": self.role.id})

    @cached_property
    def user(self) -> str:
        return self.make("iam.User", "shared", {}).id

    @cached_property
    def key(self) -> State:
        return self.make("kms.Key", "shared", {"enableKeyRotation": True})

    @cached_property
    def key_arn(self) -> str:
        return str(self.key.outputs["arn"])

    @cached_property
    def bucket(self) -> str:
        return self.make("s3.Bucket", "shared", {}).id

    @cached_property
    def log_bucket(self) -> str:
        bucket = self.make("s3.Bucket", "logs", {}).id
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "logging.s3.amazonaws.com"},
            "Action": "s3:PutObject",
            "Resource": f"arn:aws:s3:::{bucket}/*",
        }
        refusal = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": f"arn:aws:s3:::{bucket}"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [refusal, statement]})
        self.make("s3.BucketPolicy", "logs", {"bucket": bucket, "policy": policy})
        return bucket

    @cached_property
    def topic(self) -> str:
        return self.make("sns.Topic", "shared", {}).id

    @cached_property
    def secret(self) -> str:
        return self.make("secretsmanager.Secret", "shared", {}).id

    @cached_property
    def log_group(self) -> State:
        return self.make("cloudwatch.LogGroup", "shared", {"name": "/aws/vpc/shared"})

    @cached_property
    def template(self) -> str:
        return self.make("ec2.LaunchTemplate", "shared", {"imageId": "resolve:ssm:/aws/service/image"}).id

    @cached_property
    def cluster(self) -> str:
        inputs = {
            "name": "shared",
            "roleArn": self.role_arn,
            "vpcConfig": {"subnetIds": self.subnets},
            "accessConfig": {"authenticationMode": "API"},
        }
        return self.make("eks.Cluster", "shared", inputs).id

    @cached_property
    def access_entry(self) -> str:
        self.make("eks.AccessEntry", "shared", {"clusterName": self.cluster, "principalArn": self.role_arn})
        return self.role_arn

    @cached_property
    def db_subnet_group(self) -> str:
        return self.make("rds.SubnetGroup", "shared", {"subnetIds": self.subnets}).id

    @cached_property
    def cache_users(self) -> list[str]:
        for name, mode in (
            ("default", {"type": "no-password-required"}),
            ("boss", {"type": "password", "passwords": ["0123456789abcdef"]}),
            ("other", {"type": "password", "passwords": ["0123456789abcdef"]}),
        ):
            inputs = {
                "userId": f"shared-{name}",
                "userName": name,
                "engine": "valkey",
                "accessString": "on ~* +@all",
                "authenticationMode": mode,
            }
            self.make("elasticache.User", f"shared-{name}", inputs)
        return ["shared-default", "shared-boss", "shared-other"]

    @cached_property
    def cache_user_group(self) -> str:
        inputs = {"userGroupId": "shared", "engine": "valkey", "userIds": self.cache_users[:2]}
        return self.make("elasticache.UserGroup", "shared", inputs).id

    @cached_property
    def dms_subnet_group(self) -> str:
        inputs = {
            "replicationSubnetGroupId": "shared",
            "replicationSubnetGroupDescription": "shared",
            "subnetIds": self.subnets,
        }
        return self.make("dms.ReplicationSubnetGroup", "shared", inputs).id

    @cached_property
    def dms_instance(self) -> str:
        inputs = {"replicationInstanceId": "shared", "replicationInstanceClass": "dms.t3.medium"}
        return str(self.make("dms.ReplicationInstance", "shared", inputs).outputs["replicationInstanceArn"])

    @cached_property
    def certificate(self) -> str:
        inputs = {"certificateId": "shared", "certificatePem": "-----BEGIN CERTIFICATE-----"}
        return str(self.make("dms.Certificate", "shared", inputs).outputs["certificateArn"])

    @cached_property
    def endpoints(self) -> list[str]:
        arns = []
        for kind in ("source", "target"):
            inputs = {"endpointId": f"shared-{kind}", "endpointType": kind, "engineName": "mysql"}
            arns.append(str(self.make("dms.Endpoint", kind, inputs).outputs["endpointArn"]))
        return arns
