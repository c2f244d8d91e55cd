"""The whole estate on this machine: every stack of every environment made, looked at, changed and removed.

For each stack: `up`; a preview that shows no change; a refresh that shows no drift; something changed from
outside, which refresh finds and `up` puts right. Then `destroy`, which a protected stack refuses until its
settings say otherwise, and an account in which, type by type, nothing is left.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pulumi import automation

from lab import inventory
from lab.estate_changes import DAY_TWO, OUTSIDE, Change
from lab.estate_settings import declared, prepare
from lab.estate_world import EstateWorld
from lab.options import REPOSITORY
from lab.setup import find_tools
from lab.world import LabError, enter, inside_world
from stacks.review import stacks_of
from stacks.settings import stack_file

REGIONS = {"prod": "ap-southeast-1", "rhoam": "eu-west-1"}
"""By environment, as its settings have it."""
QUIET = ("same", "read")
"""Operations that change nothing."""
PREVIEW_LIMIT = 3.0
"""How many times as long as importing its packages the landing zone's preview may take."""


@dataclass
class StackReport:
    """What became of one stack."""

    stack: str
    resources: int = 0
    """In the state after `up`, the stack itself and providers left out."""
    up_seconds: float = 0.0
    changes_after_up: dict[str, int] = field(default_factory=dict)
    """What a preview right after `up` would do; empty: nothing."""
    drift: list[str] = field(default_factory=list)
    """What a refresh right after `up` found; empty: nothing."""
    policy_violations: list[str] = field(default_factory=list)
    """What `pulumi preview --policy-pack policy` does not let through, all values known; empty: nothing."""
    policy_notes: list[str] = field(default_factory=list)
    """What the pack only shows: exceptions of the settings, and what it could not judge."""
    outside_change: str = ""
    """What was changed behind Pulumi's back."""
    outside_change_found: bool = False
    """Whether refresh named the resource, and no other."""
    outside_change_healed: bool = False
    """Whether nothing differed any more after the next `up`."""
    refuses_destroy: bool | None = None
    """Whether `destroy` was refused, and an output says how it is done; None: nothing is protected."""
    left_after_destroy: list[str] = field(default_factory=list)

    def problems(self) -> list[str]:
        """What is not as it should be."""
        found = {
            f"a preview after `up` shows {self.changes_after_up}": bool(self.changes_after_up),
            f"a refresh after `up` shows {self.drift}": bool(self.drift),
            f"the policy pack does not let through {self.policy_violations}": bool(self.policy_violations),
            f"refresh did not find: {self.outside_change}": not self.outside_change_found,
            f"`up` did not put right: {self.outside_change}": not self.outside_change_healed,
            "it is protected, and `destroy` did not say how it is done": self.refuses_destroy is False,
            f"left after destroy: {self.left_after_destroy}": bool(self.left_after_destroy),
        }
        return [f"{self.stack}: {text}" for text, wrong in found.items() if wrong]


@dataclass
class Report:
    """What `out/estate/report.json` holds."""

    schema: int = 1
    engine: str = ""
    stacks: list[StackReport] = field(default_factory=list)
    day_two: list[dict[str, Any]] = field(default_factory=list)
    """Changes of settings, with what a preview makes of each."""
    import_seconds: float = 0.0
    """Importing what the landing zone imports."""
    preview_seconds: float = 0.0
    """`pulumi preview` of the landing zone."""
    final_snapshots: list[str] = field(default_factory=list)
    """Left by databases and caches, as their settings say."""

    def problems(self) -> list[str]:
        """What is not as it should be, of all stacks."""
        found = [problem for stack in self.stacks for problem in stack.problems()]
        found += [
            f"{change['change']}: touches {change['touches']}, expected {change['expected']}"
            for change in self.day_two
            if change["touches"] != change["expected"]
        ]
        if self.preview_seconds > PREVIEW_LIMIT * self.import_seconds:
            found.append(
                f"a preview of prod took {self.preview_seconds} s, more than {PREVIEW_LIMIT:g} times the "
                f"{self.import_seconds} s of importing its packages"
            )
        return found


