"""Runs recorded by an earlier version are judged as they were then: verdicts, measures and findings, wording apart."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from support.recorded_runs import differing

from harness.history.event_form import from_json, to_line
from harness.history.facts import Facts
from harness.history.read import RECORD_DTYPE
from harness.history.record import HEADER_BYTES, RecordKind
from harness.session.session import check_again
from harness.verdict import Verdict

RECORDED = Path(__file__).parents[2] / "corpus" / "recorded"
RUNS = sorted(path.name for path in RECORDED.iterdir())


def test_five_runs_are_kept() -> None:
    verdicts = {json.loads((RECORDED / name / "result.json").read_text(encoding="utf-8"))["verdict"] for name in RUNS}
    assert len(RUNS) == 5
    assert verdicts == {"pass", "fail"}


@pytest.mark.parametrize("name", RUNS)
def test_a_recorded_run_is_judged_as_it_was(name: str) -> None:
    assert differing(RECORDED / name) == []


@pytest.mark.parametrize("name", RUNS)
def test_a_recorded_run_in_the_form_of_today_is_judged_as_it_was(name: str, tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    shutil.copytree(RECORDED / name, run_dir)
    Facts.load(run_dir / "facts.json").save(run_dir / "facts.json")
    for path in run_dir.glob("history/*.events.jsonl"):
        lines = path.read_bytes().splitlines()
        path.write_bytes(b"".join(to_line(from_json(json.loads(line))) for line in lines))
    assert differing(run_dir) == []


def test_a_state_of_the_group_that_the_facts_do_not_name_forbids_a_pass(tmp_path: Path) -> None:
    """Renamed, the rebalances of the run are not seen; that they were none is not proven."""
    run_dir = tmp_path / "run"
    shutil.copytree(RECORDED / "session-timeout", run_dir)
    for path in run_dir.glob("history/*.events.jsonl"):
        path.write_bytes(path.read_bytes().replace(b'"preparing_rebalance"', b'"shuffling"'))
    result = check_again(run_dir)[0]
    said = "the broker reported the group as shuffling, and the facts of the run do not say what that means"
    assert result.verdict is not Verdict.PASS
    assert said in result.blocking
    (rebalances,) = (check for check in result.checks if check.check == "rebalances")
    assert rebalances.verdict is not Verdict.PASS
    assert said in rebalances.reasons


def test_a_changed_history_is_judged_otherwise(tmp_path: Path) -> None:
    """The comparison can fail: without the deliveries of one consumer the same run has lost messages."""
    run_dir = tmp_path / "run"
    shutil.copytree(RECORDED / "memory-restart", run_dir)
    (path,) = run_dir.glob("history/c0.1.journal")
    content = path.read_bytes()
    records = np.frombuffer(content[HEADER_BYTES:], RECORD_DTYPE)
    path.write_bytes(content[:HEADER_BYTES] + records[records["kind"] != RecordKind.DELIVERED][:0].tobytes())
    assert any(line.startswith("checks[") for line in differing(run_dir))
