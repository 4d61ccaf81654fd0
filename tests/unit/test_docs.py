"""Commands, faults and options stand in the documentation, and the README's scenario is valid."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.commands.cli import COMMANDS, cli
from harness.commands.fault_list import options_of
from harness.faults.base import FAULTS
from harness.scenario.expand import variants
from harness.scenario.load import load_text
from harness.scenario.plugins import BROKER_SPECS
from harness.session.vocabulary import vocabulary

ROOT = Path(__file__).parents[2]
FAULTS_PAGE = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")


def _yaml_name(name: str) -> str:
    return re.sub(r"_(ns|bytes|per_s)(?=_|$)", "", name)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_and_stands_in_the_readme(name: str) -> None:
    done = CliRunner().invoke(cli, [name, "--help"])
    assert done.exit_code == 0
    assert len(done.output.splitlines()) > 3
    assert f"harness {name}" in README


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
        for option in dataclasses.fields(options):
            assert f"`{_yaml_name(option.name)}`" in page, option.name


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
