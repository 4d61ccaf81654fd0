"""Applications of which the broker's word on members and positions is all that is known, on Kafka: the plain one, and
some that lie.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support.in_process import run_text

from harness.checks.levels import NOT_JUDGED
from harness.checks.stall import NAMELESS
from harness.result import RunResult
from harness.verdict import Verdict

SOURCE = Path(__file__).parents[2] / "scenarios" / "applications" / "plain_consumer.py"
SCENARIO = """
version: 1
title: A consumer of which the broker's word is all that is known
broker: kafka-4
cluster: {nodes: 1}
workload:
  producers: 1
  consumers: 2
  partitions: 2
  keys: 4
  rate: 60/s
  warmup: 2s
  duration: 5s
  drain: DRAIN
  consumer:
    session_timeout: 6s
    heartbeat_interval: 1s
    request_timeout: 1s
    reconnect_wait: 10ms
    application:
      command: ["{python}", plain_consumer.py, "{bootstrap}", "{topic}", "{group}"MEMBER]
      shows: commits
      stop: {patience: 5s}
faults: []
expect:
  stall: {pause_max: 4s}
  ownership: {}
  throughput: {processed_min: 20/s}
"""
COMMIT = "            consumer.commit(asynchronous=False)\n"


@pytest.fixture(autouse=True)
def _state(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_STATE_DIR", str(tmp_path_factory.mktemp("s")))


def ran(
    folder: Path,
    change: Callable[[str], str] | None = None,
    *,
    member: str = ', "{member}"',
    drain: str = "15s",
) -> RunResult:
    """Run the plain consumer, changed as wanted."""
    source = SOURCE.read_text(encoding="utf-8")
    changed = source if change is None else change(source)
    assert change is None or changed != source
    (folder / "plain_consumer.py").write_text(changed, encoding="utf-8")
    result, _ = run_text(SCENARIO.replace("MEMBER", member).replace("DRAIN", drain), folder)
    return result


def measured(result: RunResult) -> str:
    checks = [(each.check, str(each.verdict), [item.message for item in each.findings[:2]]) for each in result.checks]
    return f"{result.exit_code} {result.error} {result.weaknesses} {checks}"


def verdicts(result: RunResult) -> dict[str, Verdict]:
    return {each.check: each.verdict for each in result.checks}


def test_one_that_passes_no_name_on_is_judged_without_names(tmp_path: Path) -> None:
    result = ran(tmp_path, member="")
    assert Verdict.FAIL not in verdicts(result).values(), measured(result)
    stall = next(each for each in result.checks if each.check == "stall")
    assert NAMELESS in stall.reasons, measured(result)
    assert stall.examined > 100, measured(result)
    (loss,) = [each for each in result.checks if each.check == "loss"]
    assert (loss.verdict, loss.reasons, loss.expected) == (Verdict.INCONCLUSIVE, (NOT_JUDGED,), False)
    assert "processed" not in result.counts


def test_one_that_never_commits_fails(tmp_path: Path) -> None:
    result = ran(tmp_path, lambda text: text.replace(COMMIT, "            pass\n"), drain="3s")
    assert result.exit_code == 1, measured(result)
    assert verdicts(result)["stall"] is Verdict.FAIL, measured(result)
    assert verdicts(result)["throughput"] is Verdict.FAIL, measured(result)
    assert any("drain incomplete" in reason for reason in result.weaknesses), measured(result)


def test_one_that_commits_what_was_not_sent_yet_fails(tmp_path: Path) -> None:
    far = "            consumer.commit(offsets=[TopicPartition(topic, p, 9_999) for p in (0, 1)], asynchronous=False)\n"
    result = ran(
        tmp_path,
        lambda text: text.replace(COMMIT, far).replace("import Consumer,", "import TopicPartition, Consumer,"),
        drain="3s",
    )
    assert result.exit_code == 1, measured(result)
    ownership = next(each for each in result.checks if each.check == "ownership")
    assert [item.type for item in ownership.findings] == ["skip", "skip"], measured(result)


def test_one_that_dies_never_passes(tmp_path: Path) -> None:
    dying = COMMIT + "            if messages[-1].offset() > 120: sys.exit(0)\n"
    result = ran(tmp_path, lambda text: text.replace(COMMIT, dying), drain="3s")
    assert result.exit_code in {1, 6}, measured(result)
    assert any("exited unexpectedly" in reason for reason in result.weaknesses), measured(result)


def test_one_that_ends_at_once_is_not_waited_for(tmp_path: Path) -> None:
    result = ran(tmp_path, lambda text: text.replace("running = [True]", 'sys.exit("no such setting")'))
    assert result.exit_code == 7, measured(result)
    assert "has ended before consumers had settled" in result.error, measured(result)
    assert "no such setting" in result.error, measured(result)


def test_one_of_another_group_is_told(tmp_path: Path) -> None:
    result = ran(tmp_path, lambda text: text.replace('"group.id": group', '"group.id": "mine"'))
    assert result.exit_code == 7, measured(result)
    assert "0 members are there, not 2" in result.error, measured(result)
    assert "each application must join the group {group} by the protocol" in result.error, measured(result)
