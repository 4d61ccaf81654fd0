"""Whether an instance of an application is ready: a line of its log, or an address that answers.

Owns what is looked at, and what is said when it does not come. Starts nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

_READ_BYTES_MAX: Final = 4 << 20
_ANSWER_S: Final = 1.0
_GOOD: Final = range(200, 300)


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
