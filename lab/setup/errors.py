"""The error of setup."""

from __future__ import annotations


class SetupError(Exception):
    """Something that setup needs is missing or failed; the message says what, where, and what to do."""
