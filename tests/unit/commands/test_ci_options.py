"""Both commands that run scenarios can show a CI server what came of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.commands.cli import cli

DOCS = Path(__file__).parents[3] / "docs" / "suites.md"


@pytest.mark.parametrize("command", ["run", "suite"])
@pytest.mark.parametrize("option", ["--annotations", "--summary", "--junit"])
def test_the_options_are_offered_and_documented(command: str, option: str) -> None:
    assert option in CliRunner().invoke(cli, [command, "--help"]).output
    assert option.removeprefix("--") in DOCS.read_text(encoding="utf-8").lower()


@pytest.mark.parametrize("command", ["run", "suite"])
def test_an_unknown_server_is_refused(command: str) -> None:
    done = CliRunner().invoke(cli, [command, "x.yaml", "--annotations", "gitlab"])
    assert done.exit_code == 2
    assert "'auto', 'github', 'none'" in done.output
