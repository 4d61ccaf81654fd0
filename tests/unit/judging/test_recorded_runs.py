"""Runs recorded by an earlier version are judged as they were then: verdicts, measures and findings, wording apart."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from support.recorded_runs import differing

from harness.history.read import RECORD_DTYPE
from harness.history.record import HEADER_BYTES, RecordKind

RECORDED = Path(__file__).parents[2] / "corpus" / "recorded"
RUNS = sorted(path.name for path in RECORDED.iterdir())


def test_five_runs_are_kept() -> None:
    verdicts = {json.loads((RECORDED / name / "result.json").read_text(encoding="utf-8"))["verdict"] for name in RUNS}
    assert len(RUNS) == 5
    assert verdicts == {"pass", "fail"}


@pytest.mark.parametrize("name", RUNS)
def test_a_recorded_run_is_judged_as_it_was(name: str) -> None:
    assert differing(RECORDED / name) == []


def test_a_changed_history_is_judged_otherwise(tmp_path: Path) -> None:
    """The comparison can fail: without the deliveries of one consumer the same run has lost messages."""
    run_dir = tmp_path / "run"
    shutil.copytree(RECORDED / "memory-restart", run_dir)
    (path,) = run_dir.glob("history/c0.1.journal")
    content = path.read_bytes()
    records = np.frombuffer(content[HEADER_BYTES:], RECORD_DTYPE)
    path.write_bytes(content[:HEADER_BYTES] + records[records["kind"] != RecordKind.DELIVERED][:0].tobytes())
    assert any(line.startswith("checks[") for line in differing(run_dir))
