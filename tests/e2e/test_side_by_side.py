"""Runs side by side have the verdicts that they have one after another."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.cli_runner import Cli

SCENARIOS = Path(__file__).parents[2] / "scenarios"
TIMES = 3


@pytest.mark.tier("prove")
@pytest.mark.timeout(3 * 3600)
def test_side_by_side_each_scenario_ends_as_it_does_alone(cli: Cli) -> None:
    """With almost no cores in the budget each run is larger than the budget, and is run alone."""
    alone = _outcomes(cli, "--cores", "0.1")
    assert len(alone) == len(list(SCENARIOS.rglob("*.yaml")))
    for _ in range(TIMES):
        assert _outcomes(cli) == alone


def _outcomes(cli: Cli, *words: str) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Return what each run of all scenarios came to: its outcome, and which checks failed."""
    done = cli.run("suite", SCENARIOS, "--runtime", "process", "--reports", cli.reports, "--json", *words, timeout=3600)
    entries = json.loads(done.stdout)["entries"]
    return {entry["key"]: (entry["outcome"], tuple(entry["failed"])) for entry in entries}
