"""What recording an application costs: CPU time for each line, how many lines one recorder keeps up with, and the delay
of a line at an ordinary rate.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from support.recorded_lines import delivered, line, recording, sender, until

_BULK = 50_000
_PACED_S = 5.0
_PACED_BATCH = 2
_PAUSE_S = 0.004


def rows() -> Iterator[tuple[str, str]]:
    """Yield (what, figure)."""
    with tempfile.TemporaryDirectory() as folder:
        per_line_s, lines_per_s = asyncio.run(_bulk(Path(folder)))
    yield "application: CPU time of its recorder for each line", f"{per_line_s * 1e6:.1f} µs"
    yield "application: lines per second that one recorder keeps up with", f"{lines_per_s:,.0f}"
    with tempfile.TemporaryDirectory() as folder:
        rate, median_ns, longest_ns = asyncio.run(_paced(Path(folder)))
    delay = f"{median_ns / 1e6:.2f} ms, {longest_ns / 1e6:.1f} ms"
    yield f"application: delay of a line at {rate:,.0f} lines/s: median, longest", delay


async def _bulk(folder: Path) -> tuple[float, float]:
    """Return CPU seconds for each line, and lines per second, of lines that are all there at once."""
    text = b"".join(
        delivered(number, t=1) + line("processed", partition=0, offset=number, t=1) for number in range(_BULK)
    )
    async with recording(folder) as recorded:

        def send() -> None:
            with sender(recorded.path) as end:
                end.sendall(text)

        thread = threading.Thread(target=send)
        cpu, began = time.process_time(), time.monotonic()
        thread.start()
        await until(lambda: recorded.session.counters.processed == _BULK, 120.0)
        used, took = time.process_time() - cpu, time.monotonic() - began
        thread.join()
    return used / (2 * _BULK), 2 * _BULK / took


async def _paced(folder: Path) -> tuple[float, int, int]:
    """Return lines per second, and the median and longest delay of a line, ns."""
    async with recording(folder) as recorded:

        def send() -> None:
            end_s, number = time.monotonic() + _PACED_S, 0
            with sender(recorded.path) as end:
                while time.monotonic() < end_s:
                    for _ in range(_PACED_BATCH):
                        end.sendall(delivered(number, t=time.monotonic_ns()))
                        end.sendall(line("processed", partition=0, offset=number, t=time.monotonic_ns()))
                        number += 1
                    time.sleep(_PAUSE_S)

        await asyncio.to_thread(send)
    (cost,) = (event for event in recorded.events() if event["kind"] == "recorder")
    return cost["lines"] / _PACED_S, cost["median_ns"], cost["longest_ns"]


if __name__ == "__main__":
    print(json.dumps(list(rows())))
