"""One builder a stack, and the typed settings of an environment."""

from collections.abc import Callable
from pathlib import Path

from stacks.settings import Flips


def builder_for(stack: str, folder: Path | None = None, flips: Flips | None = None) -> Callable[[], None]:
    """The Pulumi program of a stack, as a function: for `__main__` and for inline programs alike.

    It reads its settings when it runs, and imports the packages of its providers then; nothing is kept
    between two runs in one process. A name that the environment has no stack for ends that run.

    Args:
        stack: `<environment>`, or `<environment>-<part>` for one of its small stacks.
        folder: the project's folder; by default the working directory.
        flips: used in place of the flip keys in the stack's own file, for looking ahead.
    """
    environment, _, part = stack.partition("-")

    def build() -> None:
        from stacks.build import build_stack  # noqa: PLC0415 - settings are read without importing Pulumi

        build_stack(environment, part, folder or Path.cwd(), flips)

    return build
