"""What must hold of every history, whatever it is: cut short it does not fail, and the time of day changes nothing."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from support.corpus_limits import limits_of
from support.history_builder import HistoryBuilder, facts
from support.metamorphic import moved, times_of, until

from harness.checks.base import CHECKS
from harness.checks.judge import judge_all
from harness.history.read import History
from harness.verdict import CheckResult, Finding, Verdict

CORPUS = Path(__file__).parents[1] / "corpus"
FILES = sorted([*CORPUS.glob("*/*.yaml"), *(CORPUS / "recorded").iterdir()])
"""Histories in lines of text, and recorded runs."""

SAFETY = [name for name in ("loss", "log", "order", "phantoms", "duplicates", "ownership") if name in CHECKS.names()]
"""Checks that no prefix of a passing history fails: what was not yet recorded may still come."""

COUNTS_NO_PREFIX = {"duplicates": {"ratio_max", "redelivered_ratio_max"}}
"""Limits on shares, which are not monotonic: the first of two messages is half of all."""

BY_NS = 10**15
TIMES = 40

OPEN: dict[str, str] = {
    "loss/inconclusive_stored_where_nothing_drained: loss": "before the audit, a message that was acknowledged without "
    "its place is believed to lie where its producer meant it to, and that partition is drained",
    "loss/inconclusive_lower_position_in_force: loss": "a later commit takes the position back that was in force",
    "loss/inconclusive_lower_position_of_unknown_outcome: loss": "a later commit may take back the position that was "
    "in force",
    **dict.fromkeys(
        (
            "loss/inconclusive_consumer_there_again: loss",
            "loss/inconclusive_consumer_there_again: log",
            "log/pass_durable_consumer_there_again: log",
            "log/pass_log_there_again: log",
            "log/pass_every_log_there_again: log",
        ),
        "a later word of the broker takes back that a log or consumer is gone. The engine records it only once the "
        "broker has said so for 3 s without another answer, so it stands until then, also where a run breaks off",
    ),
}
"""Case and check → why a prefix of it fails, although none may. What is mended leaves this table."""


def _name(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


@functools.cache
def _content(path: Path) -> Any:
    return YAML(typ="safe").load(path.read_text(encoding="utf-8"))


def _history(path: Path) -> History:
    if path.is_dir():
        return History.load(path)
    content = _content(path)
    lines = HistoryBuilder(facts(**content.get("facts", {}))).lines(content["lines"].splitlines())
    return lines.history(torn=content.get("torn", []))


def _limits(path: Path) -> dict[str, Any]:
    """Return check → limits: those of the case for its own check, none for the others."""
    if path.is_dir():
        return {name: check.limits() for name, check in CHECKS.items()}
    own = limits_of(path.parent.name, _content(path).get("limits", {}))
    return {name: own if name == path.parent.name else check.limits() for name, check in CHECKS.items()}


def _judged(history: History, limits: dict[str, Any], names: Sequence[str]) -> dict[str, CheckResult]:
    return {name: CHECKS.get(name).judge(history, limits[name]) for name in names}


def _broken(result: CheckResult) -> set[str]:
    """Return the metrics whose limits are broken, those on shares left out."""
    failed = {limit.metric for limit in result.limits if limit.verdict is Verdict.FAIL}
    return failed - COUNTS_NO_PREFIX.get(result.check, set())


@pytest.mark.parametrize("path", FILES, ids=_name)
def test_no_prefix_of_a_passing_history_fails(path: Path) -> None:
    history, limits = _history(path), _limits(path)
    passing = [name for name, found in _judged(history, limits, SAFETY).items() if found.verdict is not Verdict.FAIL]
    failing: dict[str, list[float]] = {}
    for t in times_of(history, TIMES):
        for name, found in _judged(until(history, t), limits, passing).items():
            if _broken(found):
                failing.setdefault(f"{_name(path)}: {name}", []).append(t / 1e6)
    known = {case for case in OPEN if case.startswith(f"{_name(path)}: ")}
    assert failing.keys() <= known, failing
    assert failing.keys() >= known, f"this is mended and no longer open: {known - failing.keys()}"


def _plain(result: CheckResult, by_ns: int) -> Any:
    findings = [_earlier(finding, by_ns) for finding in result.findings]
    return dataclasses.asdict(dataclasses.replace(result, findings=tuple(findings)))


def _earlier(finding: Finding, by_ns: int) -> Finding:
    operations = [dataclasses.replace(operation, t_ns=operation.t_ns - by_ns) for operation in finding.operations]
    operations = [
        dataclasses.replace(operation, seq=operation.seq - by_ns)
        if operation.kind == "commit" and operation.seq >= by_ns
        else operation
        for operation in operations
    ]
    return dataclasses.replace(
        finding, operations=tuple(operations), start_ns=finding.start_ns - by_ns, end_ns=finding.end_ns - by_ns
    )


@pytest.mark.parametrize("path", FILES, ids=_name)
def test_what_happens_later_as_a_whole_is_judged_as_before(path: Path) -> None:
    history, limits = _history(path), _limits(path)
    before = [_plain(result, 0) for result in judge_all(history, limits)]
    after = [_plain(result, BY_NS) for result in judge_all(moved(history, BY_NS), limits)]
    assert str(after) == str(before)  # as text: a measure may be NaN
