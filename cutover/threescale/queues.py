"""3scale's job queues: empty before it is scaled down, or their loss accepted by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cutover.actions.base import Evidence
from cutover.actions.person import POLL_SECONDS, Person, said
from cutover.context import Context
from cutover.errors import StepError
from cutover.threescale.site import Site
from cutover.throwaway import ThrowawayPod, run_throwaway

POD = "landfall-queues"
# Both halves keep their queues in Redis lists: Sidekiq as `queue:NAME`, listed in the set `queues`, with jobs
# that wait for their time or their next try in sorted sets; the backend's Resque as `resque:queue:NAME`. A
# URL has the form redis[s]://[user:password@]host:port/database; its password goes by environment alone.
_SCRIPT = r"""
set -eu
fail() { echo "$1" >/dev/termination-log; exit 3; }
open() {
  url=$1; unset REDISCLI_AUTH; set --
  case "$url" in
    rediss://*) set -- --tls;;
    redis://*) ;;
    *) fail "a Secret's URL is none of a Redis";;
  esac
  rest=${url#*://}; number=0
  case "$rest" in */*) number=${rest#*/}; number=${number%%[?]*}; rest=${rest%%/*};; esac
  case "$rest" in *@*) login=${rest%@*}; rest=${rest##*@}
    user=${login%%:*}; REDISCLI_AUTH=${login#*:}; export REDISCLI_AUTH
    if [ -n "$user" ]; then set -- "$@" --user "$user"; fi;; esac
  port=6379; case "$rest" in *:*) port=${rest##*:};; esac
  options="-h ${rest%%:*} -p $port -n ${number:-0} $*"
}
ask() {
  answer=$(redis-cli $options "$@" 2>&1) || fail "redis-cli: $answer"
  case "$answer" in
    ERR*|NOAUTH*|WRONGPASS*|NOPERM*|"Could not connect"*) fail "Redis: $answer";;
  esac
}
found=""
count() { found="$found$1 $answer
"; }
open "$SYSTEM_URL"
ask SMEMBERS queues; queues=$answer
for queue in $queues; do ask LLEN "queue:$queue"; count "system/$queue"; done
for set in retry schedule; do ask ZCARD "$set"; count "system/$set"; done
ask SMEMBERS processes; processes=$answer
for process in $processes; do
  for kind in work workers; do ask HLEN "$process:$kind"; count system/busy; done
done
open "$BACKEND_URL"
for queue in priority main stats; do ask LLEN "resque:queue:$queue"; count "backend/$queue"; done
printf 'queues\n%s' "$found" >/dev/termination-log
"""


def queues(context: Context, site: Site, image: str, seconds: float) -> dict[str, int]:
    """How many jobs each queue holds. Raises StepError."""
    pod = ThrowawayPod(
        namespace=site.namespace,
        name=POD,
        image=image,
        command=("sh", "-c", _SCRIPT),
        from_secrets={
            "SYSTEM_URL": ("system-redis", "URL"),
            "BACKEND_URL": ("backend-redis", "REDIS_QUEUES_URL"),
        },
        deadline_seconds=seconds,
        cpu="200m",
        memory="128Mi",
    )
    ended = run_throwaway(context, site.on(context), pod)
    if ended.exit_code != 0:
        raise StepError(
            f"the job queues of {site.title} cannot be looked at: "
            f"{ended.message.strip()[:300] or ended.log[-3:]}"
        )
    message = ended.message or "(nothing)"
    head, *lines = message.splitlines()
    counts: dict[str, int] = {}
    try:
        for line in lines:
            name, _, number = line.rpartition(" ")
            counts[name] = counts.get(name, 0) + int(number)
    except ValueError as error:
        raise StepError(f"the look at the job queues said {message[:300]!r}") from error
    if head != "queues":
        raise StepError(f"the look at the job queues said {message[:300]!r}")
    return counts


@dataclass(frozen=True, kw_only=True)
class EmptyQueues(Person):
    """Waits until no job waits or runs; where some stay, somebody clears them or accepts their loss."""

    site: Site
    image: str
    seconds: float
    """How long the queues may take to run empty before somebody is asked."""
    look_seconds: float

    def describe(self) -> str:
        """See Action."""
        return (
            f"wait until the job queues of {self.site.title} are empty (Sidekiq's and the backend's); after "
            f"{self.seconds:g} s ask: {self.instructions}"
        )

    def preview(self, context: Context) -> tuple[str, ...]:  # noqa: ARG002 - it would start a pod
        """See Action."""
        return ("changes nothing; a pod looks at the queues",)

    def apply(self, context: Context) -> Evidence:
        """Raises StepError."""
        begun = context.clock.monotonic()
        while any((counts := self._look(context)).values()):
            if context.clock.monotonic() - begun > self.seconds:
                return self._ask(context, counts)
            context.say(f"job queues of {self.site.title}: {_words(counts)}")
            context.pause(POLL_SECONDS)
        return {"queues": counts, "lost": 0}

    def undo(self, context: Context) -> Evidence:  # noqa: ARG002 - an interface's method
        """Nothing was taken away: what is left is worked on once the workers are up."""
        return {"queues": "as they were"}

    def _ask(self, context: Context, counts: Mapping[str, int]) -> Evidence:
        """Waits for the first of both: the queues are empty, or somebody accepts the loss of what is left."""
        asked = f"{self.instructions} Left: {_words(counts)}."
        context.say(f"{context.step} waits for its owner: {asked}")
        begun, reminded = context.clock.monotonic(), 0
        while True:
            approval = context.approval(context.step, asked)
            counts = self._look(context)
            left = sum(counts.values())
            if not left:
                return {"queues": dict(counts), "lost": 0}
            if approval is not None:
                context.say(f"{context.step}: {approval.by} accepts the loss of {_words(counts)}")
                return {"queues": dict(counts), "lost": left, **said(approval)}
            waited = context.clock.monotonic() - begun
            if self.due_seconds is not None and waited >= self.due_seconds * (reminded + 1):
                reminded += 1
                context.remind(context.step, waited)
            context.pause(POLL_SECONDS)

    def _look(self, context: Context) -> dict[str, int]:
        return queues(context, self.site, self.image, self.look_seconds)


def _words(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{number} in {name}" for name, number in counts.items() if number) or "none"
