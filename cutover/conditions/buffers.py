"""What a side has accepted and not yet committed: in Redis, in a queue, or in a service's own memory."""

from __future__ import annotations

from dataclasses import dataclass

from cutover.actions.base import Condition, Evidence
from cutover.context import Context
from cutover.errors import StepError, StepTimeoutError
from cutover.ports import Cluster, Side
from stacks.settings import Environment, RedisListBuffer
from stacks.settings.buffers import Buffer, HttpBuffer, RedisKeysBuffer, RedisStreamBuffer

_OPEN = """\
host=$1 port=$2
shift 2
redis() { redis-cli -h "$host" -p "$port" "$@"; }
{
  redis ping | grep -q PONG || { echo "redis does not answer"; exit 1; }
"""
_CLOSE = "} >/dev/termination-log 2>&1\n"
_LISTS = """\
  total=0
  for pattern in "$@"; do
    for key in $(redis --scan --pattern "$pattern"); do
      count=$(redis llen "$key")
      case $count in ''|*[!0-9]*) echo "$key is not a list: $count"; exit 1;; esac
      total=$((total + count))
    done
  done
  echo "total $total"
"""
_KEYS = """\
  total=0
  for pattern in "$@"; do
    count=$(redis --scan --pattern "$pattern" | grep -c .)
    total=$((total + count))
  done
  echo "total $total"
"""
_STREAM = """\
  redis exists "$1" | grep -q 1 || { echo "total 0"; exit 0; }
  redis xinfo groups "$1" | {
    total= group= name=
    while read -r word; do
      case $name in
        name) group=$word;;
        pending|lag) if [ "$group" = "$2" ]; then
          case $word in ''|*[!0-9]*) echo "$name of group $2 is not known: $word"; exit 1;; esac
          total=$((total + word))
        fi;;
      esac
      case $name in name|pending|lag) name=;; *) name=$word;; esac
    done
    echo "total ${total:-of no group $2}"
  }
"""
_HTTP = """\
answer=$(wget -q -T 10 -O - "$1" 2>&1)
count=$(printf '%s' "$answer" | tr -d ' \\n\\t' | sed -n "s/.*\\"$2\\":\\([0-9][0-9]*\\)[,}].*/\\1/p")
printf 'total %s\n' "${count:-of no field $2 in: $answer}" | head -c 500 >/dev/termination-log
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

        try:
            context.wait_for(f"buffers on {cluster.context} to drain", self.seconds, look)
        except StepTimeoutError as error:
            raise StepTimeoutError(
                f"{error}. Its service on {cluster.context} does not commit it: look at that service's log "
                f"and at the database. The {self.side} stays up; once it drains, the same command goes on"
            ) from error
        return {"left": seen}

    def _count(self, context: Context, cluster: Cluster, buffer: Buffer) -> int:
        image, command = _look_at(context.environment, buffer)
        result = cluster.run_pod(self.namespace, "landfall-buffers", image, command, self.probe_seconds)
        word, _, count = result.message.strip().partition(" ")
        if result.exit_code != 0 or word != "total" or not count.isdigit():
            raise StepError(
                f"buffer {buffer.name} on {cluster.context} could not be looked at "
                f"(exit code {result.exit_code}): {result.message.strip()!r}"
            )
        return int(count)


def _look_at(environment: Environment, buffer: Buffer) -> tuple[str, list[str]]:
    """The image and the command of the pod that looks; it writes `total N`."""
    if isinstance(buffer, HttpBuffer):
        return environment.probe_image, ["sh", "-c", _HTTP, "buffers", buffer.url, buffer.field]
    match buffer:
        case RedisListBuffer():
            script, arguments = _LISTS, list(buffer.keys)
        case RedisKeysBuffer():
            script, arguments = _KEYS, list(buffer.keys)
        case RedisStreamBuffer():
            script, arguments = _STREAM, [buffer.key, buffer.group]
    place = [buffer.host, str(buffer.port)]
    return environment.redis_image, ["sh", "-c", _OPEN + script + _CLOSE, "buffers", *place, *arguments]
