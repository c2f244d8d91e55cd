"""What contradicts what: problems across the sections of an environment."""

from collections.abc import Iterable
from dataclasses import dataclass

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class CrossProblem:
    """What does not fit together: where, which value stands there, what was expected."""

    path: Path
    value: object
    expected: str


class CrossCheckError(ValueError):
    """The sections of an environment contradict one another."""

    def __init__(self, problems: Iterable[CrossProblem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(f"{problem.path}: {problem.expected}" for problem in self.problems))
