"""What is supplied to the package in place of what the native library lacks. The library itself is a stand-in."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from harness.brokers.rocketmq import library
from harness.errors import StartError


class FakeNative:
    """Calls the selector as the native library does, and keeps what it was sent with."""

    def __init__(self, queues: int) -> None:
        self.queues = queues
        self.sent: list[tuple[int, int]] = []

    def send(self, producer: int, message: int, choose: Any, place: int, attempts: int, result: Any) -> int:
        assert place, "a null pointer is refused"
        self.sent.append((choose(self.queues, message, place), attempts))
        return 0


@pytest.mark.parametrize(
    ("key", "queues", "index"),
    [(b"0", 4, 0), (b"3", 4, 3), (b"3", 2, 1), (b"hello", 4, 99162322 % 4), (b"polygenelubricants", 3, 0)],
)
def test_a_key_names_its_queue_and_the_library_makes_one_attempt(key: bytes, queues: int, index: int) -> None:
    native = FakeNative(queues)
    assert library._send_by_key(native.send, 1, 2, key, None) == 0
    assert native.sent == [(index, 0)]
    assert library.asked.queues == queues


def test_transactions_are_refused() -> None:
    with pytest.raises(NotImplementedError, match="the native library has no SendMessageTransaction"):
        library._refuse("SendMessageTransaction", 1, 2)


def test_a_worker_without_the_package_says_what_it_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    library.load.cache_clear()
    with pytest.raises(StartError, match="rocketmq-client-python cannot be loaded"):
        library.load()


def test_what_hangs_is_left_behind() -> None:
    assert library.ends(lambda: None, 30.0)
    end = threading.Event()

    def hang() -> None:
        end.wait(60.0)

    assert not library.ends(hang, 0.0)
    end.set()
