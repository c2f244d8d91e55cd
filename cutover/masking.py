"""The last line of defence: what is known to be secret is masked in whatever leaves the program as text.

No part of the program writes a secret on purpose. But a server's error may quote what it was sent, and a
program's last words may hold its environment: so each secret is made known where it is read, and journals,
lines of progress, errors and pages go through here.
"""

from __future__ import annotations

import base64
import json
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

from pydantic import BaseModel

MASK = "***"
VARIABLES = (
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "CLOUDFLARE_API_KEY",
    "CLOUDFLARE_API_TOKEN",
    "PULUMI_ACCESS_TOKEN",
    "PULUMI_CONFIG_PASSPHRASE",
)
"""Environment variables that hold secrets of whatever the cutover uses, whatever the settings say."""
_SHORTEST, _LONG = 8, 20
_known: frozenset[str] = frozenset()
_adding = threading.Lock()


def keep_secret(*values: str | None) -> None:
    """Makes secrets known, from now on, in the forms in which they are sent and quoted.

    What could be a word of the text by itself is left alone: letters only, and not long.
    """
    global _known  # noqa: PLW0603 - the process has one set of secrets
    found = {
        form
        for value in values
        if value and len(value) >= _SHORTEST and (len(value) >= _LONG or not value.isalpha())
        for form in _forms(value)
    }
    with _adding:
        _known |= found


def keep_variables_secret(names: Iterable[str], environment: Mapping[str, str] | None = None) -> None:
    """Makes the values of environment variables known; of an address, what it says behind the host, too."""
    given = os.environ if environment is None else environment
    for value in filter(None, map(given.get, names)):
        keep_secret(value)
        if "://" in value:
            path, _, query = value.partition("://")[2].partition("/")[2].partition("?")
            keep_secret(path, query, *path.split("/"), *(item.partition("=")[2] for item in query.split("&")))


def secret_variables(settings: object) -> Iterator[str]:
    """The environment variables that settings name for a secret, by how the settings are called."""
    if isinstance(settings, BaseModel):
        for name in type(settings).model_fields:
            value = getattr(settings, name)
            if name.endswith(("password_env", "url_env", "token_env", "secret_env")) and isinstance(
                value, str
            ):
                yield value
            else:
                yield from secret_variables(value)
    elif isinstance(settings, Mapping):
        for item in settings.values():
            yield from secret_variables(item)
    elif isinstance(settings, tuple | list):
        for item in settings:
            yield from secret_variables(item)


def masked(text: str) -> str:
    """A text without what is known to be secret."""
    for secret in sorted(_known, key=len, reverse=True):
        if secret in text:
            text = text.replace(secret, MASK)
    return text


def masked_data(value: Any) -> Any:
    """The same of JSON."""
    if isinstance(value, str):
        return masked(value)
    if isinstance(value, Mapping):
        return {key: masked_data(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [masked_data(item) for item in value]
    return value


def _forms(value: str) -> Iterable[str]:
    yield value
    yield quote(value, safe="")
    yield json.dumps(value)[1:-1]
    yield repr(value)[1:-1]
    yield base64.b64encode(value.encode()).decode()
