"""Commands, faults and options stand in the documentation, and the README's scenario is valid."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.brokers.base import BROKERS
from harness.cli import cli
from harness.faults.base import FAULTS
from harness.run.vocabulary import vocabulary
from harness.scenario.expand import variants
from harness.scenario.load import load_text

ROOT = Path(__file__).parents[2]
FAULTS_PAGE = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")


def _yaml_name(name: str) -> str:
    return re.sub(r"_(ns|bytes|per_s)(?=_|$)", "", name)


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_every_command_has_help_and_stands_in_the_readme(name: str) -> None:
    done = CliRunner().invoke(cli, [name, "--help"])
    assert done.exit_code == 0
    assert len(done.output.splitlines()) > 3
    assert f"harness {name}" in README


@pytest.mark.parametrize("name", FAULTS.names())
def test_every_fault_and_option_stands_in_docs(name: str) -> None:
    section = re.search(rf"^## {name}\n(.*?)(?=^## |\Z)", FAULTS_PAGE, re.MULTILINE | re.DOTALL)
    assert section is not None
    for option in dataclasses.fields(FAULTS.get(name).shape.options):
        assert f"`{_yaml_name(option.name)}`" in section[1], option.name


def test_docs_name_no_fault_that_does_not_exist() -> None:
    assert set(re.findall(r"^## (\w+)$", FAULTS_PAGE, re.MULTILINE)) == set(FAULTS.names())


@pytest.mark.parametrize("kind", BROKERS.names())
def test_every_broker_option_stands_in_docs(kind: str) -> None:
    page = (ROOT / "docs" / f"{kind}.md").read_text(encoding="utf-8")
    shape = BROKERS.get(kind).shape
    for options in (shape.topic, shape.producer, shape.consumer):
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
    assert published == now, "write it anew: harness schema > docs/schema/scenario.schema.json"
