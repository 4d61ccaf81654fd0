"""Commands, faults and options stand in the documentation, and the README's scenario is valid."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from harness.commands.cli import COMMANDS, cli
from harness.commands.fault_list import options_of
from harness.faults.base import FAULTS
from harness.scenario.expand import variants
from harness.scenario.fields import field_specs
from harness.scenario.load import load_text
from harness.scenario.plugins import BROKER_SPECS
from harness.session.vocabulary import vocabulary

ROOT = Path(__file__).parents[2]
FAULTS_PAGE = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_and_stands_in_the_readme(name: str) -> None:
    done = CliRunner().invoke(cli, [name, "--help"])
    assert done.exit_code == 0
    assert len(done.output.splitlines()) > 3
    assert f"harness {name}" in README


def _commands(group: click.Group, prefix: str = "harness") -> Iterator[tuple[str, click.Command]]:
    """Yield the words of every command and of every subcommand, and the command."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield f"{prefix} {name}", command
        if isinstance(command, click.Group):
            yield from _commands(command, f"{prefix} {name}")


ALL_COMMANDS = dict(_commands(cli))
PAGES = ["README.md", *(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]


def test_the_readme_s_table_of_commands_has_each_of_them_once() -> None:
    rows = re.findall(r"^\| (`harness [^|]*(?:\\\|[^|]*)*) \|", README, re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`harness (\w+)", row)}
    assert named == set(COMMANDS)


@pytest.mark.parametrize("page", PAGES)
def test_pages_name_no_option_that_a_command_does_not_have(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    for quoted in re.findall(r"`(harness [^`]*)`", text):
        words = quoted.split()
        command = ALL_COMMANDS.get(" ".join(words[:3])) or ALL_COMMANDS.get(" ".join(words[:2]))
        if command is None:
            continue
        options = {option for parameter in command.params for option in parameter.opts}
        if isinstance(command, click.Group):
            options |= {o for name, c in ALL_COMMANDS.items() if words[1] in name for p in c.params for o in p.opts}
        unknown = set(re.findall(r"(?<!\S)--[a-z-]+|(?<=\|)--[a-z-]+", quoted)) - options
        assert not unknown, quoted


def test_every_option_of_check_stands_in_the_readme_s_row_or_its_page() -> None:
    """What a reader of a verdict asks first is found without the help text."""
    said = README + (ROOT / "docs" / "result.md").read_text(encoding="utf-8")
    for parameter in ALL_COMMANDS["harness check"].params:
        for option in parameter.opts:
            assert not option.startswith("--") or f"{option}" in said, option


def _section(name: str) -> str:
    found = re.search(rf"^## {name}\n(.*?)(?=^## |\Z)", FAULTS_PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None, f"docs/faults.md has no section '## {name}'"
    return found[1]


def _rows(section: str) -> dict[str, tuple[str, str]]:
    """Return option → (default, meaning) of a section's table."""
    rows = re.findall(r"^\| `(\w+)` \| ([^|]*) \| (.*) \|$", section, re.MULTILINE)
    return {option: (default.strip().strip("`"), meaning) for option, default, meaning in rows}


@pytest.mark.parametrize("name", FAULTS.names())
def test_every_fault_stands_in_docs_with_its_options_and_nothing_else(name: str) -> None:
    kind = FAULTS.get(name)
    section = _section(name)
    options, rows = options_of(kind.spec.options), _rows(section)
    assert list(rows) == [option.name for option in options]
    assert ("No options." in section) == (not options)
    assert ("(no `for`)" in section) == kind.spec.ends_itself
    for ability in kind.machine:
        assert f"`{ability}`" in section
    for option in options:
        assert option.meaning, f"the dataclass says nothing of {option.name}"
        default, meaning = rows[option.name]
        if option.required:
            assert default == "needed", option.name
        elif option.default:
            assert default == option.default, option.name
        else:
            assert default.startswith(("this or", "none", "all", "the ")), (
                f"{option.name}: say what leaving it out means"
            )
        units = re.match(r"[\w ]+ in (.*)", option.takes)
        if units is not None:
            found = re.search(rf"\d ?({'|'.join(map(re.escape, units[1].split(', ')))})\b", f"{default} {meaning}") or (
                "%" in units[1] and "%" in meaning
            )
            assert found, f"{option.name}: a quantity with its unit stands in its row"


def test_docs_name_no_fault_that_does_not_exist() -> None:
    assert set(re.findall(r"^## (\w+)$", FAULTS_PAGE, re.MULTILINE)) == set(FAULTS.names())


@pytest.mark.parametrize("kind", BROKER_SPECS.names())
def test_every_broker_option_stands_in_docs(kind: str) -> None:
    page = (ROOT / "docs" / f"{kind}.md").read_text(encoding="utf-8")
    spec = BROKER_SPECS.get(kind)
    for options in (spec.topic, spec.producer, spec.consumer):
        for option in field_specs(options):
            assert f"`{option.yaml}`" in page, option.yaml


def test_the_scenarios_in_the_readme_are_valid() -> None:
    found = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    assert found
    for text in found:
        assert variants(load_text(text, "readme.yaml", vocabulary()))


def test_links_in_the_docs_lead_somewhere() -> None:
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_published_schema_is_the_one_in_force() -> None:
    published = (ROOT / "docs" / "schema" / "scenario.schema.json").read_text(encoding="utf-8")
    now = CliRunner().invoke(cli, ["schema"]).output
    assert published == now, "write it again: harness schema > docs/schema/scenario.schema.json"
