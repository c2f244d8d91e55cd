"""Settings of an RDS database."""

from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from components.settings.base import FieldsError, Model, Port
from components.settings.engines import (
    RELATIONAL_DEFAULT,
    RelationalEngine,
    Release,
    major_version,
    relational_release,
)

InstanceClass = Annotated[str, Field(pattern=r"^db\.[a-z0-9]+\.[a-z0-9]+$")]
RESERVED_USERS = (
    "admin",
    "administrator",
    "awsuser",
    "master",
    "mysql",
    "postgres",
    "rdsadmin",
    "root",
    "sa",
)
PORTS: dict[RelationalEngine, int] = {"mysql": 3306, "postgres": 5432}


_CLOCK = r"([01]\d|2[0-3]):[0-5]\d"
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MOMENT = rf"({'|'.join(_DAYS)}):{_CLOCK}"
_DAY, _WEEK, _SHORTEST = 24 * 60, 7 * 24 * 60, 30


def _minute(moment: str) -> int:
    """Of the week, or of the day where no day is named."""
    *day, hours, minutes = moment.split(":")
    return (_DAYS.index(day[0]) * _DAY if day else 0) + int(hours) * 60 + int(minutes)


def _span(window: str, turn: int) -> range:
    """The minutes of a window, which may go beyond the end of its day or week."""
    start, end = map(_minute, window.split("-"))
    return range(start, end if end >= start else end + turn)


def _newest(given: dict[str, Any]) -> str:
    return RELATIONAL_DEFAULT[given["engine"]]


class RelationalDatabaseSettings(Model):
    """An RDS instance for MySQL or PostgreSQL, over several zones."""

    engine: RelationalEngine
    version: Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+){0,2}$")] = Field(default_factory=_newest)
    """Quoted; by default what is current of the engine. "8.4" takes its newest minor version and the
    automatic upgrades; "8.4.7" stays."""
    parameter_family: str | None = None
    """None: the family of the version."""
    database_name: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,62}$")]
    """The database that is created empty."""
    username: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{2,15}$")] = "landfall"
    """The master user, whose password RDS keeps and rotates in Secrets Manager."""
    instance_class: InstanceClass = "db.m7g.large"
    storage_gib: Annotated[int, Field(ge=20, le=65536)] = 100
    maximum_storage_gib: Annotated[int, Field(ge=20, le=65536)] = 1000
    """How far storage grows by itself."""
    backup_retention_days: Annotated[int, Field(ge=7, le=35)] = 14
    backup_window: Annotated[str, Field(pattern=rf"^{_CLOCK}-{_CLOCK}$")] = "18:00-19:00"
    """UTC; automatic backups are also what keeps the binary log."""
    maintenance_window: Annotated[str, Field(pattern=rf"^{_MOMENT}-{_MOMENT}$")] = "sun:19:30-sun:20:30"
    """UTC; outside the backup window, half an hour or longer, as that one is."""
    final_snapshot: bool = True
    """Whether deleting the instance leaves a snapshot."""
    parameters: dict[str, str] = Field(default_factory=dict)
    """Further engine parameters, such as the source's `lower_case_table_names` and `sql_mode`."""

    @property
    def release(self) -> Release:
        """What AWS says of the version."""
        return relational_release(self.engine, self.version)

    @property
    def major_version(self) -> str:
        """What AWS calls the major engine version, such as 8.4."""
        return major_version(self.engine, self.version)

    @property
    def family(self) -> str:
        """The parameter group family."""
        return self.parameter_family or self.release.family

    @property
    def port(self) -> Port:
        """The engine's own port."""
        return PORTS[self.engine]

    def _windows(self) -> list[tuple[str, str]]:
        backup, maintenance = _span(self.backup_window, _DAY), _span(self.maintenance_window, _WEEK)
        spans = {"backup_window": backup, "maintenance_window": maintenance}
        short = [
            (key, "expected half an hour or more") for key, span in spans.items() if len(span) < _SHORTEST
        ]
        daily = {minute % _DAY for minute in backup}
        if not short and any(minute % _DAY in daily for minute in maintenance):
            return [("maintenance_window", f"expected a time outside backup_window, {self.backup_window}")]
        return short

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        problems: list[tuple[str, str]] = []
        try:
            expected = self.release.family
        except ValueError as error:
            problems.append(("version", f"expected a version that AWS offers: {error}"))
        else:
            if self.family != expected:
                text = f"expected {expected} for {self.engine} {self.version}"
                problems.append(("parameter_family", text))
        if self.username in RESERVED_USERS:
            problems.append(("username", f"expected a name that nobody guesses, not {self.username}"))
        if self.maximum_storage_gib * 10 < self.storage_gib * 11:
            text = f"expected at least a tenth more than storage_gib, {self.storage_gib}"
            problems.append(("maximum_storage_gib", text))
        problems += self._windows()
        if problems:
            raise FieldsError(problems)
        return self
