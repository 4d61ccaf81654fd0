"""How results become one exit code, races included; and the command that reproduces a run."""

from __future__ import annotations

import errno
from dataclasses import replace
from pathlib import Path

import pytest
from support import report_samples as samples

from harness.engine.engine import Engine
from harness.errors import ExitCode
from harness.result import RunResult
from harness.session import session
from harness.session.selection import Selected, replan, select
from harness.session.session import exit_code, reproduce_command

RACE = """
version: 1
title: A race
seed: 9
broker: nats-2
matrix: {workload.rate: [10/s, 20/s]}
expect:
  loss: {}
attempts: {runs: 4, at_least: 2}
"""


def _selected(folder: Path, text: str) -> list[Selected]:
    path = folder / "race.yaml"
    path.write_text(text, encoding="utf-8")
    return select([path])


def _runs(item: Selected, codes: list[int]) -> list[RunResult]:
    return [replace(samples.passing(), digest=item.plan.digest, exit_code=code) for code in codes]


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        ([0, 0, 1, 1], 0),
        ([0, 0, 0, 0], 0),
        ([0, 1, 1, 1], 1),
        ([1, 1, 1, 1], 1),
        ([0, 0, 6, 1], 6),
        ([0, 0, 0, 7], 7),
        ([0, 2], 2),
    ],
)
def test_the_runs_of_a_race_count_together(codes: list[int], expected: int, tmp_path: Path) -> None:
    item = _selected(tmp_path, RACE)[0]
    assert exit_code(_runs(item, codes), [item]) == expected


def test_a_race_that_shows_often_enough_does_not_hide_another_violation(tmp_path: Path) -> None:
    race, other = _selected(tmp_path, RACE)
    other = replace(other, plan=replace(other.plan, attempts=None))
    assert exit_code(_runs(race, [0, 0, 1, 1]) + _runs(other, [1]), [race, other]) == 1


def test_the_reproduce_command_selects_the_same_plan(tmp_path: Path) -> None:
    for item in _selected(tmp_path, RACE):
        words = reproduce_command(item.plan, "process").split()
        assert words[:2] == ["harness", "run"]
        seed = int(words[words.index("--seed") + 1])
        path, _, value = words[words.index("--variant") + 1].partition("=")
        (again,) = select([Path(words[2])], wanted={path: value}, seed=seed)
        assert again.plan.digest == item.plan.digest


def test_a_plan_is_made_again_from_its_text(tmp_path: Path) -> None:
    for item in _selected(tmp_path, RACE):
        again = replan(item.source, item.plan.file, item.plan.variant, item.plan.seed)
        assert again.digest == item.plan.digest
    edited = replan(RACE.replace("10/s", "11/s"), "race.yaml", {"workload.rate": "11/s"}, 9)
    assert edited.digest not in {item.plan.digest for item in _selected(tmp_path, RACE)}


def test_a_run_directory_that_is_full_is_the_environment_s_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(_: Engine) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Engine, "run", full)
    item = _selected(tmp_path, RACE)[0]
    result = session._run_one(item, 1, 1, "process", tmp_path / "reports", lambda _: None)
    assert result.exit_code == ExitCode.ENVIRONMENT
    assert result.error == "the run directory cannot be written: No space left on device"
