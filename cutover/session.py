"""One use of the command line: where things stand, and how the parts are put together."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cutover.actions.base import NO_CHANGE
from cutover.actions.flip_stack import FlipStack
from cutover.actions.person import Person
from cutover.activity import Activity
from cutover.approvals import EARLY_VALID_FOR, VALID_FOR, Approvals, digest
from cutover.clock import Clock, SystemClock
from cutover.context import Context
from cutover.errors import PlanError, StepError
from cutover.history import History, Status, fold
from cutover.homes import Homes, LocalHomes, TeamHomes
from cutover.journal import Contents, Home, Journal
from cutover.lease import Holder, Lease
from cutover.masking import keep_variables_secret, secret_variables
from cutover.owner_status import find_owner, owner_status
from cutover.plan import Plan, check_plan
from cutover.plans import build_plan
from cutover.ports import Approval, KeyStore
from stacks.settings import AnyEnvironment, Environment, load_any_environment
from stacks.settings.cutover import JournalSettings, LocalJournalSettings, TableJournalSettings

if TYPE_CHECKING:
    from cutover.anchors import AnchorBucket

FOLDER = ".cutover"
DEFAULT_ENVIRONMENT, DEFAULT_PLAN = "prod", "boss-corestone"
USUAL_ENVIRONMENTS = {"rhoam": "rhoam"}
"""The environment of a plan, where it is not the default one."""
_PREVIEW_SECONDS = 300.0


@dataclass
class Session:
    """The project's folder, an environment and a plan."""

    project: Path
    environment_name: str
    plan_name: str
    clock: Clock

    @classmethod
    def at(cls, project: Path, environment: str | None, plan: str) -> Session:
        """With the machine's clock. `environment`: None for the plan's usual one."""
        usual = USUAL_ENVIRONMENTS.get(plan, DEFAULT_ENVIRONMENT)
        return cls(project.resolve(), environment or usual, plan, SystemClock())

    @property
    def program(self) -> str:
        """The command line's name with the options of this session, to be used again from where we are."""
        options = (
            ("--project", str(self.project), str(Path.cwd())),
            (
                "--environment",
                self.environment_name,
                USUAL_ENVIRONMENTS.get(self.plan_name, DEFAULT_ENVIRONMENT),
            ),
            ("--plan", self.plan_name, DEFAULT_PLAN),
        )
        given = [word for name, value, usual in options if value != usual for word in (name, value)]
        return shlex.join(["cutover", *given])

    @property
    def folder(self) -> Path:
        """Where journals, the lease and approvals stand."""
        return self.project / FOLDER

    @property
    def journal_path(self) -> Path:
        """This plan's journal, where it is a file."""
        return self.folder / f"{self.environment_name}.{self.plan_name}.jsonl"

    @property
    def series_path(self) -> Path:
        """What pages measured meanwhile."""
        return self.folder / f"{self.environment_name}.{self.plan_name}.series.jsonl"

    @property
    def database_folder(self) -> Path:
        """Where the switch of the database and its verification keep what they need after a crash."""
        return self.folder / f"{self.environment_name}.{self.plan_name}.database"

    @property
    def lease_path(self) -> Path:
        """One lease for all plans of an environment, where it is a file."""
        return self.folder / f"{self.environment_name}.lease"

    @cached_property
    def homes(self) -> Homes:
        """Where journal, lease and approvals are kept, as the settings say; without any, in local files.

        Raises:
            SettingsError: the settings cannot be read.
            JournalError: see TeamHomes.
        """
        journal = self._journal_settings()
        if isinstance(journal, TableJournalSettings):
            return TeamHomes(journal, self.environment_name, self.plan_name, self.journal_path)
        approvals = self.folder / "approvals" / f"{self.environment_name}.{self.plan_name}"
        return LocalHomes(self.journal_path, self.lease_path, approvals, self.clock)

    def _journal_settings(self) -> JournalSettings:
        if not (self.project / f"Pulumi.{self.environment_name}.yaml").exists():
            return LocalJournalSettings()
        return self.environment().cutover.journal

    @property
    def journal_home(self) -> Home:
        """Where this plan's journal is kept, to be read. Raises SettingsError, JournalError."""
        return self.homes.journal()

    @property
    def approvals(self) -> Approvals:
        """Where approvals are left for the runner."""
        return Approvals(self.homes.slips(), self.clock)

    def environment(self) -> AnyEnvironment:
        """Raises SettingsError. The secrets that the settings name are known from here on."""
        found = load_any_environment(self.project, self.environment_name)
        keep_variables_secret(secret_variables(found))
        return found

    def plan(self) -> Plan:
        """The plan, sound. Raises SettingsError, PlanError."""
        plan = build_plan(self.plan_name, self.environment())
        if problems := check_plan(plan):
            raise PlanError(f"plan {plan.id} is not sound: {'; '.join(problems)}")
        return plan

    def contents(self) -> Contents:
        """The journal as it stands, read only. Raises JournalError."""
        return self.journal_home.read()

    def history(self) -> History:
        """See fold. Raises JournalError."""
        return fold(self.contents().records)

    def running(self) -> bool:
        """Whether a runner is at work."""
        return self.looking.held()

    @cached_property
    def looking(self) -> Lease:
        """The environment's lease, to be looked at: who is silent is known to whoever has looked for long."""
        return self.homes.lease()

    def approve(self, plan: Plan, step: str, by: str, note: str, asked: str | None = None) -> Approval:
        """Leaves a person's word for the runner. `asked`: the digest of what they were shown.

        Raises:
            PlanError: the step does not wait, something is missing, or another thing is asked by now.
        """
        history = self.history()
        asks_now = history.step(plan.step(step).id).waiting
        waiting = asks_now or _asked_early(plan, history, step)
        if not waiting:
            names = ", ".join(name for name, found in history.steps.items() if found.waiting)
            raise PlanError(f"step {step} does not wait for anybody; waiting: {names or 'none'}")
        if not by.strip() or not note.strip():
            raise PlanError("an approval needs a name (--as) and a note (--note)")
        if asked is not None and asked != digest(waiting):
            raise PlanError(f"step {step} asks for something else by now: {waiting}")
        rounds = history.step(step).rounds
        return self.approvals.give(
            step,
            by.strip(),
            note.strip(),
            asked=waiting,
            plan_hash=plan.hash,
            round_=rounds,
            valid_for=VALID_FOR if asks_now else EARLY_VALID_FOR,
        )

    def owner_status(self, plan: Plan, asked: str) -> dict[str, Any]:
        """What concerns one owner. Raises PlanError where it is none of the plan's, JournalError."""
        owner = find_owner(plan, asked)
        return owner_status(
            plan,
            self.history(),
            owner,
            self.clock.now(),
            running=self.running(),
            given=self.approvals.given(step.id for step in plan.steps if step.owner == owner),
            program=self.program,
        )

    @contextmanager
    def journal(
        self, plan: Plan, *, adopt: bool = False, say: Callable[[str], None] = lambda _: None
    ) -> Iterator[Journal]:
        """The journal, open for writing, under the lease.

        Raises:
            LeaseError: another runner holds it.
            JournalError: see Journal.
            PlanError: the journal was written for another plan and `adopt` is false.
        """
        with self._under_lease(say) as journal:
            _open(journal, plan, adopt=adopt)
            yield journal

    def unlock(self, holder_id: str, by: str, note: str, say: Callable[[str], None]) -> Holder:
        """Takes the lease from a lost holder, and writes down who did so.

        Raises:
            LeaseError: see Lease.unlock.
            JournalError: see Journal.
            PlanError: the name or the note is missing.
        """
        if not by.strip() or not note.strip():
            raise PlanError("unlocking needs a name (--as) and a note (--note)")
        before = self.homes.lease(say=say).unlock(holder_id)
        with self._under_lease(say) as journal:
            lost = {"id": before.id, "pid": before.pid, "host": before.host, "since": before.since}
            journal.append("unlocked", {"lost": lost, "by": by.strip(), "note": note.strip()})
        return before

    def holder(self) -> Holder | None:
        """Who holds the lease, as far as it is known. Raises LeaseError."""
        return self.looking.last() if self.running() else None

    def anchors(self) -> AnchorBucket | None:
        """Where the journal's hashes are kept besides, if anywhere. Raises SettingsError, JournalError."""
        settings = self._journal_settings().anchor
        if settings is None:
            return None
        from cutover.anchors import AnchorBucket  # noqa: PLC0415 - boto3 takes its time

        return AnchorBucket(settings, f"{self.environment_name}.{self.plan_name}")

    def anchoring(self, journal: Journal, say: Callable[[str], None]) -> AbstractContextManager[object]:
        """Keeps the journal's hashes there while it is written. Raises SettingsError, JournalError."""
        bucket = self.anchors()
        if bucket is None:
            return nullcontext()
        from cutover.anchors import Anchoring  # noqa: PLC0415 - boto3 takes its time

        return Anchoring(journal, bucket, say)

    @contextmanager
    def _under_lease(self, say: Callable[[str], None]) -> Iterator[Journal]:
        last = max((record.epoch for record in self.contents().records), default=0)
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.folder.chmod(0o700)
        with self.homes.lease(last, say) as lease:
            home = self.homes.journal(lambda: lease.holder)
            journal = Journal(home, lease.epoch, self.clock, lease.ensure)
            try:
                yield journal
            finally:
                journal.close()

    def context(self, say: Callable[[str], None], stopping: Callable[[], bool]) -> Context:
        """Everything that steps use. Raises SettingsError, StepError."""
        # Their clients take a second to load, and `status` is asked again and again without them.
        from cutover.clusters import KubernetesCluster  # noqa: PLC0415
        from cutover.database import MySql, NoDatabase  # noqa: PLC0415
        from cutover.database_move.mysql_move import MySqlMove  # noqa: PLC0415
        from cutover.dns_client import AuthoritativeDns  # noqa: PLC0415
        from cutover.keys.store import RedisPod  # noqa: PLC0415
        from cutover.pulumi_stacks import PulumiStacks  # noqa: PLC0415
        from cutover.threescale.http import HttpsApi  # noqa: PLC0415
        from cutover.web import HttpsClient  # noqa: PLC0415

        environment = self.environment()
        call = environment.cutover.timeouts.call
        activity = Activity()
        clusters = {
            name: KubernetesCluster(context, call, self.clock)
            for name, context in environment.contexts.items()
        }
        stacks = PulumiStacks(self.project, max(_PREVIEW_SECONDS, call), activity.note)
        common: dict[str, Any] = {
            "settings": environment,
            "project": self.project,
            "clusters": clusters,
            "stacks": stacks,
            "dns": AuthoritativeDns(call),
            "web": HttpsClient(),
            "clock": self.clock,
            "say": say,
            "stopping": stopping,
            "activity": activity,
        }

        def keys(side: str) -> KeyStore:
            redis = environment.redis_copy if isinstance(environment, Environment) else None
            if redis is None:
                raise StepError("the settings name no Redis that moves along (redis_copy)")
            return RedisPod(clusters[side], redis.host, redis.port, self.clock)

        if not isinstance(environment, Environment):
            return Context(**common, database=NoDatabase(), keys=keys, api=HttpsApi())
        move = None
        if environment.replication is not None:
            move = MySqlMove(
                environment,
                self.project,
                self.database_folder,
                stacks=stacks,
                target=clusters["target"],
                clock=self.clock,
            )
        return Context(
            **common, database=MySql(environment, self.project, call), database_move=move, keys=keys
        )


