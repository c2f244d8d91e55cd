"""What an address answers to somebody inside a cluster."""

from __future__ import annotations

import re
from dataclasses import dataclass

from cutover.actions.base import Condition, Evidence
from cutover.context import Context
from stacks.settings import HttpInCluster

_WGET = """\
wget -S -T 10 -O /dev/null "$1" 2>&1 | tr -cd '\\040-\\176\\n' | head -c 1500 >/dev/termination-log
"""
_CURL = """\
curl -sS -m 10 -o /dev/null -w 'HTTP/1.1 %{http_code}' "$1" 2>&1 | head -c 1500 >/dev/termination-log
"""
_STATUS = re.compile(r"HTTP/[\d.]+ (\d{3})")


@dataclass(frozen=True, kw_only=True)
class AnswersInCluster(Condition):
    """A pod in a cluster asks an address and is answered as expected."""

    check: HttpInCluster
    probe_seconds: float
    """For one look."""

    def describe(self) -> str:
        """See Condition."""
        return (
            f"{self.check.name}: {self.check.url} answers {self.check.status} to a pod in "
            f"{self.check.namespace} on {self.check.cluster}"
        )

    def hold(self, context: Context) -> Evidence:
        """See Condition."""
        cluster = context.cluster(self.check.cluster)
        secure = self.check.url.startswith("https://")
        # busybox's wget does not verify certificates
        image = context.environment.forwarder_image if secure else context.environment.probe_image
        command = ["sh", "-c", _CURL if secure else _WGET, "ask", self.check.url]

        def look() -> tuple[bool, str]:
            result = cluster.run_pod(self.check.namespace, "landfall-ask", image, command, self.probe_seconds)
            found = _STATUS.search(result.message)
            if found is None:
                return False, f"no answer: {result.message.strip()[:300]!r}"
            return int(found[1]) == self.check.status, f"status {found[1]}"

        what = f"{self.check.url} from {self.check.namespace} on {self.check.cluster}"
        return {"seen": context.wait_for(what, self.check.timeout_seconds, look)}