class Estate:
    """Takes the stacks through their lives."""

    def __init__(self, world: EstateWorld, project: Path, progress: Callable[[str], None]) -> None:
        self._world = world
        self._project = project
        self._progress = progress
        self._clients = {name: world.client(region) for name, region in REGIONS.items()}
        self._before: dict[str, inventory.Inventory] = {}
        self._stacks = {
            name: stacks_of(project, name) for name in REGIONS if stack_file(project, name).exists()
        }
        self.report = Report(engine=world.engine)

    def run(self, environments: Sequence[str]) -> Report:
        """All of it."""
        for environment in environments:
            for stack in self._stacks[environment]:
                self.report.stacks.append(self._make(stack))
            for change in DAY_TWO.get(environment, ()):
                self.report.day_two.append(self._look_ahead(change))
            if environment == "prod":
                self._measure()
        for environment in reversed(environments):
            self._remove(environment)
        self.report.final_snapshots = sorted(
            found for name in environments for found in inventory.snapshots(self._clients[name])
        )
        return self.report

    def _make(self, stack: str) -> StackReport:
        made = StackReport(stack)
        self._before[stack] = self._take(stack)
        self._pulumi("stack", "init", stack)
        started = time.monotonic()
        self._up(stack)
        made.up_seconds = round(time.monotonic() - started, 2)
        made.resources = len(self._resources(stack))
        made.changes_after_up = self._changes(stack)
        made.drift = self._drift(stack)
        self._judge(stack, made)
        self._progress(f"{stack}: {made.resources} resources in {made.up_seconds} s")
        if stack in OUTSIDE:
            self._change_from_outside(stack, made)
        for problem in made.problems():
            self._progress(f"NOT AS IT SHOULD BE: {problem}")
        return made

    def _change_from_outside(self, stack: str, made: StackReport) -> None:
        outside = OUTSIDE[stack]
        outputs = self._outputs(stack)
        made.outside_change = outside.title
        outside.apply(self._world, self._clients[_environment(stack)], outputs)
        found = self._drift(stack)
        made.outside_change_found = found == [outside.found]
        if not made.outside_change_found:
            self._progress(f"{stack}: refresh found {found}, expected {outside.found}")
        self._up(stack, "--refresh")
        made.outside_change_healed = not self._drift(stack) and not self._changes(stack)

    def _look_ahead(self, change: Change) -> dict[str, Any]:
        """What a preview with changed settings shows."""
        file = self._project / f"Pulumi.{_environment(change.stack)}.yaml"
        before = file.read_text()
        file.write_text(_with(before, change))
        try:
            steps = json.loads(self._pulumi("preview", "--json", "--stack", change.stack))["steps"]
        finally:
            file.write_text(before)
        touches = sorted(
            _named(step["op"], step["urn"])
            for step in steps
            if step["op"] not in QUIET and not _bookkeeping(step["urn"])
        )
        self._progress(f"{change.title}: {', '.join(touches) or 'nothing'}")
        return {"change": change.title, "touches": touches, "expected": list(change.touches)}

    def _measure(self) -> None:
        """The landing zone's preview against what importing its packages takes."""
        argv = [sys.executable, "-c", "import stacks.build, stacks.landing_zone"]
        timed = {
            "import": lambda: subprocess.run(argv, cwd=self._project, check=True, timeout=60.0),
            "preview": lambda: self._pulumi("preview", "--stack", "prod"),
        }
        best = {name: min(_seconds(what) for _ in range(3)) for name, what in timed.items()}
        self.report.import_seconds, self.report.preview_seconds = best["import"], best["preview"]
        self._progress(f"prod: import {best['import']} s, preview {best['preview']} s")

    def _remove(self, environment: str) -> None:
        reports = {made.stack: made for made in self.report.stacks}
        stacks = self._stacks[environment]
        protected = [stack for stack in stacks if self._protected(stack)]
        for stack in protected:
            reports[stack].refuses_destroy = self._refuses(stack)
        self._unprotect(environment)
        for stack in reversed(stacks):
            if stack in protected:
                self._up(stack)
            self._pulumi("destroy", "--yes", "--skip-preview", "--stack", stack)
            left = self._take(stack) - self._before[stack]
            reports[stack].left_after_destroy = sorted(left)
            self._progress(f"{stack}: removed; left: {', '.join(sorted(left)) or 'nothing'}")

    def _take(self, stack: str) -> inventory.Inventory:
        return inventory.take(self._clients[_environment(stack)])

    def _protected(self, stack: str) -> bool:
        return any(resource.get("protect") for resource in self._resources(stack))

    def _refuses(self, stack: str) -> bool:
        """Whether destroy is refused and changes nothing, and the stack tells how it is done on purpose."""
        before = self._take(stack)
        result = self._world.try_pulumi(self._project, "destroy", "--yes", "--stack", stack)
        told = result.stdout + result.stderr
        said = "because it is protected" in told and "protected: false" in self._outputs(stack)["protection"]
        return result.returncode != 0 and said and self._take(stack) == before

    def _unprotect(self, environment: str) -> None:
        """What the settings' documentation says of deleting on purpose."""
        path = self._project / f"Pulumi.{environment}.yaml"
        document = yaml.safe_load(path.read_text())
        document["config"]["landfall:environment"]["protected"] = False
        path.write_text(yaml.safe_dump(document, sort_keys=False))

    def _resources(self, stack: str) -> list[dict[str, Any]]:
        exported = json.loads(self._pulumi("stack", "export", "--stack", stack))
        return [
            found
            for found in exported["deployment"].get("resources", [])
            if not found["type"].startswith(("pulumi:pulumi:", "pulumi:providers:"))
        ]

    def _outputs(self, stack: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._pulumi("stack", "output", "--json", "--stack", stack))
        return found

    def _up(self, stack: str, *further: str) -> None:
        self._pulumi("up", "--yes", "--skip-preview", "--stack", stack, *further)

    def _changes(self, stack: str) -> dict[str, int]:
        """What a preview would do."""
        told = json.loads(self._pulumi("preview", "--json", "--stack", stack))
        return {kind: count for kind, count in told["changeSummary"].items() if kind not in QUIET}

    def _judge(self, stack: str, made: StackReport) -> None:
        """Runs the policy pack on the stack."""

        def note(event: automation.EngineEvent) -> None:
            if (found := event.policy_event) is not None:
                mandatory = found.enforcement_level == "mandatory"
                kept = made.policy_violations if mandatory else made.policy_notes
                kept.append(" ".join(line for line in found.message.split("\n") if line))

        try:
            self._stack(stack).preview(policy_packs=[str(self._project / "policy")], on_event=note)
        except automation.CommandError as error:
            if not made.policy_violations:
                raise LabError(f"the policy pack did not judge {stack}: {error}") from error

    def _stack(self, stack: str) -> automation.Stack:
        """The stack by the Automation API: the command's own `--json` does not say all that its events do."""
        workspace = automation.LocalWorkspace(
            work_dir=str(self._project),
            env_vars=self._world.environment(),
            pulumi_command=automation.PulumiCommand(root=str(self._world.folder)),
        )
        return automation.Stack.select(stack, workspace)

    def _drift(self, stack: str) -> list[str]:
        """Which resources a refresh finds changed."""
        found: list[str] = []

        def note(event: automation.EngineEvent) -> None:
            if event.res_outputs_event is not None:
                metadata = event.res_outputs_event.metadata
                if metadata.op.value not in (*QUIET, "refresh"):
                    properties = ", ".join(sorted(metadata.detailed_diff or metadata.diffs or ()))
                    found.append(f"{_named(metadata.op.value, metadata.urn)}: {properties}")

        self._stack(stack).preview_refresh(on_event=note)
        return sorted(found)

    def _pulumi(self, *arguments: str) -> str:
        return self._world.pulumi(self._project, *arguments)


