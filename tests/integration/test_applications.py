"""Applications in the consumers' place, on real brokers: those that are shipped, and some that lie."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from support.around_the_link import AroundTheLink
from support.in_process import run_decided, run_text

from harness.result import RunResult
from harness.verdict import Verdict

FOLDER = Path(__file__).parents[2] / "scenarios" / "applications"

LIAR = """
version: 1
title: An application that does not say what it does
broker: nats-2
workload:
  producers: 1
  consumers: 1
  partitions: 1
  keys: 4
  rate: 60/s
  warmup: 1s
  duration: 4s
  drain: 8s
  consumer:
    ack_wait: 2s
    application:
      command: ["{python}", nats_consumer.py, "{bootstrap}", "{stream}", "{durables}", "{report}"]
      shows: lines
      stop: {patience: 2s}
faults: []
expect:
  loss: {messages_max: 0, examined_min: 100}
  duplicates: {copies_max: 0, examined_min: 100}
  phantoms: {}
"""


@pytest.fixture(autouse=True)
def _state(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_STATE_DIR", str(tmp_path_factory.mktemp("s")))


def shipped(name: str) -> str:
    """Return a shipped scenario, whose program is where it is shipped."""
    text = (FOLDER / f"{name}.yaml").read_text(encoding="utf-8")
    return re.sub(r"(      shows: \w+\n)", rf"\1      directory: {FOLDER}\n", text)


def measured(result: RunResult) -> str:
    """Return what a result says, for messages."""
    checks = [
        (check.check, str(check.verdict), [finding.message for finding in check.findings[:2]])
        for check in result.checks
    ]
    return f"{result.verdict} {result.error} {result.weaknesses} {checks}"


def failed(result: RunResult) -> set[str]:
    return {check.check for check in result.checks if check.verdict is Verdict.FAIL}


@pytest.mark.parametrize(
    "name",
    [
        "kafka-application",
        "kafka-application-commit-first",
        "kafka-application-commits",
        "nats-application",
        "nats-application-ack-first",
        "nats-application-commits",
    ],
)
@pytest.mark.rotates(2)
def test_a_shipped_application_ends_as_declared(name: str, tmp_path: Path) -> None:
    result = run_decided(shipped(name), tmp_path)
    assert result.exit_code == 0, measured(result)
    assert (failed(result) == {"loss"}) is name.endswith("first"), measured(result)


def lying(folder: Path, change: Callable[[str], str]) -> RunResult:
    """Run a program made from the shipped one."""
    source = (FOLDER / "nats_consumer.py").read_text(encoding="utf-8")
    changed = change(source)
    assert changed != source
    (folder / "nats_consumer.py").write_text(changed, encoding="utf-8")
    result, _ = run_text(LIAR, folder)
    return result


DELIVERED = '            tell("delivered", **place, **known, body=message.data.decode())\n'
PROCESSED = '            tell("processed", **place)\n'


def test_what_it_did_not_get_is_found(tmp_path: Path) -> None:
    invented = """            if offset_of(seen) == 50:
                tell("delivered", partition=0, offset=10_000, head="00000000 %010d %019d " % (0, 999_999))
                tell("processed", partition=0, offset=10_000)
"""
    invented = invented.replace("offset_of(seen)", "seen.sequence.stream")
    result = lying(tmp_path, lambda text: text.replace(DELIVERED, DELIVERED + invented))
    assert result.exit_code == 1, measured(result)
    assert failed(result) >= {"phantoms"}, measured(result)


def test_what_it_reports_again_after_its_acknowledgement_never_passes(tmp_path: Path) -> None:
    again = DELIVERED.replace("            tell", "                tell") + PROCESSED.replace(
        "            tell", "                tell"
    )
    place = "                await acknowledge(message, partition, seen.sequence.stream)\n"
    result = lying(tmp_path, lambda text: place.join([*text.rsplit(place, 1)[:1], again + text.rsplit(place, 1)[1]]))
    assert result.exit_code in {1, 6}, measured(result)
    assert "duplicates" in {check.check for check in result.checks if check.verdict is not Verdict.PASS}


def test_what_it_acknowledges_and_does_not_process_is_lost(tmp_path: Path) -> None:
    skipped = PROCESSED.replace("            tell", "            seen.sequence.stream % 40 and tell")
    result = lying(tmp_path, lambda text: text.replace(PROCESSED, skipped))
    assert result.exit_code != 0, measured(result)
    assert failed(result) >= {"loss"} or result.verdict is Verdict.INCONCLUSIVE, measured(result)


def test_one_that_dies_silently_never_passes(tmp_path: Path) -> None:
    dying = "            if seen.sequence.stream == 150:\n                import os; os._exit(0)\n"
    result = lying(tmp_path, lambda text: text.replace(DELIVERED, DELIVERED + dying))
    assert result.exit_code in {1, 6}, measured(result)
    assert any("c0 exited unexpectedly (exit status 0)" in problem for problem in result.weaknesses), measured(result)


def test_one_that_reports_nothing_never_passes(tmp_path: Path) -> None:
    silent = '    if event in ("delivered", "processed", "committed"):\n        return\n'
    place = '    """Report one event to the harness: a line, written at once."""\n'
    result = lying(tmp_path, lambda text: text.replace(place, place + silent))
    assert result.exit_code in {1, 6}, measured(result)


def test_one_that_writes_what_is_no_line_never_passes(tmp_path: Path) -> None:
    noise = '    lines.sendall(b"Hello!\\n")\n'
    place = '    """Report one event to the harness: a line, written at once."""\n'
    result = lying(tmp_path, lambda text: text.replace(place, place + noise))
    assert result.exit_code == 6, measured(result)
    assert any("line 1 is no JSON: Hello!" in problem for problem in result.weaknesses), measured(result)


def test_one_that_ignores_the_stop_signal_is_named(tmp_path: Path) -> None:
    deaf = "stop.set)"
    result = lying(tmp_path, lambda text: text.replace(deaf, "lambda: None)"))
    assert result.exit_code == 6, measured(result)
    assert any("did not end within 2s of SIGTERM" in problem for problem in result.weaknesses), measured(result)


def test_one_that_dials_around_its_links_is_told_with_the_address(tmp_path: Path) -> None:
    (tmp_path / "nats_consumer.py").write_text((FOLDER / "nats_consumer.py").read_text(encoding="utf-8"))
    parts = AroundTheLink()
    result, _ = run_text(LIAR, tmp_path, parts=parts)
    assert result.exit_code == 7, measured(result)
    assert f"c0 to {parts.direct}" in result.error
