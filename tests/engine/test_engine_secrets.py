"""Secrets are encrypted where they are kept and masked where they are shown."""

from __future__ import annotations

import json
from pathlib import Path

import pulumi
import pytest
from pulumi import ResourceOptions, automation

from lab.engine.errors import EngineError
from lab.engine.secrets import Crypter
from tests.engine.workshop import PASSPHRASE, Thing, Workshop

CANARY = "a-canary-in-a-mine"


def everything(folder: Path) -> str:
    """The text of all files below a folder."""
    return "\n".join(path.read_text(encoding="utf-8") for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("accepts", [True, False])
def test_a_secret_is_never_plain(workshop: Workshop, accepts: bool) -> None:
    workshop.cloud.accepts_secrets = accepts
    events: list[automation.EngineEvent] = []
    lines: list[str] = []

    def program() -> None:
        secret = pulumi.Config().require_secret("canary")
        thing = Thing("thing", value={"inner": secret})
        Thing("dependent", value=thing.value)
        pulumi.export("direct", secret)
        pulumi.export("through", thing.value)
        pulumi.log.warn(f"a careless program says {CANARY}")

    stack = workshop.stack(program)
    stack.set_config("canary", automation.ConfigValue(CANARY, secret=True))
    stack.preview(on_event=events.append, on_output=lines.append)
    result = stack.up(on_event=events.append, on_output=lines.append)
    stack.refresh(on_event=events.append, on_output=lines.append)
    stack.up(on_event=events.append, on_output=lines.append)
    assert workshop.cloud.things["thing-1"].inputs["value"]["inner"] in (CANARY, _marked(CANARY))
    assert result.outputs["direct"].value == CANARY
    assert result.outputs["direct"].secret
    assert result.outputs["through"].value == {"inner": CANARY}
    assert result.outputs["through"].secret
    assert CANARY not in everything(workshop.backend)
    assert CANARY not in everything(workshop.project)
    assert CANARY not in "\n".join(lines)
    assert CANARY not in json.dumps([vars(event) for event in events], default=vars)
    for words in (
        ["stack", "output"],
        ["stack", "export"],
        ["config"],
        ["stack", "history", "--json"],
        ["stack"],
    ):
        assert CANARY not in workshop.run(*words).stdout
    assert CANARY in workshop.run("stack", "output", "--show-secrets", "direct").stdout


def _marked(text: str) -> dict[str, str]:
    return {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "value": text}


def test_outputs_can_be_declared_secret(workshop: Workshop) -> None:
    def program() -> None:
        thing = Thing("thing", ResourceOptions(additional_secret_outputs=["address"]))
        pulumi.export("address", thing.address)

    result = workshop.stack(program).up()
    assert result.outputs["address"].secret
    assert "address-of-thing-1" not in workshop.state()


def test_an_unchanged_secret_is_unchanged_text(workshop: Workshop) -> None:
    def program() -> None:
        Thing("thing", value=pulumi.Output.secret("hidden"))

    stack = workshop.stack(program)
    stack.up()
    before = workshop.resources()["thing"]["inputs"]
    stack.up()
    assert workshop.resources()["thing"]["inputs"] == before


def test_a_wrong_passphrase_is_one_clear_error(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    stack = workshop.stack(lambda: pulumi.export("secret", pulumi.Output.secret("hidden")))
    stack.up()
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "another")
    assert (
        workshop.run("stack", "output", "--show-secrets", code=255).stderr == "error: incorrect passphrase\n"
    )
    monkeypatch.delenv("PULUMI_CONFIG_PASSPHRASE")
    assert "passphrase must be set" in workshop.run("stack", "output", "--show-secrets", code=255).stderr
    file = workshop.folder / "phrase"
    file.write_text(f"{PASSPHRASE}\n", encoding="utf-8")
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE_FILE", str(file))
    assert workshop.run("stack", "output", "--show-secrets", "secret").stdout == "hidden\n"


def test_the_format_is_the_official_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "x")
    crypter = Crypter.create()
    version, salt, check_version, nonce, sealed = crypter.description.split(":")
    assert (version, check_version) == ("v1", "v1")
    assert [len(part) for part in (salt, nonce)] == [12, 16]
    text = crypter.encrypt("hello")
    assert Crypter(crypter.description).decrypt(text) == "hello"
    with pytest.raises(EngineError, match="malformed"):
        crypter.decrypt("v1:!!:!!")
    with pytest.raises(EngineError, match="could not be decrypted"):
        crypter.decrypt(f"v1:{nonce}:{sealed[:-4]}AAA=")


def test_an_export_with_secrets_can_be_imported(workshop: Workshop) -> None:
    stack = workshop.stack(lambda: pulumi.export("secret", pulumi.Output.secret({"key": "hidden"})))
    stack.up()
    exported = stack.export_stack()
    assert "hidden" in json.dumps(exported.deployment)
    stack.import_stack(exported)
    assert "hidden" not in workshop.state()
    assert stack.outputs()["secret"].value == {"key": "hidden"}
