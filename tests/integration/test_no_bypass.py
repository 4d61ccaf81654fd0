"""A client that knows a way around its link is found before warm-up; on a real broker."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.around_the_link import AroundTheLink
from support.in_process import run_text, scenario

from harness.verdict import Verdict

pytestmark = pytest.mark.tier("fast")


def test_a_worker_that_dials_the_node_itself_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_STATE_DIR", str(tmp_path / "state"))
    text = scenario("latency: {delay: 40ms}", "{link: client-broker}")
    result, _ = run_text(text, tmp_path, parts=AroundTheLink())
    assert result.exit_code == 7
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "bypasses its link" in result.error
    assert "c0" in result.error
