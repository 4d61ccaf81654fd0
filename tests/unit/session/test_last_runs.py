"""What is remembered of the last runs: which failed, with which seed, and in which runtime."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from support import report_samples as samples

from harness.errors import NothingSelectedError, UnfitEnvironmentError
from harness.result import RunResult
from harness.session.last_runs import FILE, last_failed, other_runtime, read_last_runs, write_last_runs
from harness.session.races import Race
from harness.session.selection import Selected, select

TEXT = """
version: 1
title: T
broker: nats-2
seed: random
matrix: {workload.rate: [10/s, 20/s]}
expect:
  loss: {}
"""


def _selected(folder: Path) -> list[Selected]:
    (folder / "a.yaml").write_text(TEXT, encoding="utf-8")
    return select([folder / "a.yaml"])


def _result(item: Selected, code: int, runtime: str = "process") -> RunResult:
    plan = item.plan
    return replace(
        samples.passing(),
        file=plan.file,
        variant=plan.variant,
        digest=plan.digest,
        seed=plan.seed,
        exit_code=code,
        runtime=runtime,
    )


def test_what_did_not_pass_is_run_again_with_its_seed_until_it_passes(tmp_path: Path) -> None:
    first, second = _selected(tmp_path)
    write_last_runs(tmp_path, [_result(first, 1), _result(second, 0)], [])
    (again,) = last_failed(_selected(tmp_path), read_last_runs(tmp_path))
    assert again.plan.digest == first.plan.digest
    write_last_runs(tmp_path, [_result(second, 6)], [])
    assert len(last_failed(_selected(tmp_path), read_last_runs(tmp_path))) == 2, "what was not run keeps its end"
    write_last_runs(tmp_path, [_result(first, 0), _result(second, 0)], [])
    with pytest.raises(NothingSelectedError, match="no plan selected failed in its last run"):
        last_failed(_selected(tmp_path), read_last_runs(tmp_path))


def test_a_run_of_a_race_counts_as_its_race_does(tmp_path: Path) -> None:
    item = _selected(tmp_path)[0]
    race = Race(scenario="a", variant="", digest=item.plan.digest, runs=3, at_least=1, made=2, shown=1, code=None)
    write_last_runs(tmp_path, [_result(item, 1)], [replace(race, code=0)])  # type: ignore[arg-type]
    assert {run.exit_code for run in read_last_runs(tmp_path).values()} == {0}


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"runs": []}', '{"runs": {"x": 3}}', '{"runs": {"x": {"exit_code": null}}}']
)
def test_a_file_that_is_damaged_counts_as_none(text: str, tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(text, encoding="utf-8")
    assert read_last_runs(tmp_path) == {}


def test_a_reports_directory_that_cannot_be_written_is_one_clear_message(tmp_path: Path) -> None:
    with pytest.raises(UnfitEnvironmentError, match="cannot write"):
        write_last_runs(tmp_path / "missing", [_result(_selected(tmp_path)[0], 0)], [])


def test_another_runtime_than_the_last_time_is_told(tmp_path: Path) -> None:
    items = _selected(tmp_path)
    plans = [item.plan for item in items]
    write_last_runs(tmp_path, [_result(item, 0, "docker") for item in items], [])
    last = read_last_runs(tmp_path)
    assert other_runtime(plans, ["docker", "docker"], last) == ""
    assert other_runtime(plans, ["process", "process"], {}) == ""
    said = other_runtime(plans, ["process", "docker"], last)
    assert said.startswith("--runtime auto runs a as process; the last time it was docker")
