"""What the client library's log says of queues and locks. Its lines are of real runs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from harness.brokers.rocketmq.client_log import ClientLog, Said, parse
from harness.brokers.rocketmq.places import Queue

QUEUE = "MessageQueue [topic=chaos, brokerName=n1, queueId=3]"
RETRIES = "MessageQueue [topic=%RETRY%chaos, brokerName=n1, queueId=0]"


def line(text: str, second: str = "14.000250") -> str:
    return f"[2026-Nov-29 05:48:{second}](info):{text}[somewhere:123]"


@pytest.mark.parametrize(
    ("text", "what", "queue", "offset"),
    [
        (f"add mq:{QUEUE}, request initiall offset:42", "added", Queue("n1", 3), 42),
        (
            f"after resume the pull handle of this pullRequest, its mq is:{QUEUE}, its offset is:7",
            "added",
            Queue("n1", 3),
            7,
        ),
        (f"drop mq:{QUEUE}", "dropped", Queue("n1", 3), -1),
        ("try to lock:4 mqs of broker:n1chaos", "asked", None, -1),
        (f"lock success of mq:{QUEUE}", "locked", Queue("n1", 3), -1),
        (f"lockBatchMQ success of mq:{QUEUE}", "locked", Queue("n1", 3), -1),
        (f"unlock success of mq:{QUEUE}", "unlocked", Queue("n1", 3), -1),
        (f"unlockBatchMQ success of mq:{QUEUE}", "unlocked", Queue("n1", 3), -1),
        ("lock mq on broker:127.0.0.1:10911 failed", "refused", None, -1),
        (f"message queue:{QUEUE} was not locked", "refused", Queue("n1", 3), -1),
        ("unLockAll 1 broker mqs", "stopping", None, -1),
        ("unregisterClient to broker:127.200.1.1:16327", "stopping", None, -1),
        ("allocated queue is empty for topic:chaos", "nothing", None, -1),
    ],
)
def test_a_line_says_what_became_of_a_queue(text: str, what: str, queue: Queue | None, offset: int) -> None:
    found = parse(line(text), 0)
    assert found is not None
    assert (found.what, found.queue, found.offset) == (what, queue, offset)


@pytest.mark.parametrize(
    "text",
    [
        f"add mq:{RETRIES}, request initiall offset:0",
        f"drop mq:{RETRIES}",
        f"allocate mq:{QUEUE}",
        "sendheartbeat brokeradd is empty",
        "allocated queue is empty for topic:%RETRY%chaos",
    ],
)
def test_other_lines_say_nothing(text: str) -> None:
    assert parse(line(text), 0) is None
    assert parse("no line of the library", 0) is None


def test_a_line_has_the_time_at_which_it_was_written(monkeypatch: pytest.MonkeyPatch) -> None:
    for zone, hours in (("UTC", 0), ("UTC-2", 2)):  # POSIX: two hours east
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        found = parse(line(f"drop mq:{QUEUE}"), -1_000)
        assert found is not None
        assert found.t == (1_795_931_294 - hours * 3600) * 1_000_000_000 + 250_000 - 1_000
    monkeypatch.undo()
    time.tzset()


def test_a_log_is_followed_from_file_to_file(tmp_path: Path) -> None:
    taken: list[Said] = []

    def take(said: Sequence[Said]) -> None:
        taken.extend(said)

    log = ClientLog(tmp_path, 77, take)
    first, second = tmp_path / "77_rocketmq-cpp.log.0", tmp_path / "77_rocketmq-cpp.log.1"
    whole, half = line(f"drop mq:{QUEUE}") + "\n", line("unLockAll 1 broker mqs") + "\n"
    first.write_text(whole + half[:60], encoding="utf-8")
    (tmp_path / "78_rocketmq-cpp.log.0").write_text(whole, encoding="utf-8")
    log.look()
    assert [said.what for said in taken] == ["dropped"]
    with first.open("a", encoding="utf-8") as file:
        file.write(half[60:])
    second.write_text(whole, encoding="utf-8")
    log.look()
    assert [said.what for said in taken] == ["dropped", "stopping", "dropped"]
    log.start()
    with second.open("a", encoding="utf-8") as file:
        file.write(whole)
    log.close()
    assert len(taken) == 4
