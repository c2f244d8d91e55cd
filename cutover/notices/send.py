"""Sending one notice over one channel, once. Nothing secret is in what an error says."""

from __future__ import annotations

import http.client
import json
import os
import signal
import smtplib
import ssl
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from email.message import EmailMessage
from ipaddress import ip_address
from urllib.parse import urlsplit

from cutover.children import CHILD_MARK
from cutover.notices.happenings import Happening
from stacks.settings.notices import CommandNotice, EmailNotice, Notice, WebhookNotice

ATTEMPT_SECONDS = 10.0
COMMAND_SECONDS = 30.0
_LONGEST = 3000
_KEPT = ("PATH", "HOME", "LANG", "TZ", CHILD_MARK)


class SendError(Exception):
    """It was not sent. `final`: there is no use in trying again."""

    def __init__(self, text: str, *, final: bool = False) -> None:
        super().__init__(text)
        self.final = final


def name(notice: Notice) -> str:
    """What a channel is called in messages."""
    match notice:
        case WebhookNotice(kind=kind, url_env=variable):
            return f"{kind} ({variable})"
        case EmailNotice(to=to):
            return f"e-mail to {', '.join(to)}"
        case CommandNotice(command=command):
            return f"command {command[0]}"


def send(notice: Notice, happening: Happening, environment: Mapping[str, str]) -> None:
    """Sends it. Raises SendError."""
    secrets: list[str] = []

    def secret(variable: str) -> str:
        value = environment.get(variable, "")
        if not value:
            raise SendError(f"the environment variable {variable} is not set", final=True)
        secrets.append(value)
        return value

    try:
        match notice:
            case WebhookNotice():
                address = secret(notice.url_env)
                secrets += _parts(notice, address)
                _post(notice, address, happening)
            case EmailNotice():
                login = (
                    (secret(notice.user_env), secret(notice.password_env))
                    if notice.user_env and notice.password_env
                    else None
                )
                _mail(notice, login, happening)
            case CommandNotice():
                _run(notice.command, happening, environment)
    except (OSError, http.client.HTTPException, smtplib.SMTPException, ValueError) as error:
        final = isinstance(error, ValueError) and not isinstance(error, ssl.SSLError)
        raise SendError(masked(f"{type(error).__name__}: {error}", secrets), final=final) from None
    except SendError as error:
        raise SendError(masked(str(error), secrets), final=error.final) from None


def masked(text: str, secrets: Sequence[str]) -> str:
    """A text without secrets."""
    for item in sorted((item for item in secrets if len(item) > 1), key=len, reverse=True):
        text = text.replace(item, "***")
    return text


def _post(notice: WebhookNotice, address: str, happening: Happening) -> None:
    parts = urlsplit(address)
    host = parts.hostname or ""
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(host)):
        raise SendError(f"{notice.url_env}: expected an address that begins with https://", final=True)
    connection = (
        http.client.HTTPSConnection(host, parts.port, timeout=ATTEMPT_SECONDS)
        if parts.scheme == "https"
        else http.client.HTTPConnection(host, parts.port, timeout=ATTEMPT_SECONDS)
    )
    try:
        path = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
        body = json.dumps(_slack(happening) if notice.kind == "slack" else _teams(happening)).encode()
        connection.request("POST", path, body, {"Content-Type": "application/json", "User-Agent": "landfall"})
        status = connection.getresponse().status
    finally:
        connection.close()
    if not 200 <= status < 300:  # a redirect is not followed: the address is a secret
        again = status in (408, 425, 429) or status >= 500
        raise SendError(f"it answered {status}", final=not again)


def _parts(notice: WebhookNotice, address: str) -> list[str]:
    """What of an address is secret by itself, too. Raises SendError where it is none."""
    try:
        parts = urlsplit(address)
        _ = parts.port  # it is read now so that an error does not quote it later
    except ValueError:
        raise SendError(f"{notice.url_env}: not an address", final=True) from None
    return [parts.path, parts.query]


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _slack(happening: Happening) -> dict[str, object]:
    def plain(text: str) -> str:
        return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")[:_LONGEST]

    return {"text": f"*{plain(happening.title)}*\n{plain(happening.text)}".rstrip()}


def _teams(happening: Happening) -> dict[str, object]:
    """An adaptive card; its runs of text are not read as Markdown."""
    lines = [(happening.title, "Bolder"), (happening.text, "Default")]
    blocks = [
        {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": text[:_LONGEST], "weight": weight}]}
        for text, weight in lines
        if text
    ]
    card = {"type": "AdaptiveCard", "version": "1.4", "body": blocks}
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "content": card}
    return {"type": "message", "attachments": [attachment]}


def _mail(notice: EmailNotice, login: tuple[str, str] | None, happening: Happening) -> None:
    message = EmailMessage()
    message["Subject"] = " ".join(happening.title.split())[:200]
    message["From"] = notice.sender
    message["To"] = ", ".join(notice.to)
    message.set_content(f"{happening.text}\n\n{happening.at}\n")
    context = ssl.create_default_context()
    server: smtplib.SMTP = (
        smtplib.SMTP_SSL(notice.host, notice.port, timeout=ATTEMPT_SECONDS, context=context)
        if notice.encryption == "tls"
        else smtplib.SMTP(notice.host, notice.port, timeout=ATTEMPT_SECONDS)
    )
    with server:
        if notice.encryption == "starttls":
            server.starttls(context=context)
        if login:
            server.login(*login)
        server.send_message(message)


def _run(command: Sequence[str], happening: Happening, environment: Mapping[str, str]) -> None:
    """The program gets no secrets of the cutover's: of its environment only what a program needs."""
    kept = {key: environment[key] for key in _KEPT if key in environment}
    with subprocess.Popen(
        list(command), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        env=kept, start_new_session=True,
    ) as started:  # fmt: skip
        try:
            _, complaint = started.communicate(json.dumps(asdict(happening)).encode(), COMMAND_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(started.pid, signal.SIGKILL)
            started.communicate()
            raise SendError(f"it took longer than {COMMAND_SECONDS:.0f} s") from None
    if started.returncode != 0:
        said = complaint.decode(errors="replace").strip()[-200:]
        raise SendError(f"it ended with {started.returncode}: {said}")
