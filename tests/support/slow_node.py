"""Slows the node of a run from outside: neither the plan nor the harness knows of it."""

from __future__ import annotations

import http.client
import json
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from harness.runtime.kernel.procfs import marked

DELAY_MS = 300
_LOOPBACK = "http://127.0.0.1"


class SlowNode:
    """Adds ``DELAY_MS`` of latency each way to every link to a node, in each run of a state folder, while entered.

    Args:
        state: The harness's state folder (``HARNESS_STATE_DIR``): its live runs are the ones meant.
        node: Whose links are slowed.

    Attributes:
        slowed: The links that were slowed; a test must find some.
    """

    def __init__(self, state: Path, node: str = "n1") -> None:
        self._runs = state / "runs"
        self._node = node
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="slow node")
        self.slowed: set[str] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._end.wait(0.05):
            for port in self._control_ports():
                try:
                    self._slow(port)
                except (OSError, ValueError, http.client.HTTPException):
                    continue  # it is not up yet, or down already; the next round asks again

    def _control_ports(self) -> Iterator[int]:
        """Yield the control port of every Toxiproxy that a live run of this state folder has started."""
        for run in list(self._runs.glob("[!.]*")) if self._runs.is_dir() else []:
            for pid in marked(run.name):
                try:
                    words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                except OSError:
                    continue
                if b"toxiproxy" in Path(words[0].decode()).name.encode() and b"-port" in words:
                    yield int(words[words.index(b"-port") + 1])

    def _slow(self, port: int) -> None:
        for proxy in _ask(f"{_LOOPBACK}:{port}/proxies").values():
            name = str(proxy["name"])
            if self._node not in name or f"{port}/{name}" in self.slowed:
                continue
            for stream in ("upstream", "downstream"):
                toxic = {"name": f"planted-{stream}", "type": "latency", "stream": stream}
                _ask(f"{_LOOPBACK}:{port}/proxies/{name}/toxics", toxic | {"attributes": {"latency": DELAY_MS}})
            self.slowed.add(f"{port}/{name}")


def _ask(url: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    request = urllib.request.Request(
        url.replace(" ", "%20"),
        data=json.dumps(body).encode() if body is not None else None,
        headers={"User-Agent": "planted"},
    )
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=2) as answer:
        found: dict[str, Any] = json.load(answer)
    return found
