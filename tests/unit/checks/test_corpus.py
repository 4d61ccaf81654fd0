"""Every check against known histories: what it must pass, what it must find, and where it must stay in doubt.

A corpus file is ``tests/corpus/<check>/<verdict>[_<name>].yaml`` with ``lines`` as in ``history_builder``, and
optionally ``facts``, ``limits`` (durations with a unit, or ``off``), ``torn`` journals, and what must come out:
``findings`` (type, the value that an operation of it names, part of its message, who is ``at_fault`` and who ``paid``),
``reason`` (part of one), ``measures``.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from support.corpus_limits import limits_of
from support.history_builder import HistoryBuilder, facts
from support.history_builder import _value as value_of

from harness.checks.base import CHECKS
from harness.checks.judge import judge_all
from harness.history.events import ScheduleEvent
from harness.history.read import History
from harness.history.record import SEQ_BITS
from harness.verdict import CheckResult, Operation, Verdict

CORPUS = Path(__file__).parents[2] / "corpus"
FILES = sorted(CORPUS.glob("*/*.yaml"))
_FINDING_KEYS = {"type", "names", "says", "at_fault", "paid"}
_KEYS = {"title", "facts", "limits", "torn", "findings", "reason", "measures", "lines"}


@dataclass(frozen=True, kw_only=True)
class Case:
    check: str
    verdict: Verdict
    title: str
    lines: str
    facts: dict[str, Any] = field(default_factory=dict)
    limits: dict[str, Any] = field(default_factory=dict)
    torn: list[str] = field(default_factory=list)
    findings: list[dict[str, Any]] = field(default_factory=list)
    reason: str = ""
    measures: dict[str, float] = field(default_factory=dict)

    def history(self) -> History:
        return HistoryBuilder(facts(**self.facts)).lines(self.lines.splitlines()).history(torn=self.torn)

    def judge(self) -> CheckResult:
        return judge_all(self.history(), {self.check: limits_of(self.check, self.limits)})[0]


@functools.cache
def case(path: Path) -> Case:
    content = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    assert not content.keys() - _KEYS, f"{path.name}: unknown {content.keys() - _KEYS}"
    return Case(check=path.parent.name, verdict=Verdict(path.stem.partition("_")[0]), **content)


def _name(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


@pytest.mark.parametrize("path", FILES, ids=_name)
def test_verdict_is_that_of_the_file_name(path: Path) -> None:
    result = case(path).judge()
    assert result.verdict is case(path).verdict, (result.reasons, result.findings)
    assert {name: result.measures[name] for name in case(path).measures} == case(path).measures


@pytest.mark.parametrize("path", FILES, ids=_name)
def test_findings_are_exactly_those_declared(path: Path) -> None:
    result = case(path).judge()
    expected = sorted(finding["type"] for finding in case(path).findings)
    assert sorted(finding.type for finding in result.findings) == expected
    assert {finding.type for finding in result.findings} <= CHECKS.get(result.check).findings.keys()
    for wanted in case(path).findings:
        assert not wanted.keys() - _FINDING_KEYS, f"nothing looks at {wanted.keys() - _FINDING_KEYS}"
        found = next(finding for finding in result.findings if finding.type == wanted["type"])
        assert found.metric in {limit.metric for limit in result.limits} | {"copies_max", "illegal_redeliveries_max"}
        if "names" in wanted:
            named = [(operation.key, operation.seq) for operation in found.operations]
            assert value_of(wanted["names"]) in named, found.message
        assert wanted.get("says", "") in found.message
        for role in ("at_fault", "paid"):
            assert role not in wanted or list(getattr(found, role)) == wanted[role], found.message


@pytest.mark.parametrize("path", FILES, ids=_name)
def test_reason_is_given(path: Path) -> None:
    result = case(path).judge()
    if case(path).verdict is Verdict.INCONCLUSIVE:
        assert case(path).reason, "an inconclusive case must say which reason it expects"
    assert case(path).reason in " | ".join(result.reasons)


@pytest.mark.parametrize("path", FILES, ids=_name)
def test_operations_lie_in_the_journals(path: Path) -> None:
    """A finding can be looked up: its operations are records of the history, and its span holds times of it."""
    history = case(path).history()
    views = {view.name: view for view in history.journals}
    for finding in case(path).judge().findings:
        assert finding.start_ns <= finding.end_ns
        for operation in finding.operations:
            if operation.kind == "due":  # it was never sent: a schedule alone names it
                assert operation.ordinal == -1
                assert operation.t_ns == _due(history, operation)
                continue
            record = views[operation.journal].records[operation.ordinal]
            # A commit has no value: its record's seq tells when it began.
            seq = -1 if operation.kind == "commit" else int(record["seq"])
            assert (int(record["key"]), seq, int(record["t"])) == (operation.key, operation.seq, operation.t_ns)


def _due(history: History, operation: Operation) -> int:
    (event,) = (
        item for item in history.of_kind(ScheduleEvent) if f"{item.worker}.{item.incarnation}" == operation.journal
    )
    turn = operation.seq & ((1 << SEQ_BITS) - 1)
    number = turn * len(event.keys) + event.keys.index(operation.key)
    return event.start_ns + int(number / event.rate_per_s * 1e9)


def test_every_check_has_a_pass_a_fail_and_an_inconclusive() -> None:
    have = {(path.parent.name, case(path).verdict) for path in FILES}
    assert have >= {(name, verdict) for name in CHECKS.names() for verdict in Verdict}


def test_every_finding_type_is_found_in_the_corpus() -> None:
    found = {(path.parent.name, finding["type"]) for path in FILES for finding in case(path).findings}
    assert found == {(name, kind) for name, check in CHECKS.items() for kind in check.findings}


def test_failures_declare_their_findings() -> None:
    for path in FILES:
        if case(path).verdict is Verdict.FAIL:
            assert case(path).findings, path