def _asked_early(plan: Plan, history: History, step: str) -> str:
    """What a step will ask whose turn it is not yet, and which its owner may have done already; or empty."""
    action = plan.step(step).action
    if not isinstance(action, Person) or history.step(step).status != Status.PENDING:
        return ""
    return action.asked_early or ""


def _open(journal: Journal, plan: Plan, *, adopt: bool) -> None:
    history = fold(journal.records)
    if not history.plan_hash:
        journal.append("opened", {"plan": plan.id, "plan_hash": plan.hash, "environment": plan.environment})
        return
    if (history.plan, history.environment) != (plan.id, plan.environment):
        raise PlanError(
            f"the journal {journal.home} belongs to plan {history.plan} of {history.environment}, not to "
            f"{plan.id} of {plan.environment}"
        )
    if history.plan_hash == plan.hash:
        return
    unknown = sorted(set(history.steps) - {step.id for step in plan.steps})
    if unknown:
        raise PlanError(
            f"the plan has changed since it was begun, and no longer has the steps {', '.join(unknown)}: "
            "roll back with the version that it was begun with"
        )
    if not adopt:
        raise PlanError(
            "the plan or its settings have changed since it was begun. Look at `cutover plan show`; "
            "to go on with the changed plan: add --adopt-plan"
        )
    journal.append("plan adopted", {"plan_hash": plan.hash, "before": history.plan_hash})


def preflight(context: Context, plan: Plan) -> dict[str, object]:
    """Runs the plan's preflight by itself. Raises StepError, PlanError."""
    step = plan.step("preflight")
    context.step = step.id
    with context.limit(step.timeout_seconds, "preflight"):
        return step.action.apply(context)


def preview(context: Context, plan: Plan) -> list[tuple[str, tuple[str, ...]]]:
    """What each step would change as the world stands now; a step that cannot be previewed says why.

    Of the flips that a stack has before it, only the next can be compared with the world as it stands.
    """
    found: list[tuple[str, tuple[str, ...]]] = []
    ahead: dict[str, str] = {}
    for step in plan.steps:
        stack = step.action.stack if isinstance(step.action, FlipStack) else None
        if stack in ahead:
            found.append((step.id, (f"after {ahead[stack]}: {step.action.describe()}",)))
            continue
        try:
            lines = step.action.preview(context)
        except StepError as error:
            lines = (f"cannot be previewed yet: {error}",)
        if stack is not None and lines != NO_CHANGE:
            ahead[stack] = step.id
        found.append((step.id, lines))
    return found
