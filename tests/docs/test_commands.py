"""The page of commands says what the command line says."""

from pathlib import Path

from cutover.reference import reference

PAGE = Path(__file__).parents[2] / "docs" / "commands.md"


def test_the_reference_of_the_commands_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == reference(), "python -m cutover.reference docs/commands.md"


def test_every_command_says_what_it_does_and_every_option_what_it_means() -> None:
    sections = reference().split("\n## cutover ")[1:]
    assert len(sections) > 12
    for section in sections:
        assert len(section.split("\n")[2]) > 20, section
        assert "|  |" not in section
