"""DMS's API with both tasks of an environment between two databases on loopback: for tests and benchmarks."""

from __future__ import annotations

import json
import uuid
from typing import Any

import boto3

from cutover.replication import DmsReplication
from lab.replication.mariadb import LOOPBACK, PASSWORD, SCHEMA, MariaDb

REGION = "ap-southeast-1"
Databases = tuple[MariaDb, MariaDb]


class Dms:
    """DMS's API with both tasks of an environment, as its stack declares them."""

    def __init__(self, url: str, databases: Databases, *, load: bool = True) -> None:
        """`load`: whether the forward task copies rows before it follows changes."""
        self.databases = databases
        self._name = uuid.uuid4().hex[:8]  # the API's store outlives a test
        known = {"region_name": REGION, "endpoint_url": url}
        known |= {"aws_access_key_id": "x", "aws_secret_access_key": "x"}
        self.client: Any = boto3.client("dms", **known)
        self.cloudwatch: Any = boto3.client("cloudwatch", **known)
        secrets: Any = boto3.client("secretsmanager", **known)
        instance = self.client.create_replication_instance(
            ReplicationInstanceIdentifier=self._name, ReplicationInstanceClass="dms.t3.medium"
        )
        self.instance = instance["ReplicationInstance"]["ReplicationInstanceArn"]
        self._secrets = [
            secrets.create_secret(Name=f"{self._name}-{database.name}", SecretString=self._login(database))[
                "ARN"
            ]
            for database in databases
        ]
        self.forward = self._task("forward", "full-load-and-cdc" if load else "cdc", 0, 1)
        self.reverse = self._task("reverse", "cdc", 1, 0)

    @staticmethod
    def _login(database: MariaDb) -> str:
        found = {"username": "owner", "password": PASSWORD, "host": LOOPBACK, "port": database.port}
        return json.dumps(found)

    def _endpoint(self, name: str, kind: str, number: int) -> str:
        database = self.databases[number]
        certificate = self.client.import_certificate(
            CertificateIdentifier=f"{self._name}-{name}", CertificatePem=database.ca.read_text()
        )["Certificate"]["CertificateArn"]
        made = self.client.create_endpoint(
            EndpointIdentifier=f"{self._name}-{name}",
            EndpointType=kind,
            EngineName="mysql",
            SslMode="verify-full",
            CertificateArn=certificate,
            MySQLSettings={"SecretsManagerSecretId": self._secrets[number]},
        )
        return str(made["Endpoint"]["EndpointArn"])

    def _task(self, name: str, kind: str, read: int, written: int) -> str:
        rule = {
            "rule-type": "selection",
            "rule-id": "1",
            "rule-name": "1",
            "rule-action": "include",
            "object-locator": {"schema-name": SCHEMA, "table-name": "%"},
        }
        settings = {"FullLoadSettings": {"TargetTablePrepMode": "TRUNCATE_BEFORE_LOAD"}}
        made = self.client.create_replication_task(
            ReplicationTaskIdentifier=f"{self._name}-{name}",
            SourceEndpointArn=self._endpoint(f"{name}-source", "source", read),
            TargetEndpointArn=self._endpoint(f"{name}-target", "target", written),
            ReplicationInstanceArn=self.instance,
            MigrationType=kind,
            TableMappings=json.dumps({"rules": [rule]}),
            ReplicationTaskSettings=json.dumps(settings),
        )
        return str(made["ReplicationTask"]["ReplicationTaskArn"])

    def there(self) -> DmsReplication:
        """From the source to the target."""
        source, target = self.databases
        return DmsReplication(
            (self.client, self.cloudwatch), self.forward, source.server(), target.server(), SCHEMA
        )

    def back(self) -> DmsReplication:
        """From the target to the source."""
        source, target = self.databases
        return DmsReplication(
            (self.client, self.cloudwatch), self.reverse, target.server(), source.server(), SCHEMA
        )
