"""Commands that need no program: stacks, configuration, history, and what is refused."""

from __future__ import annotations

import json

import pulumi
import pytest
import yaml
from pulumi import automation

from tests.engine.workshop import Thing, Workshop


def test_stacks_are_made_listed_selected_and_removed(workshop: Workshop) -> None:
    stack = workshop.stack(lambda: Thing("thing"))
    with pytest.raises(automation.StackAlreadyExistsError):
        automation.Stack.create("dev", stack.workspace)
    with pytest.raises(automation.StackNotFoundError):
        automation.Stack.select("absent", stack.workspace)
    workshop.run("stack", "init", "second")
    workshop.run("stack", "select", "organization/shop/dev")
    assert [(item.name, item.current, item.resource_count) for item in stack.workspace.list_stacks()] == [
        ("dev", True, 0),
        ("second", False, 0),
    ]
    stack.up()
    assert workshop.run("stack", "output").stdout == "Current stack outputs (0):\n"
    assert "still has resources" in workshop.run("stack", "rm", "--yes", code=255).stderr
    stack.destroy()
    stack.workspace.remove_stack("dev")
    assert [item.name for item in stack.workspace.list_stacks()] == ["second"]
    assert not (workshop.project / "Pulumi.dev.yaml").exists()
    assert "no stack selected" in workshop.run("stack", "output", code=255).stderr


def test_configuration_is_set_read_and_removed(workshop: Workshop) -> None:
    stack = workshop.stack(lambda: None)
    file = workshop.project / "Pulumi.dev.yaml"
    settings = yaml.safe_load(file.read_text(encoding="utf-8"))
    settings["config"] = {"shop:tree": {"branch": ["a", {"leaf": 1}]}, "other:key": True}
    settings["unknown"] = {"kept": True}
    file.write_text(yaml.safe_dump(settings), encoding="utf-8")

    stack.set_config("plain", automation.ConfigValue("-v=1"))
    stack.set_config("hidden", automation.ConfigValue("secret text", secret=True))
    stack.set_config('tree.branch[1]["a.b"]', automation.ConfigValue("5"), path=True)
    stack.set_config("tree.hidden", automation.ConfigValue("buried", secret=True), path=True)
    stack.set_all_config(
        {"one": automation.ConfigValue("1"), "two": automation.ConfigValue("2", secret=True)}
    )
    found = stack.get_all_config()
    assert found["shop:plain"].value == "-v=1"
    assert (found["shop:hidden"].value, found["shop:hidden"].secret) == ("secret text", True)
    assert json.loads(found["shop:tree"].value) == {
        "branch": ["a", {"leaf": 1, "a.b": 5}],
        "hidden": "buried",
    }
    assert found["shop:tree"].secret
    assert found["other:key"].value == "true"
    assert (found["shop:one"].value, found["shop:two"].secret) == ("1", True)
    assert stack.get_config("tree.branch[0]", path=True).value == "a"
    text = file.read_text(encoding="utf-8")
    assert "secret text" not in text
    assert "buried" not in text
    assert yaml.safe_load(text)["unknown"] == {"kept": True}

    stack.remove_config("tree.branch[0]", path=True)
    stack.remove_config("hidden")
    stack.remove_all_config(["one", "two"])
    after = stack.get_all_config()
    assert json.loads(after["shop:tree"].value)["branch"] == [{"leaf": 1, "a.b": 5}]
    assert set(after) == {"shop:plain", "shop:tree", "other:key"}
    with pytest.raises(automation.CommandError, match="configuration key 'hidden' not found"):
        stack.get_config("hidden")


def test_history_tells_what_was_done(workshop: Workshop) -> None:
    stack = workshop.stack(lambda: Thing("thing"))
    stack.set_config("hidden", automation.ConfigValue("secret text", secret=True))
    stack.up(message="the first")
    stack.refresh()
    stack.destroy()
    history = stack.history()
    assert [(item.kind, item.result, item.version) for item in history] == [
        ("destroy", "succeeded", 3),
        ("refresh", "succeeded", 2),
        ("update", "succeeded", 1),
    ]
    assert history[-1].message == "the first"
    assert history[-1].environment == {"exec.kind": "auto.inline"}
    hidden = history[-1].config["shop:hidden"]
    assert (hidden.value, hidden.secret) == ("secret text", True)
    assert history[-1].end_time is not None
    assert history[-1].start_time <= history[-1].end_time
    assert [item.kind for item in stack.history(page_size=1, page=2)] == ["refresh"]


def test_the_state_can_be_exported_and_imported(workshop: Workshop) -> None:
    stack = workshop.stack(lambda: Thing("thing"))
    stack.up()
    exported = json.loads(workshop.run("stack", "export").stdout)
    assert exported["version"] == 3
    assert set(exported["deployment"]) == {"manifest", "secrets_providers", "resources", "metadata"}
    exported["deployment"]["resources"] = [
        {**item, "unknownToThisEngine": 1}
        for item in exported["deployment"]["resources"]
        if "thing" not in item["urn"]
    ]
    workshop.run("stack", "import", stdin=json.dumps(exported))
    assert "thing" not in workshop.resources()
    assert workshop.resources()["shop-dev"]["unknownToThisEngine"] == 1
    stack.up()
    assert workshop.resources()["shop-dev"]["unknownToThisEngine"] == 1
    assert "not a deployment" in workshop.run("stack", "import", stdin="{", code=255).stderr
    exported["deployment"]["resources"][0]["urn"] = "urn:pulumi:else::shop::pulumi:pulumi:Stack::shop-else"
    assert "another stack" in workshop.run("stack", "import", stdin=json.dumps(exported), code=255).stderr


