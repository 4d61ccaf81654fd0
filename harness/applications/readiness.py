"""Whether an instance of an application is ready: a line of its log, or an address that answers.

Owns what is looked at, for how long, and what is said when it does not come. Starts nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from harness.clock import monotonic_ns
from harness.scenario.application import Ready, fill_in

_READ_BYTES_MAX: Final = 4 << 20
_ANSWER_S: Final = 1.0
_GOOD: Final = range(200, 300)
_LOOK_S: Final = 0.02


class LogLine:
    """Whether a line of a log holds a text, from where the log ended when this was made.

    Args:
        log: The file; it need not exist yet.
        text: Wanted.
    """

    def __init__(self, log: Path, text: str) -> None:
        self._log, self._text = log, text.encode()
        self._from = log.stat().st_size if log.exists() else 0

    async def lacks(self) -> str:
        """Return what is missing, or an empty string."""
        with contextlib.suppress(OSError), self._log.open("rb") as file:
            file.seek(self._from)
            if any(self._text in line for line in file.read(_READ_BYTES_MAX).split(b"\n")):
                return ""
        return f"no line of its log holds {self._text.decode()!r}"


class HttpAnswer:
    """Whether an address answers well.

    Args:
        address: ``http://host:port/path``.
    """

    def __init__(self, address: str) -> None:
        self._address = address

    async def lacks(self) -> str:
        """Return what is missing, or an empty string."""
        return await asyncio.to_thread(self._asked)

    def _asked(self) -> str:
        parts = urlsplit(self._address)
        try:
            # Straight, whatever proxies the environment names: it is an address of this machine.
            connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=_ANSWER_S)
            try:
                connection.request("GET", parts.path or "/")
                status = connection.getresponse().status
            finally:
                connection.close()
        except (OSError, ValueError, http.client.HTTPException) as error:
            return f"{self._address} does not answer: {error}"
        return "" if status in _GOOD else f"{self._address} answers {status}"


def looks_of(ready: Ready, words: Mapping[str, str], log: Path) -> LogLine | HttpAnswer | None:
    """Return what a scenario wants to be looked at; None where it leaves that out.

    Args:
        ready: As the scenario says.
        words: That are filled in.
        log: Of the instance.
    """
    if ready.line:
        return LogLine(log, fill_in(ready.line, words))
    return HttpAnswer(fill_in(ready.http, words)) if ready.http else None


async def wait_until(
    lacks: Callable[[], Awaitable[str]], within_ns: int, *, runs: Callable[[], bool], held: Callable[[], bool]
) -> str:
    """Wait until nothing is lacking; return what still is once it does not run any more or the time is over.

    Args:
        lacks: Returns what is missing, or an empty string.
        within_ns: How long it may take; time in which it is held is not counted.
        runs: Whether its process does.
        held: Whether a fault keeps it stopped.
    """
    left_ns, last = within_ns, monotonic_ns()
    while missing := await lacks():
        if not runs() or left_ns <= 0:
            return missing
        await asyncio.sleep(_LOOK_S)
        now = monotonic_ns()
        left_ns -= 0 if held() else now - last
        last = now
    return ""
