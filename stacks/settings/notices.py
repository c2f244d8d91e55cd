"""Who is told while a cutover runs, and of what. What is secret stands in environment variables."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from components.settings.base import EnvironmentVariable, HostName, Model, Port

NoticeKind = Literal["stage", "waiting", "halt", "rollback", "end"]
"""`stage`: one was begun or is done; `waiting`: a step waits for a person; `halt`: a run stopped before its
goal; `rollback`: it goes back, by itself or as asked; `end`: a run reached its goal."""
EVERYTHING: tuple[NoticeKind, ...] = ("stage", "waiting", "halt", "rollback", "end")
Kinds = Annotated[tuple[NoticeKind, ...], Field(min_length=1)]
Address = Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")]


class WebhookNotice(Model):
    """A message to a channel, by a webhook as Slack or Microsoft Teams (Workflows) give them out."""

    kind: Literal["slack", "teams"]
    url_env: EnvironmentVariable
    """The environment variable that holds the webhook's address, which is a secret."""
    about: Kinds = EVERYTHING


class EmailNotice(Model):
    """An e-mail by SMTP, encrypted."""

    kind: Literal["email"]
    host: HostName
    port: Port = 587
    encryption: Literal["starttls", "tls"] = "starttls"
    sender: Address
    to: Annotated[tuple[Address, ...], Field(min_length=1)]
    user_env: EnvironmentVariable | None = None
    password_env: EnvironmentVariable | None = None
    about: Kinds = EVERYTHING

    @model_validator(mode="after")
    def _both(self) -> Self:
        if (self.user_env is None) != (self.password_env is None):
            raise ValueError("expected user_env and password_env together, or neither")
        return self


class CommandNotice(Model):
    """A program that is started with the notice as JSON on its standard input."""

    kind: Literal["command"]
    command: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1)]
    about: Kinds = EVERYTHING


Notice = Annotated[WebhookNotice | EmailNotice | CommandNotice, Field(discriminator="kind")]
