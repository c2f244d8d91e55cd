"""What every environment's settings share."""

from collections.abc import Iterator
from typing import Annotated, Self

from pydantic import BaseModel, Field, model_validator

from components.settings.access import NotificationSettings, RunnerSettings
from components.settings.base import Model, Placeholder
from components.settings.exceptions import ControlException
from stacks.settings.checks import cross_check
from stacks.settings.cutover import CutoverSettings
from stacks.settings.parts import CloudflareSettings
from stacks.settings.problems import CrossCheckError


class EnvironmentBase(Model):
    """What every environment declares, whatever it moves."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9]{0,19}$", description="lower-case, without a hyphen")]
    tags: dict[str, str]
    """Put on every AWS resource."""
    protected: bool = True
    """Whether databases, keys, the cluster and the network refuse to be deleted, in Pulumi and in AWS. To
    delete them on purpose: set this to false, run `up`, then `destroy`."""
    notifications: NotificationSettings | None = None
    """Who is told of alarms; whatever has alarms needs it."""
    runner: RunnerSettings = RunnerSettings()
    exceptions: tuple[ControlException, ...] = ()
    """From the security controls: named, and dated."""
    cloudflare: CloudflareSettings
    cutover: CutoverSettings

    def placeholders(self) -> tuple[tuple[str, str], ...]:
        """Path and need of each fact that its owner still has to fill in."""
        return tuple(_placeholders("", self))

    @model_validator(mode="after")
    def _cross_checks(self) -> Self:
        if problems := cross_check(dict(self)):
            raise CrossCheckError(problems)
        return self


def _placeholders(path: str, value: object) -> Iterator[tuple[str, str]]:
    if isinstance(value, Placeholder):
        yield path, value.placeholder
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _placeholders(f"{path}.{name}" if path else name, getattr(value, name))
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from _placeholders(f"{path}[{name}]", item)
    elif isinstance(value, tuple):
        for index, item in enumerate(value):
            yield from _placeholders(f"{path}[{index}]", item)
