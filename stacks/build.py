"""Runs a stack's builder on its settings."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pulumi

from stacks.settings import (
    CallerFlips,
    EdgeFlips,
    Environment,
    Flips,
    PlaceholderError,
    RhoamEnvironment,
    SettingsError,
    SourceFlips,
    TargetFlips,
    check_flips,
    load_any_environment,
    load_flips,
)


def build_stack(environment_name: str, part: str, folder: Path, flips: Flips | None) -> None:
    """Declares what the stack holds. Wrong settings end the program before anything is registered.

    Raises:
        pulumi.RunError: with all that is wrong in the settings, or the names of the stacks that there are;
            Pulumi shows it without a traceback.
    """
    stack = f"{environment_name}-{part}" if part else environment_name
    try:
        environment = load_any_environment(folder, environment_name)
        parts = stack_parts(environment)
        if part not in parts:
            names = ", ".join(f"{environment_name}-{name}" if name else environment_name for name in parts)
            raise pulumi.RunError(f"the environment {environment_name} has no stack {stack}; it has {names}")
        if flips is None and parts[part]:
            flips = load_flips(folder, stack)
        elif flips is not None and (problems := check_flips(environment, flips, part)):
            raise ValueError(
                "; ".join(f"{problem.path}: expected {problem.expected}" for problem in problems)
            )
        _builder(environment, part, flips, folder)()
    except (SettingsError, PlaceholderError) as error:
        raise pulumi.RunError(str(error)) from error


def stack_parts(environment: Environment | RhoamEnvironment) -> dict[str, bool]:
    """The parts of the names of all stacks that an environment has, and whether each has flip keys.

    In the order in which they are brought up: each reads the outputs of those before it alone.
    """
    if isinstance(environment, RhoamEnvironment):
        return {"migration": False, "": False, "edge": True}
    fixed = {"": False, "replication": False, "source": True, "target": True, "edge": True}
    if environment.replication is None:
        del fixed["replication"]
    return fixed | dict.fromkeys(environment.caller_clusters, True)


def _builder(
    environment: Environment | RhoamEnvironment, part: str, flips: Flips | None, folder: Path
) -> Callable[[], None]:
    builder: Callable[[], None] | None = None
    # Each builder's module imports its providers' packages: a flip must not wait for those of another stack.
    match environment, part, flips:
        case _, "edge", EdgeFlips():
            from stacks.edge import edge  # noqa: PLC0415

            builder = partial(edge, environment, flips)
        case Environment(), "", None:
            from stacks.landing_zone import landing_zone  # noqa: PLC0415

            builder = partial(landing_zone, environment)
        case Environment(), "replication", None:
            from stacks.replication import replication  # noqa: PLC0415

            builder = partial(replication, environment, folder)
        case Environment(), "source", SourceFlips():
            from stacks.source import source  # noqa: PLC0415

            builder = partial(source, environment, flips)
        case Environment(), "target", TargetFlips():
            from stacks.target import target  # noqa: PLC0415

            builder = partial(target, environment, flips)
        case Environment(), cluster, CallerFlips():
            from stacks.callers import callers  # noqa: PLC0415

            builder = partial(callers, environment, cluster, flips)
        case RhoamEnvironment(), "", None:
            from stacks.rhoam import destination  # noqa: PLC0415

            builder = partial(destination, environment)
        case RhoamEnvironment(), "migration", None:
            from stacks.rhoam import migration  # noqa: PLC0415

            builder = partial(migration, environment)
    if builder is None:
        stack = f"{environment.name}-{part}" if part else environment.name
        given = "" if flips is None else f" with {type(flips).__name__}"
        raise ValueError(f"the environment {environment.name} has no stack {stack}{given}")
    return builder
