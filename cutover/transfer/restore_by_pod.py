"""A dump pushed by a throwaway pod."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cutover.actions.base import Action, Evidence, Observation
from cutover.context import Context
from cutover.errors import StepError
from cutover.throwaway import Ended, ThrowawayPod, remove_throwaway, run_throwaway
from cutover.transfer import manifest, reach
from cutover.transfer.bucket import Bucket
from cutover.transfer.manifest import Manifest
from cutover.transfer.places import DumpPlace, StackDatabase
from cutover.transfer.sums import POSTGRES_SUMS

NAME = "landfall-restore"
KEPT = "before_landfall"
"""The schema that keeps what the database held before."""
_DONE = "landfall: "
_START_SECONDS = 300.0
_SPARE = 1.5
_LONGEST_VARIABLE = 120_000
"""Bytes that one variable of a process may have; with a longer bundle the pod takes TLS, and any name."""

_BEGIN = r"""
set -eu
say() { echo "landfall: $*"; }
cd /scratch 2>/dev/null || cd "$(mktemp -d)"
trap 'rm -f restore.dump sums ca.pem' EXIT
if [ -n "${PG_CA:-}" ]; then
  printf '%s\n' "$PG_CA" >ca.pem
  export PGSSLROOTCERT="$PWD/ca.pem" PGSSLMODE=verify-full
fi
"""
_FETCH = r"""
say "fetching $DUMP_BYTES bytes"
if command -v curl >/dev/null; then
  printf 'url = "%s"\n' "$DUMP_URL" |
    curl --silent --show-error --fail --retry 3 --config - --output restore.dump
else
  printf '%s\n' "$DUMP_URL" | wget --quiet --tries=3 --input-file=- --output-document=restore.dump
fi
echo "$DUMP_SHA256  restore.dump" | sha256sum --check --status || { say "checksum differs"; exit 65; }
say "restoring"
"""
# Quoted as $do$, since Kubernetes makes one $ of two in a pod's command.
# What the database held before is kept under another name: a rollback puts it back. What an attempt that was
# killed has left of `public` is not what was there before.
_RESTORE = r"""
psql --quiet --no-psqlrc --set=ON_ERROR_STOP=1 --single-transaction <<'SQL'
SET client_min_messages TO warning;
DO $do$ BEGIN
  IF EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = 'before_landfall') THEN
    DROP SCHEMA IF EXISTS public CASCADE;
  ELSE
    ALTER SCHEMA public RENAME TO before_landfall;
  END IF;
END $do$;
CREATE SCHEMA public;
SQL
pg_restore --no-owner --no-privileges --exit-on-error --single-transaction --schema=public \
  --dbname="$PGDATABASE" restore.dump
psql --quiet --no-psqlrc --command='ANALYZE'
say "restored"
"""
_COUNT = r"""
psql --quiet --no-psqlrc --set=ON_ERROR_STOP=1 --tuples-only --no-align --field-separator=' ' <<'SQL' >sums
SET client_min_messages TO warning; SET TimeZone TO 'UTC'; SET DateStyle TO 'ISO, YMD';
SET IntervalStyle TO 'postgres'; SET bytea_output TO 'hex'; SET extra_float_digits TO 1;
{statement}
SQL
say "sums $(grep -c . sums) $(LC_ALL=C sort sums | sha256sum | cut -d ' ' -f 1)"
"""
_PUT_BACK = r"""
psql --quiet --no-psqlrc --set=ON_ERROR_STOP=1 --single-transaction <<'SQL'
SET client_min_messages TO warning;
DO $do$ BEGIN
  IF EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = 'before_landfall') THEN
    DROP SCHEMA IF EXISTS public CASCADE;
    ALTER SCHEMA before_landfall RENAME TO public;
  END IF;
