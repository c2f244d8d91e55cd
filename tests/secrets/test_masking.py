"""What is known to be secret is masked wherever text leaves the program; mere words are left alone."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from urllib.parse import quote

import pytest

from cutover import cli
from cutover.errors import JournalError, StepError
from cutover.journal import Journal, read_journal
from cutover.masking import keep_secret, keep_variables_secret, masked, masked_data
from cutover.output import Output
from tests.cutover.world import FakeClock


class Quoting(json.JSONDecoder):
    """Fails with what it was given, as some libraries do."""

    def decode(self, s: str, _w: object = None) -> None:
        raise RuntimeError(s)


SECRET = 'k4nary/"of the\\coal+mine%é'
keep_secret(SECRET)


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        quote(SECRET, safe=""),
        json.dumps(SECRET)[1:-1],
        repr(SECRET)[1:-1],
        base64.b64encode(SECRET.encode()).decode(),
    ],
)
def test_a_secret_is_masked_in_every_form_that_it_is_sent_in(form: str) -> None:
    assert masked(f"Authorization: {form}, and so on") == "Authorization: ***, and so on"


def test_words_and_short_values_are_left_alone() -> None:
    keep_secret("production", "short1", "", None)
    assert masked("the production database, short1") == "the production database, short1"


def test_variables_are_made_known_by_their_names() -> None:
    keep_variables_secret(["A_TOKEN", "NOT_SET"], {"A_TOKEN": "t0ken-of-a-test", "ANOTHER": "an0ther-value"})
    assert masked("t0ken-of-a-test an0ther-value") == "*** an0ther-value"


def test_json_keeps_its_shape() -> None:
    data = {"a": [1, None, True, {"b": f"x{SECRET}y"}], "c": (SECRET,)}
    assert masked_data(data) == {"a": [1, None, True, {"b": "x***y"}], "c": ["***"]}


def test_a_journal_holds_no_secret(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal", 1, FakeClock())
    journal.append("outcome", {"error": f"the server said: {SECRET}"})
    with pytest.raises(JournalError, match="the fact 'login' would hold a secret"):
        journal.append("fact", {"name": "login", "value": {"password": SECRET}})
    journal.append("fact", {"name": "records", "value": {"a": "192.0.2.1"}})
    journal.close()

    assert [record.kind for record in read_journal(tmp_path / "journal").records] == ["outcome", "fact"]
    content = (tmp_path / "journal").read_text()
    assert "k4nary" not in content
    assert "***" in content


def test_lines_of_progress_hold_no_secret(capsys: pytest.CaptureFixture[str]) -> None:
    Output(as_json=False).say(f"waiting for {SECRET}")
    assert "waiting for ***" in capsys.readouterr().out


@pytest.mark.parametrize("kind", [StepError, ValueError])
def test_errors_and_tracebacks_hold_no_secret(
    kind: type[Exception], capsys: pytest.CaptureFixture[str]
) -> None:
    def fails() -> None:
        try:
            json.loads(f"inner {SECRET}", parse_constant=None, cls=Quoting)
        except RuntimeError as error:
            raise kind(f"outer {SECRET}") from error

    with pytest.raises(SystemExit) as ended:
        cli.main(fails)
    captured = capsys.readouterr()
    assert "k4nary" not in captured.err + captured.out
    assert "outer ***" in captured.err
    assert ended.value.code == (1 if kind is ValueError else 4)
    assert ("inner ***" in captured.err) is (kind is ValueError), "a defect shows its trace"


def test_a_page_of_a_secret_is_masked() -> None:
    from cutover.watch.feed import _json  # noqa: PLC0415

    assert b"k4nary" not in _json({"error": SECRET})
    assert json.loads(_json({"a": 1})) == {"a": 1}
