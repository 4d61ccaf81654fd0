"""The client library's own log: only there does a push consumer say what it was assigned, and what became of locks.

Owns the form of its lines (``Rebalance.cpp`` and ``Logging.cpp`` of rocketmq-client-cpp) and what they mean. The
library writes each line as it happens, stamped with the wall clock, to the microsecond.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Literal

from harness.brokers.rocketmq.options import TOPIC
from harness.brokers.rocketmq.places import Queue
from harness.clock import NS_PER_S, monotonic_ns, wall_ns

What = Literal["added", "dropped", "nothing", "asked", "locked", "unlocked", "refused", "stopping"]
"""What a line says: a queue is ours, or no longer, or none was dealt to us; locks are asked for, are granted, were
given back, or one is not granted or gone; the consumer handles nothing more."""

_EVERY_S: Final = 0.02
_LINE = re.compile(r"\[(\d{4})-(\w{3})-(\d\d) (\d\d):(\d\d):(\d\d)\.(\d{6})\]\(\w+\):(.*)")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_QUEUE: Final = rf"MessageQueue \[topic={re.escape(TOPIC)}, brokerName=([^,\]]+), queueId=(\d+)\]"

_SAYINGS: Final[Sequence[tuple[What, re.Pattern[str]]]] = (
    ("added", re.compile(rf"add mq:{_QUEUE}, request initiall offset:(-?\d+)")),
    (
        "added",
        re.compile(rf"after resume the pull handle of this pullRequest, its mq is:{_QUEUE}, its offset is:(-?\d+)"),
    ),
    ("dropped", re.compile(rf"drop mq:{_QUEUE}")),
    ("nothing", re.compile(rf"allocated queue is empty for topic:{re.escape(TOPIC)}\b")),
    ("asked", re.compile(r"try to lock:\d+ mqs of broker:")),
    ("locked", re.compile(rf"(?:lock|lockBatchMQ) success of mq:{_QUEUE}")),
    ("unlocked", re.compile(rf"(?:unlock|unlockBatchMQ) success of mq:{_QUEUE}")),
    ("refused", re.compile(r"lock mq on broker:\S+ failed")),
    ("refused", re.compile(rf"message queue:{_QUEUE} was not locked")),
    # Both come once the threads have ended in which messages are handled; the first one of orderly members alone.
    ("stopping", re.compile(r"unLockAll \d+ broker mqs")),
    ("stopping", re.compile(r"unregisterClient to broker:")),
)


@dataclass(frozen=True, slots=True)
class Said:
    """What one line says.

    Attributes:
        what: See ``What``.
        t: When, monotonic ns.
        queue: Of which queue; None where the line names none.
        offset: Of ``added``: where reading begins; else -1.
    """

    what: What
    t: int
    queue: Queue | None = None
    offset: int = -1


def parse(line: str, wall_to_monotonic_ns: int) -> Said | None:
    """Return what a line says; None for one that says nothing of queues and locks.

    Args:
        line: Without its end.
        wall_to_monotonic_ns: What is to be added to the wall clock (UTC).
    """
    match = _LINE.match(line)
    if match is None:
        return None
    for what, pattern in _SAYINGS:
        if found := pattern.match(match[8]):
            queue = Queue(found[1], int(found[2])) if pattern.groups else None
            offset = int(found[3]) if pattern.groups > 2 else -1
            return Said(what, _wall_ns(match) + wall_to_monotonic_ns, queue, offset)
    return None


def _wall_ns(match: re.Match[str]) -> int:
    """Return the time of a line, which is local, in ns since 1970 (UTC)."""
    year, day, hour, minute, second = (int(match[group]) for group in (1, 3, 4, 5, 6))
    local = datetime(year, _MONTHS.index(match[2]) + 1, day, hour, minute, second)  # noqa: DTZ001  as it is written
    return int(local.timestamp()) * NS_PER_S + int(match[7]) * 1000


class ClientLog:
    """Follows the log of the library in this process, in a thread of its own.

    Args:
        folder: Where the library writes (``$HOME/logs/rocketmq-cpp``).
        pid: Of this process, with which the names of its files begin.
        take: Is given what the lines say that have come since the last time, in order.
    """

    def __init__(self, folder: Path, pid: int, take: Callable[[Sequence[Said]], None]) -> None:
        self._folder, self._pattern, self._take = folder, f"{pid}_rocketmq-cpp.log.*", take
        self._read: dict[Path, int] = {}
        self._rest: dict[Path, bytes] = {}
        self._lock = threading.Lock()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True, name="client log")

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """Take what is left, and end."""
        self._end.set()
        self._thread.join(timeout=5.0)

    def _follow(self) -> None:
        while not self._end.wait(_EVERY_S):
            self.look()
        self.look()

    def look(self) -> None:
        """Take what has come since the last time; any thread may call."""
        with self._lock:
            shift = monotonic_ns() - wall_ns()
            said = [found for line in self._lines() if (found := parse(line, shift)) is not None]
            if said:
                self._take(said)

    def _lines(self) -> Iterator[str]:
        """Yield the whole lines that have come; the library begins another file at midnight and at 100 MB."""
        for path in sorted(self._folder.glob(self._pattern), key=lambda path: int(path.suffix[1:])):
            read = self._read.get(path, 0)
            if path.stat().st_size == read:
                continue
            with path.open("rb") as file:
                file.seek(read)
                content = file.read()
            self._read[path] = read + len(content)
            *lines, self._rest[path] = (self._rest.get(path, b"") + content).split(b"\n")
            yield from (line.decode("utf-8", "replace") for line in lines)
