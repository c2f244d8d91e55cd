"""What a person sees of an operation: one line a step, diagnostics, outputs, a summary."""

from __future__ import annotations

import os
import sys
from typing import Any

from lab.engine import urn as urns
from lab.engine import values
from lab.engine.events import Event
from lab.engine.values import Properties

_SIGNS = {
    "same": " ",
    "create": "+",
    "update": "~",
    "delete": "-",
    "replace": "+-",
    "create-replacement": "++",
    "delete-replaced": "--",
    "read": ">",
    "read-replacement": ">-",
    "refresh": "~",
    "import": "=",
    "import-replacement": "=-",
    "discard": "<",
}
_DONE = {
    "create": "created",
    "update": "updated",
    "delete": "deleted",
    "replace": "replaced",
    "create-replacement": "created replacement",
    "delete-replaced": "deleted original",
    "read": "read",
    "read-replacement": "read",
    "refresh": "refreshed",
    "import": "imported",
    "import-replacement": "imported",
    "same": "unchanged",
    "discard": "discarded",
}


def describe(event: Event, *, diff: bool) -> list[str]:
    """The lines that an event is worth to a person."""
    if "resOutputsEvent" in event:
        content = event["resOutputsEvent"]
        return _step(content["metadata"], planning=content["planning"], diff=diff)
    if "resOpFailedEvent" in event:
        return _step(event["resOpFailedEvent"]["metadata"], planning=False, diff=diff, failed=True)
    if "diagnosticEvent" in event:
        return _diagnostic(event["diagnosticEvent"])
    if "policyEvent" in event:
        return _violation(event["policyEvent"])
    if "stdoutEvent" in event:
        return [event["stdoutEvent"]["message"]]
    return []


def _diagnostic(content: dict[str, Any]) -> list[str]:
    if content["ephemeral"]:
        return []
    prefix = content["prefix"] if content["severity"] in {"warning", "error"} else ""
    where = ""
    if content["urn"]:
        where = f"{urns.type_of(content['urn'])} {urns.name_of(content['urn'])}: "
    text = content["message"].rstrip("\n")
    return [
        f"    {where}{prefix}{line}" if index == 0 else f"    {line}"
        for index, line in enumerate(text.split("\n"))
    ]


def _violation(content: dict[str, Any]) -> list[str]:
    urn = content["resourceUrn"]
    about = f" of {urns.type_of(urn)} {urns.name_of(urn)}" if urn else ""
    title = f"[{content['enforcementLevel']}] {content['policyName']}{about}"
    pack = f"({content['policyPackName']} {content['policyPackVersion']})"
    lines = content["message"].rstrip("\n").split("\n")
    return [f" !  {title} {pack}", *(f"      {line}" for line in lines)]


def _step(metadata: dict[str, Any], *, planning: bool, diff: bool, failed: bool = False) -> list[str]:
    op, urn = metadata["op"], metadata["urn"]
    if op == "same" and not failed:
        return []
    word = "failed" if failed else (op if planning else _DONE.get(op, op))
    changed = f" [diff: {', '.join(metadata['diffs'])}]" if metadata["diffs"] else ""
    lines = [f" {_SIGNS.get(op, '?'):<2} {urns.type_of(urn)} {urns.name_of(urn)} {word}{changed}"]
    if diff:
        signs = {"add": "+", "delete": "-", "update": "~"}
        for path, item in (metadata["detailedDiff"] or {}).items():
            kind = item["diffKind"].removesuffix("-replace")
            old, new = _at(metadata["old"], path), _at(metadata["new"], path)
            shown = {"add": new, "delete": old, "update": f"{old} => {new}"}[kind]
            forces = " (forces replacement)" if item["diffKind"].endswith("-replace") else ""
            lines.append(f"      {signs[kind]} {path}: {shown}{forces}")
    return lines


def _at(state: dict[str, Any] | None, path: str) -> str:
    found: Any = (state or {}).get("inputs")
    try:
        segments = values.parse_path(path)
    except ValueError:
        return "?"
    for segment in segments:
        found = values.child(found, segment)
        if found is None:
            return "?"
        if isinstance(found, dict) and found.get(values.SIGNATURE) == values.SECRET_SIGNATURE:
            return "[secret]"
    return _shown(found)


