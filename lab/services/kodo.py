"""Kodo's daily report, a schedule: sends yesterday's total to BOSS, again as often as its settings say.

Every try carries the same id. The exit code is 0 once BOSS has answered with 2xx, else 1.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from lab.services.variables import SettingsError, Variables

CALL_SECONDS = 10.0


@dataclass(frozen=True)
class Settings:
    """Kodo's settings. `retries`: how often a report that failed is sent again, every `pause` seconds."""

    url: str
    retries: int
    pause: float

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Raises SettingsError that names every variable that is absent or wrong."""
        variables = Variables(environment)
        settings = cls(
            url=variables.text("BOSS_URL").rstrip("/"),
            retries=int(variables.number("REPORT_RETRIES", "0")),
            pause=variables.number("REPORT_RETRY_SECONDS", "1"),
        )
        variables.check()
        return settings


def report_of(day: date) -> dict[str, str]:
    """A new report for a day."""
    total = random.Random(day.toordinal()).randint(1, 10_000_000)
    return {"id": str(uuid.uuid4()), "day": day.isoformat(), "total": f"{total / 100:.2f}"}


def send(settings: Settings, report: Mapping[str, str]) -> bool:
    """Send a report, with its retries; whether BOSS took it. Says on stdout what came of each try."""
    for attempt in range(settings.retries + 1):
        if attempt:
            time.sleep(settings.pause)
        problem = _post(f"{settings.url}/reports", report)
        said = problem or "taken"
        print(f"report {report['id']} for {report['day']}, try {attempt + 1}: {said}", flush=True)
        if not problem:
            return True
    return False


def _post(url: str, report: Mapping[str, str]) -> str:
    """What went wrong; empty where it was answered with 2xx."""
    headers = {"Content-Type": "application/json", "User-Agent": "kodo/1.0"}
    body = json.dumps(dict(report)).encode()
    request = urllib.request.Request(url, body, headers)  # noqa: S310 - the scheme is a setting
    try:
        urllib.request.urlopen(request, timeout=CALL_SECONDS).close()  # noqa: S310
    except urllib.error.HTTPError as error:
        error.close()
        return f"status {error.code}"
    except (OSError, ValueError) as error:
        return f"{type(error).__name__}: {error}"
    return ""


def main() -> int:
    """One run."""
    try:
        settings = Settings.from_environment(os.environ)
    except SettingsError as error:
        print(f"kodo: {error}", file=sys.stderr)
        return 1
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    return 0 if send(settings, report_of(yesterday)) else 1
