"""What a side has accepted and not yet committed, in Redis lists."""

from __future__ import annotations

from dataclasses import dataclass

from cutover.actions.base import Condition, Evidence
from cutover.context import Context
from cutover.errors import StepError
from cutover.ports import Cluster, Side
from stacks.settings import RedisListBuffer

_SCRIPT = """\
host=$1 port=$2
shift 2
{
  redis-cli -h "$host" -p "$port" ping | grep -q PONG || { echo "redis does not answer"; exit 1; }
  total=0
  for pattern in "$@"; do
    for key in $(redis-cli -h "$host" -p "$port" --scan --pattern "$pattern"); do
      count=$(redis-cli -h "$host" -p "$port" llen "$key")
      case $count in ''|*[!0-9]*) echo "$key is not a list: $count"; exit 1;; esac
      total=$((total + count))
    done
  done
  echo "total $total"
} >/dev/termination-log 2>&1
"""


@dataclass(frozen=True, kw_only=True)
class BuffersDrained(Condition):
    """Nothing un-committed is left in a side's buffers."""

    side: Side
    namespace: str
    """Where the pod that looks runs."""
    buffers: tuple[str, ...]
    """Names from the settings."""
    seconds: float
    """How long draining may take."""
    probe_seconds: float
    """For one look."""

    def describe(self) -> str:
        """See Condition."""
        return f"nothing un-committed is left on the {self.side} in {', '.join(self.buffers) or 'any buffer'}"

    def hold(self, context: Context) -> Evidence:
        """See Condition."""
        cluster = context.clusters[self.side]
        declared = {buffer.name: buffer for buffer in context.environment.buffers}
        seen: dict[str, int] = {}

        def look() -> tuple[bool, str]:
            for name in self.buffers:
                seen[name] = self._count(context, cluster, declared[name])
            return not any(seen.values()), ", ".join(f"{name}: {left} left" for name, left in seen.items())

        context.wait_for(f"buffers on {cluster.context} to drain", self.seconds, look)
        return {"left": seen}

    def _count(self, context: Context, cluster: Cluster, buffer: RedisListBuffer) -> int:
        result = cluster.run_pod(
            self.namespace,
            "landfall-buffers",
            context.environment.redis_image,
            ["sh", "-c", _SCRIPT, "buffers", buffer.host, str(buffer.port), *buffer.keys],
            self.probe_seconds,
        )
        word, _, count = result.message.strip().partition(" ")
        if result.exit_code != 0 or word != "total" or not count.isdigit():
            raise StepError(
                f"buffer {buffer.name} on {cluster.context} could not be looked at "
                f"(exit code {result.exit_code}): {result.message.strip()!r}"
            )
        return int(count)