def test_who_and_what(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    stack = workshop.stack(lambda: None)
    assert stack.workspace.who_am_i().url == workshop.backend.as_uri()
    assert [item.name for item in stack.workspace.list_plugins()] == ["cloud"]
    stack.workspace.install_plugin("cloud", "v1.0.0")
    assert workshop.run("version").stdout == "v3.260.0\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["login"], "`pulumi login` is not supported"),
        (["stack", "rename", "x"], "`pulumi stack rename` is not supported"),
        (["config", "env", "add", "x"], "`pulumi config env` is not supported"),
        (["up", "--yes", "--target", "x"], "the flag --target of `pulumi up` is not supported"),
        (["preview", "--save-plan=x"], "the flag --save-plan of `pulumi preview` is not supported"),
        (
            ["stack", "init", "x", "--secrets-provider", "awskms://x"],
            "the secrets provider 'awskms://x' is not",
        ),
        (["up", "--nonsense"], "unknown flag: --nonsense"),
        (["nonsense"], "unknown command 'nonsense'"),
        (["up", "--stack"], "flag needs an argument: --stack"),
        (["up", "--stack", "dev"], "--yes or --skip-preview must be passed"),
        (["up", "--stack", "a/b/c"], "stack names must be"),
        (["--cwd", "/nowhere", "up"], "--cwd /nowhere: No such file"),
        (["config", "get", "--stack", "dev"], "takes 1 to 1 arguments"),
    ],
)
def test_what_there_is_not_is_refused_by_name(workshop: Workshop, words: list[str], message: str) -> None:
    workshop.run("stack", "init", "dev")
    done = workshop.run(*words, code=255)
    assert message in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not valid YAML"),
        ("- a", "must hold a mapping"),
        ("config: 3", "`config` must be a mapping"),
        ("secretsprovider: awskms://x", "the secrets provider 'awskms://x' is not supported"),
        (
            "encryptionsalt: nonsense\nconfig: {shop:x: {secure: 'v1:a:b'}}",
            "the encryption salt is malformed",
        ),
        ("config: {'a:b:c:d': 1}", "invalid configuration key 'a:b:c:d'"),
    ],
)
def test_a_bad_settings_file_is_one_clear_error(workshop: Workshop, content: str, message: str) -> None:
    workshop.run("stack", "init", "dev")
    (workshop.project / "Pulumi.dev.yaml").write_text(content, encoding="utf-8")
    done = workshop.run("config", code=255)
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_bad_state_is_one_clear_error(workshop: Workshop) -> None:
    workshop.run("stack", "init", "dev")
    path = workshop.backend / ".pulumi/stacks/shop/dev.json"
    for content in (
        "{",
        "[]",
        '{"version": 2}',
        '{"version": 3, "checkpoint": {"latest": {"resources": [{}]}}}',
    ):
        path.write_text(content, encoding="utf-8")
        done = workshop.run("stack", code=255)
        assert done.stderr.startswith("error: ")
        assert "Traceback" not in done.stderr


def test_no_project_and_no_backend(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PULUMI_BACKEND_URL")
    assert "no backend is named" in workshop.run("stack", "ls", code=255).stderr
    monkeypatch.setenv("PULUMI_BACKEND_URL", "s3://bucket")
    assert "the backend 's3' is not supported" in workshop.run("stack", "ls", code=255).stderr
    monkeypatch.setenv("PULUMI_BACKEND_URL", "file:///nowhere")
    assert "does not exist" in workshop.run("stack", "ls", code=255).stderr
    (workshop.project / "Pulumi.yaml").unlink()
    assert "no Pulumi.yaml project file found" in workshop.run("config", code=255).stderr


def test_at_a_shell_there_is_a_line_for_each_step(workshop: Workshop) -> None:
    (workshop.project / "__main__.py").write_text(
        "import pulumi\npulumi.export('x', {'a': [1]})\n", encoding="utf-8"
    )
    workshop.run("stack", "init", "dev")
    lines = workshop.run("up", "--yes").stdout.splitlines()
    assert "Previewing (dev):" not in lines
    assert " +  pulumi:pulumi:Stack shop-dev created" in lines
    assert '    x: {"a":[1]}' in lines
    assert "    + 1 created" in lines
    assert workshop.run("stack", "output", "x").stdout == '{"a": [1]}\n'


def test_the_program_can_read_the_default_of_the_project(workshop: Workshop) -> None:
    (workshop.project / "Pulumi.yaml").write_text(
        "name: shop\nruntime: python\nconfig:\n  size: {type: integer, default: 3}\n  plain: text\n",
        encoding="utf-8",
    )

    def program() -> None:
        config = pulumi.Config()
        pulumi.export("size", config.require_int("size"))
        pulumi.export("plain", config.require("plain"))

    stack = workshop.stack(program)
    stack.set_config("plain", automation.ConfigValue("other"))
    outputs = stack.up().outputs
    assert (outputs["size"].value, outputs["plain"].value) == (3, "other")
