"""The command line, called in this process."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from cutover import cli
from tests.cutover.world import World


class Call:
    """How a command ended."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Cutover:
    """Calls the command line in this process, in a world in memory."""

    def __init__(self, project: Path, world: World, capsys: pytest.CaptureFixture[str]) -> None:
        self.project, self.world, self._capsys = project, world, capsys

    def __call__(self, *arguments: str) -> Call:
        before = sys.argv
        sys.argv = ["cutover", "--project", str(self.project), *arguments]
        code = 0
        try:
            cli.main()
        except SystemExit as end:
            code = int(end.code or 0)
        finally:
            sys.argv = before
        captured = self._capsys.readouterr()
        return Call(code, captured.out, captured.err)