def _environment(stack: str) -> str:
    return stack.partition("-")[0]


def _with(text: str, change: Change) -> str:
    """A settings file's text with a change in it."""
    document = yaml.safe_load(text)
    here = document["config"]["landfall:environment"]
    for key in change.path[:-1]:
        here = here[key]
    last = change.path[-1]
    if last == -1:
        here.append(change.value)
    else:
        here[last] = change.value
    return yaml.safe_dump(document, sort_keys=False)


def _named(operation: str, urn: str) -> str:
    """`update ec2/vpc:Vpc prod`."""
    *_, kind, name = urn.split("::")
    return f"{operation} {kind.rpartition('$')[2].partition(':')[2]} {name}"


def _bookkeeping(urn: str) -> bool:
    kind = urn.split("::")[-2].rpartition("$")[2]
    return kind.startswith(("pulumi:", "landfall:"))


def _seconds(what: Callable[[], object]) -> float:
    started = time.monotonic()
    what()
    return round(time.monotonic() - started, 2)


def write(report: Report, folder: Path) -> Path:
    """Write the report; gives its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "report.json"
    path.write_text(json.dumps({**asdict(report), "problems": report.problems()}, indent=2) + "\n")
    return path


@dataclass(frozen=True)
class Options:
    """What the environment variables of `make estate` say."""

    environments: tuple[str, ...]
    engine: str
    output: Path
    keep: bool

    @classmethod
    def read(cls, variables: Mapping[str, str]) -> Options:
        """Read the variables. Raises LabError naming what is wrong."""
        wanted = variables.get("ENV", "")
        engine = variables.get("ENGINE", "")
        if wanted not in ("", *REGIONS):
            raise LabError(f"ENV={wanted}: expected {' or '.join(REGIONS)}, or nothing for all")
        if engine not in ("", "official", "lab"):
            raise LabError(f"ENGINE={engine}: expected official, lab or nothing")
        return cls(
            environments=(wanted,) if wanted else tuple(REGIONS),
            engine=engine,
            output=Path(variables.get("OUT") or REPOSITORY / "out").resolve(),
            keep=bool(variables.get("KEEP")),
        )


def estate(options: Options) -> int:
    """Everything; 0 if nothing is amiss."""
    started = time.monotonic()

    def progress(text: str) -> None:
        sys.stdout.write(f"[{time.monotonic() - started:6.1f} s] {text}\n")
        sys.stdout.flush()

    folder = Path(tempfile.mkdtemp(prefix="landfall-estate-"))
    zones, contexts = declared(options.environments)
    world = EstateWorld(folder, find_tools(), zones, contexts, progress)
    try:
        world.start(options.engine)
        project = folder / "project"
        prepare(world, project, options.environments)
        report = Estate(world, project, progress).run(options.environments)
        path = write(report, options.output / "estate")
        problems = report.problems()
        for line in (*(f"NOT AS IT SHOULD BE: {problem}" for problem in problems), f"report: {path}"):
            progress(line)
        return 1 if problems else 0
    finally:
        world.stop()
        if options.keep:
            progress(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


def main() -> int:
    """`python -m lab estate`."""
    try:
        options = Options.read(os.environ)
        if not inside_world():
            return enter([sys.executable, "-m", "lab", "estate"])
        return estate(options)
    except LabError as error:
        sys.stderr.write(f"estate: {error}\n")
        return 1
