"""The commands about the journal and the lease themselves: verifying the one, taking back the other."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from cutover.errors import JournalError
from cutover.session import Session

Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]


def audit_command(context: typer.Context, as_json: Json = False) -> None:
    """Verify the journal: its chain of hashes, and that it fits its anchors outside, where there are any."""
    from cutover.anchors import audited, in_words  # noqa: PLC0415 - boto3 takes its time

    session: Session = context.obj
    home, bucket = session.journal_home, session.anchors()
    contents = home.read()
    anchors = bucket.all() if bucket is not None else None
    if not contents.records and not anchors:
        raise JournalError(f"there is no journal at {home}")
    found = audited(contents.records, contents.torn, anchors)
    if as_json:
        epochs = max((record.epoch for record in contents.records), default=0)
        told = {"journal": str(home), **found.as_json(), "epochs": epochs}
        typer.echo(json.dumps(told, indent=2, ensure_ascii=False))
    else:
        typer.echo("\n".join(in_words(found, str(home), str(bucket))))
    if found.problems:
        raise JournalError(
            f"the journal {home} does not fit its anchors. Keep it as it is, and restore it from a copy"
        )


def unlock_command(
    context: typer.Context,
    holder: Annotated[str, typer.Option("--id", help="The lease of the lost runner, as `status` shows it.")],
    by: Annotated[str, typer.Option("--as", help="Who unlocks.")],
    note: Annotated[str, typer.Option(help="How it is known that the runner is lost.")],
    as_json: Json = False,
) -> None:
    """Take the lease from a runner that is lost; refuses where that one is seen at work."""
    session: Session = context.obj
    before = session.unlock(holder, by, note, lambda text: typer.echo(text, err=True))
    if as_json:
        typer.echo(json.dumps({"unlocked": asdict(before)}, indent=2, ensure_ascii=False))
    else:
        typer.echo(f"unlocked: {before} holds the lease no longer. To go on: `{session.program} run`")
