"""`<environment>-replication`: how the database gets to the target, and back. Removed at the end."""

from pathlib import Path

import pulumi

from components.dms import Database, Replication
from components.native_replication import NativeReplication
from stacks.aws import aws_options
from stacks.references import landing_zone_outputs, text_output, texts_output
from stacks.settings import (
    Environment,
    Placeholder,
    RelationalDatabaseSettings,
    ReplicationSettings,
    known,
)
from stacks.settings.errors import Problem, SettingsError


def replication(environment: Environment, folder: Path) -> None:
    """Declares DMS with its tasks, and what native replication needs where the settings choose it.

    Stack outputs:
        instance_arn, task_arns (by `forward` and `reverse`), secret_arns (by `source` and `target`): of DMS.
        native_secret_arn: the replication user's, where `forward` is `native`.

    Raises:
        SettingsError: the settings have no section `replication` or `database.target`, or a file that it
            names cannot be read.
    """
    settings, target = _sections(environment, folder)
    opts = aws_options(environment.region, environment.tags, environment.account)
    landing_zone = landing_zone_outputs(environment.name)
    database_group = text_output(landing_zone, "database_security_group_id")
    source = environment.database
    made = Replication(
        environment.name,
        settings,
        engine=source.engine,
        region=environment.region,
        source=Database(
            source.name,
            source.schemas,
            source.port,
            _certificates(folder, settings.certificates.source, "source"),
            settings.source_tls,
        ),
        target=Database(
            target.database_name,
            source.schemas,
            target.port,
            _certificates(folder, settings.certificates.target, "target"),
            "verify-full",
        ),
        vpc_id=text_output(landing_zone, "vpc_id"),
        subnet_ids=texts_output(landing_zone, "private_subnet_ids"),
        target_security_group_id=database_group,
        notify=text_output(landing_zone, "notifications_topic_arn"),
        opts=opts,
    )
    pulumi.export("instance_arn", made.instance_arn)
    pulumi.export("task_arns", dict(made.task_arns))
    pulumi.export("secret_arns", dict(made.secret_arns))
    if settings.forward == "native":
        native = NativeReplication(
            environment.name,
            database_security_group_id=database_group,
            source_address=known(source.source.eip, "database.source.eip"),
            source_port=source.port,
            opts=opts,
        )
        pulumi.export("native_secret_arn", native.secret_arn)


def _sections(
    environment: Environment, folder: Path
) -> tuple[ReplicationSettings, RelationalDatabaseSettings]:
    settings, target = environment.replication, environment.database.target
    if settings is None or target is None:
        missing = "replication" if settings is None else "database.target"
        raise SettingsError(
            [
                Problem(
                    folder / f"Pulumi.{environment.name}.yaml",
                    None,
                    f"landfall:environment.{missing}",
                    None,
                    f"required for the stack {environment.name}-replication, but absent",
                )
            ]
        )
    return settings, target


def _certificates(folder: Path, file: str | Placeholder, end: str) -> str:
    key = f"landfall:environment.replication.certificates.{end}"
    path = folder / known(file, key)
    try:
        text = path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError([Problem(path, None, key, None, f"cannot be read: {error}")]) from None
    if "-----BEGIN CERTIFICATE-----" not in text:
        raise SettingsError([Problem(path, None, key, None, "expected certificates in PEM")])
    return text
