"""``harness suite --write-costs``: what the machine that knows a suite hands to those that do not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.commands.cli import cli
from harness.session.selection import select
from harness.suites.cost import cost_key, formula, read_costs

SCENARIO = Path(__file__).parents[3] / "scenarios" / "gate" / "latency.yaml"


def test_the_file_gives_the_costs_that_the_suite_reckons_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_STATE_DIR", str(tmp_path / "state"))
    file = tmp_path / "costs.json"
    line = ["suite", str(SCENARIO), "--runtime", "process", "--reports", str(tmp_path / "reports")]
    written = CliRunner().invoke(cli, [*line, "--write-costs", str(file)])
    assert written.exit_code == 0, written.output
    (item,) = select([SCENARIO])
    found = read_costs(file).of(item.plan, "process")
    assert found is not None
    assert (found.cores, found.source) == (formula(item.plan, "process").cores, "given")
    assert not (tmp_path / "reports").exists()

    content = json.loads(file.read_text(encoding="utf-8"))
    assert [entry["plan"] for entry in content["costs"]] == [cost_key(item.plan)]
    content["costs"][0]["wall_ns"] = 3_600_000_000_000
    file.write_text(json.dumps(content), encoding="utf-8")
    forecast = CliRunner().invoke(cli, [*line, "--costs", str(file), "--dry-run"])
    assert forecast.exit_code == 0, forecast.output
    assert "3600" in forecast.output or "60m" in forecast.output or "1h" in forecast.output
    assert "given" in forecast.output
