"""Errors that end a command with a message for a person."""

from __future__ import annotations


class EngineError(Exception):
    """Ends the command: the message goes to standard error behind `error: `, the process ends with `code`."""

    def __init__(self, message: str, *, code: int = 255) -> None:
        super().__init__(message)
        self.code = code


class RefusedError(EngineError):
    """What the official `pulumi` can do and this one does not; the message names it."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} is not supported by the lab's engine; use the official pulumi for it")