def _shown(value: Any) -> str:
    """A value on one line."""
    if value == "[secret]":
        return "[secret]"
    return values.compact(value).replace(f'"{values.UNKNOWN_STRING}"', "[unknown]")


class Terminal:
    """Prints events to standard output as they come.

    When nobody reads any more it falls silent: what is being done must still be seen through and recorded.
    """

    def __init__(self, *, diff: bool) -> None:
        self._diff = diff
        self._silent = False

    def __call__(self, event: Event) -> None:
        """Prints an event."""
        if self._silent:
            return
        try:
            for line in describe(event, diff=self._diff):
                print(line, flush=True)
        except BrokenPipeError:
            self._silent = True
            # What is still buffered must not fail again when the process ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def print_json(event: Event) -> None:
    """Prints an event as a line of JSON, which is what `--json` means where something is done."""
    print(values.compact(event), flush=True)


class Digest:
    """Collects what `preview --json` prints."""

    def __init__(self) -> None:
        self._config: dict[str, str] = {}
        self._steps: list[dict[str, Any]] = []
        self._diagnostics: list[dict[str, Any]] = []
        self._summary: dict[str, Any] = {}
        self.violations: list[str] = []

    def __call__(self, event: Event) -> None:
        """Takes an event."""
        if "preludeEvent" in event:
            self._config = event["preludeEvent"]["config"]
        elif "resourcePreEvent" in event:
            metadata = event["resourcePreEvent"]["metadata"]
            self._steps.append(
                {"op": metadata["op"], "urn": metadata["urn"], "provider": metadata["provider"]}
            )
        elif "resOutputsEvent" in event:
            self._complete(event["resOutputsEvent"]["metadata"])
        elif "diagnosticEvent" in event:
            content = event["diagnosticEvent"]
            if not content["ephemeral"]:
                self._diagnostics.append(
                    {key: content[key] for key in ("urn", "prefix", "message", "severity") if content[key]}
                )
        elif "policyEvent" in event:
            # They are no part of the official answer: whoever asked for it reads them on standard error.
            self.violations += _violation(event["policyEvent"])
        elif "summaryEvent" in event:
            self._summary = event["summaryEvent"]

    def _complete(self, metadata: dict[str, Any]) -> None:
        for step in self._steps:
            if (step["op"], step["urn"]) == (metadata["op"], metadata["urn"]):
                step.update(
                    {
                        "oldState": metadata["old"],
                        "newState": metadata["new"],
                        "diffReasons": metadata["diffs"],
                        "replaceReasons": metadata["keys"],
                        "detailedDiff": {
                            path: {"kind": item["diffKind"], "inputDiff": item["inputDiff"]}
                            for path, item in (metadata["detailedDiff"] or {}).items()
                        }
                        or None,
                    }
                )

    def content(self) -> dict[str, Any]:
        """What is to be printed; steps that change nothing are left out."""
        steps = [
            {key: value for key, value in step.items() if value is not None}
            for step in self._steps
            if step["op"] != "same"
        ]
        return {
            "config": self._config,
            "steps": steps,
            "diagnostics": self._diagnostics,
            "duration": self._summary.get("durationSeconds", 0) * 1_000_000_000,
            "changeSummary": self._summary.get("resourceChanges", {}),
        }


def print_outputs(outputs: Properties) -> None:
    """Prints a stack's outputs, secrets masked."""
    if outputs:
        print("Outputs:")
    for key, value in sorted(outputs.items()):
        print(f"    {key}: {_shown(values.masked(value))}")


def print_summary(counts: dict[str, int], seconds: float, *, preview: bool) -> None:
    """Prints how many resources there are of each kind of step."""
    print("Resources:")
    for op, count in sorted(counts.items()):
        if op != "same":
            word = f"to {op}" if preview else _DONE.get(op, op)
            print(f"    {_SIGNS.get(op, '?')} {count} {word}")
    if counts.get("same"):
        print(f"    {counts['same']} unchanged")
    print(f"\nDuration: {max(1, round(seconds))}s", flush=True)


def print_error(message: str) -> None:
    """Prints an error to standard error."""
    print(f"error: {message}", file=sys.stderr, flush=True)
