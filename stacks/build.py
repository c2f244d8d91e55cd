"""Runs a stack's builder on its settings."""

from pathlib import Path

import pulumi

from stacks.settings import (
    EdgeFlips,
    Environment,
    Flips,
    PlaceholderError,
    SettingsError,
    SourceFlips,
    TargetFlips,
    check_flips,
    load_environment,
    load_flips,
)


def build_stack(environment_name: str, part: str, folder: Path, flips: Flips | None) -> None:
    """Declares what the stack holds. Wrong settings end the program before anything is registered.

    Raises:
        pulumi.RunError: with all that is wrong in the settings; Pulumi shows it without a traceback.
    """
    try:
        environment = load_environment(folder, environment_name)
        if part and flips is None:
            flips = load_flips(folder, f"{environment_name}-{part}")
        elif flips is not None and (problems := check_flips(environment, flips)):
            raise ValueError(
                "; ".join(f"{problem.path}: expected {problem.expected}" for problem in problems)
            )
        _dispatch(environment, part, flips)
    except (SettingsError, PlaceholderError) as error:
        raise pulumi.RunError(str(error)) from error


def _dispatch(environment: Environment, part: str, flips: Flips | None) -> None:
    # Each builder's module imports its providers' packages: a flip must not wait for those of another stack.
    match part, flips:
        case "", None:
            from stacks.landing_zone import landing_zone  # noqa: PLC0415

            landing_zone(environment)
        case "edge", EdgeFlips():
            from stacks.edge import edge  # noqa: PLC0415

            edge(environment, flips)
        case "source", SourceFlips():
            from stacks.source import source  # noqa: PLC0415

            source(environment, flips)
        case "target", TargetFlips():
            from stacks.target import target  # noqa: PLC0415

            target(environment, flips)
        case _:
            raise ValueError(f"the stack {environment.name}-{part} takes no {type(flips).__name__}")