END $do$;
SQL
say "put back"
"""


@dataclass(frozen=True, kw_only=True)
class RestoreByPod(Action):
    """Restores a PostgreSQL dump from within a cluster, by a pod that is removed afterwards.

    The pod has a ServiceAccount without any right, a deadline, and a Secret of its own with the database's
    credentials and an address of the dump that works for as long as the pod may.
    """

    dump: DumpPlace
    target: StackDatabase
    cluster: str
    """The settings' name of the cluster from which the database can be reached."""
    namespace: str
    image: str
    """With sh, curl or wget, sha256sum, psql and pg_restore."""
    deadline_seconds: float = 3600

    @property
    def gives(self) -> tuple[str, ...]:
        """See Action."""
        return (self._fact,)

    @property
    def _fact(self) -> str:
        return f"filled {self.target.name}"

    def describe(self) -> str:
        """See Action."""
        return (
            f"restore {self.dump} into {self.target.name} by a throwaway pod in {self.namespace} on "
            f"{self.cluster}, and compare there with the manifest; what the database held is kept in the "
            f"schema {KEPT}"
        )

    def preview(self, context: Context) -> tuple[str, ...]:
        """See Action."""
        dumped = manifest.known(context, self.dump, "postgres")
        return (f"{self.target.name}: filled with {dumped.rows} rows in {len(dumped.tables or ())} tables",)

    def observe(self, context: Context) -> Observation:
        """Asked by a pod too: nothing else reaches the database."""
        if self._fact not in context.facts.values:
            return Observation("not done", "no pod of ours was started")
        dumped = manifest.known(context, self.dump, "postgres")
        ended = self._run(context, _count(), "look", 300.0)
        if ended.exit_code == 0 and _sums(ended) == _wanted(dumped):
            return Observation("done", f"{self.target.name} holds what the manifest says")
        return Observation("not done", f"{self.target.name} does not hold what the manifest says")

    def apply(self, context: Context) -> Evidence:
        """Raises StepError."""
        dumped = manifest.known(context, self.dump, "postgres")
        if len(dumped.files) != 1:
            raise StepError(f"{self.dump} has {len(dumped.files)} files, and a pod restores one")
        context.facts.remember(self._fact, True)
        ended = self._run(context, _FETCH + _RESTORE + _count(), "restore", self.deadline_seconds, dumped)
        if ended.exit_code != 0:
            raise StepError(
                f"the pod {self.namespace}/{NAME} on {self.cluster} ended with {ended.exit_code}: "
                f"{_last(ended)}. {self.target.name} serves nobody yet; `cutover run` starts the pod again"
            )
        if _sums(ended) != _wanted(dumped):
            raise StepError(
                f"{self.target.name} does not hold what was dumped: its {_sums(ended)[0]} tables have other "
                f"sums than the manifest's {_wanted(dumped)[0]}; `cutover run` restores it again"
            )
        context.say(f"{self.target.name} is restored: {dumped.rows} rows, compared with the manifest")
        return {"tables": len(dumped.tables or ()), "rows": dumped.rows, "pod": f"{self.namespace}/{NAME}"}

    def undo(self, context: Context) -> Evidence:
        """Puts back what the database held before."""
        if self._fact not in context.facts.values:
            return {"restored": "nothing: it was not filled"}
        ended = self._run(context, _PUT_BACK, "put back", self.deadline_seconds)
        if ended.exit_code != 0:
            raise StepError(f"the pod {self.namespace}/{NAME} ended with {ended.exit_code}: {_last(ended)}")
        return {"restored": f"what {self.target.name} held before"}

    def repair(self, context: Context) -> None:
        """Removes the pod of a killed runner before it goes on writing."""
        remove_throwaway(context, context.cluster(self.cluster), self.namespace, NAME)

    def _run(
        self, context: Context, script: str, what: str, seconds: float, dumped: Manifest | None = None
    ) -> Ended:
        host, user, password = reach.stack_login(context, self.target)
        given = {
            "PGHOST": host,
            "PGPORT": str(reach.stack_port(context, self.target)),
            "PGUSER": user,
            "PGPASSWORD": password,
            "PGDATABASE": self.target.database,
            "PGSSLMODE": "require",
            "PGCONNECT_TIMEOUT": "10",
        }
        authorities = Path(reach.authorities(context, self.target)).read_text(encoding="utf-8")
        if len(authorities.encode()) <= _LONGEST_VARIABLE:
            given["PG_CA"] = authorities
        scratch = ""
        if dumped is not None:
            file = dumped.files[0]
            bucket = Bucket.open(context, self.dump.bucket)
            given["DUMP_URL"] = bucket.link(f"{self.dump.prefix}/{file.name}", seconds + _START_SECONDS)
            given |= {"DUMP_SHA256": file.sha256, "DUMP_BYTES": str(file.size)}
            scratch = f"{max(1, round(file.size * _SPARE / 2**30))}Gi"
        pod = ThrowawayPod(
            namespace=self.namespace,
            name=NAME,
            image=self.image,
            command=("sh", "-c", _BEGIN + script),
            secrets=given,
            deadline_seconds=min(seconds, context.remaining()),
            scratch=scratch,
        )
        seen: list[str] = []

        def watch(lines: Sequence[str]) -> None:
            for line in lines:
                if line.startswith(_DONE) and line not in seen:
                    seen.append(line)
                    context.say(f"{what}: {line.removeprefix(_DONE)}")

        return run_throwaway(context, context.cluster(self.cluster), pod, watch)


def _count() -> str:
    return _COUNT.replace("{statement}", POSTGRES_SUMS)


def _sums(ended: Ended) -> tuple[int, str]:
    """How many tables the pod has counted, and the digest of their sums."""
    for line in reversed(ended.log):
        words = line.split()
        if words[:2] == ["landfall:", "sums"] and len(words) == 4:
            return int(words[2]), words[3]
    return 0, ""


def _wanted(dumped: Manifest) -> tuple[int, str]:
    """The same of the manifest."""
    lines = sorted(
        f"{name} {table.rows} {table.checksum}\n".encode() for name, table in (dumped.tables or {}).items()
    )
    return len(lines), hashlib.sha256(b"".join(lines)).hexdigest()


def _last(ended: Ended) -> str:
    """What it said last; PostgreSQL's errors name no values of rows by themselves but in their DETAIL."""
    lines = [
        line for line in ended.log if line.strip() and not line.lstrip().startswith(("DETAIL", "CONTEXT"))
    ]
    return " | ".join(lines[-5:])[-800:] or ended.message[-800:]
