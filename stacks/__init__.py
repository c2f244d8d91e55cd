"""One builder a stack, and the typed settings of an environment."""

from collections.abc import Callable
from pathlib import Path

from stacks.settings import Flips

PARTS = ("", "replication", "migration", "source", "target", "edge")
"""What may follow an environment's name in the name of a stack."""


def builder_for(stack: str, folder: Path | None = None, flips: Flips | None = None) -> Callable[[], None]:
    """The Pulumi program of a stack, as a function: for `__main__` and for inline programs alike.

    It reads its settings when it runs, and imports the packages of its providers then; nothing is kept
    between two runs in one process.

    Args:
        stack: `<environment>`, or `<environment>-<part>` for one of its small stacks.
        folder: the project's folder; by default the working directory.
        flips: used in place of the flip keys in the stack's own file, for looking ahead.

    Raises:
        ValueError: no stack is named so.
    """
    environment, _, part = stack.partition("-")
    if part not in PARTS:
        names = ", ".join(f"<environment>-{name}" for name in PARTS if name)
        raise ValueError(f"no stack is named {stack!r}: expected <environment>, or one of {names}")

    def build() -> None:
        from stacks.build import build_stack  # noqa: PLC0415 - settings are read without importing Pulumi

        build_stack(environment, part, folder or Path.cwd(), flips)

    return build
