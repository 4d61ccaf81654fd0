"""The monitor: one process that no fault touches.

Ticks every 100 ms, and so measures stalls of the machine itself; looks whether the harness is stopped; makes round
trips through every link and to every node; and asks the broker who leads and how the consumer group is. All of it is
journaled, and is what evidence and the attribution of stalls rest on.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast

from harness.brokers.base import BROKERS, Admin, Probe, SpeaksFurther
from harness.clock import NS_PER_MS, NS_PER_S, monotonic_ns
from harness.history.events import Event, GroupEvent, LeaderEvent, MachineEvent, ObserverEvent
from harness.history.record import Break, EventLog, Journal, Outcome, RecordKind
from harness.workload.beat import beat
from harness.workload.pace import BULK_NS, PROBE_NS
from harness.workload.standing import Standing

TICK_NS = 100 * NS_PER_MS


def main() -> int:
    """Run until stdin ends or says ``stop``; the specification stands in the file named by the first argument."""
    return asyncio.run(_monitor(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))))


async def _monitor(spec: dict[str, Any]) -> int:
    history = Path(spec["history_dir"])
    targets: list[dict[str, Any]] = spec["targets"]
    meta = {"worker": "monitor", "incarnation": 1, "role": "monitor", "targets": [target["name"] for target in targets]}
    events = EventLog(history / "monitor.1.events.jsonl", "monitor")
    journal = Journal(history / "monitor.1.journal", meta)
    broker = BROKERS.get(spec["broker"])
    observing = _Observer(broker.admin(spec["ports"], spec["options"]), broker.observe_every_s, events)
    gc.freeze()  # imported modules never die
    gc.enable()
    harness = Standing("harness", events.write)
    tasks = [
        asyncio.create_task(_tick(journal, harness, os.getppid())),
        asyncio.create_task(observing.run()),
        asyncio.create_task(beat()),
    ]
    begun_ns, short_ns = monotonic_ns(), short_of_cpu_ns()
    for index, target in enumerate(targets):
        timeout_s = target.get("timeout_s", 1.0)
        if protocol := target.get("protocol"):
            probe = cast("SpeaksFurther", broker).further_probe(protocol, target["address"], timeout_s=timeout_s)
        else:
            probe = broker.probe(target["address"], keep=target["keep"], timeout_s=timeout_s)
        tasks.append(asyncio.create_task(_probe(journal, index, probe, target)))
    os.write(1, b'{"say": "ready"}\n')
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    ending = asyncio.create_task(reader.readline())
    done, _ = await asyncio.wait({ending, *tasks}, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    harness.end()
    observing.tell_cost()
    if short_ns is not None:
        short_ns = (short_of_cpu_ns() or short_ns) - short_ns
        events.write(MachineEvent(short_ns=short_ns, of_ns=monotonic_ns() - begun_ns))
    journal.close()
    failed = [task for task in done if task is not ending and task.exception() is not None]
    if failed:
        sys.stderr.write(f"monitor failed: {failed[0].exception()!r}\n")
        return 1
    os.write(1, b'{"say": "finished"}\n')
    return 0


def short_of_cpu_ns(pressure: Path = Path("/proc/pressure/cpu")) -> int | None:
    """Return for how long, since this machine's start, something has waited for a CPU; None where the kernel does not
    say.

    Source: the kernel's Documentation/accounting/psi.rst: ``some avg10=… avg60=… avg300=… total=<microseconds>``.
    """
    try:
        (some, *_) = pressure.read_text(encoding="ascii").splitlines()
        return int(some.rpartition("total=")[2]) * 1_000
    except (OSError, ValueError):
        return None


async def _tick(journal: Journal, harness: Standing, pid: int) -> None:
    """Tick, and look whether the harness itself is kept from running: it cannot see that by itself."""
    last = monotonic_ns()
    while True:
        await asyncio.sleep(max(0, last + TICK_NS - monotonic_ns()) / NS_PER_S)
        now = monotonic_ns()
        journal.add(RecordKind.TICK, t=now, offset=now - last)
        journal.flush()
        last = now
        harness.look(pid)


async def _probe(journal: Journal, index: int, probe: Probe, target: Mapping[str, Any]) -> None:
    mode = target.get("mode", "")
    kind, act = RecordKind.GAUGE if mode else RecordKind.PROBE, probe.round_trip
    if mode == "bulk":
        act = partial(probe.bulk, target["up_bytes"], target["down_bytes"])
    elif mode == "close":
        act = probe.closing
    every_ns = BULK_NS if mode == "bulk" else PROBE_NS
    while True:
        start = monotonic_ns()
        broken = Break.NONE
        try:
            length, outcome = await act(), Outcome.OK
        except TimeoutError:
            broken = Break.SILENT
        except ConnectionRefusedError:
            broken = Break.REFUSED
        except OSError:
            broken = Break.CUT
        if broken is not Break.NONE:
            length, outcome = monotonic_ns() - start, Outcome.FAIL
        journal.add(
            kind,
            t=monotonic_ns(),
            outcome=outcome,
            count=int(broken),
            key=min(probe.sent, 0x7FFFFFFF),
            partition=index,
            seq=start,
            offset=length,
            ref=probe.received,
        )
        journal.flush()
        await asyncio.sleep(max(0, start + every_ns - monotonic_ns()) / NS_PER_S)


class _Observer:
    """Asks the broker who leads and how the group is, journals what has changed, and measures what the asking costs.

    Before an answer with a member that the one before lacked, that one is journaled again as it was heard last.
    """

    def __init__(self, admin: Admin, every_s: float, events: EventLog) -> None:
        self._admin, self._every_s, self._events = admin, every_s, events
        self._known: dict[tuple[str, object], Event] = {}
        self._again: GroupEvent | None = None
        self._workers: frozenset[str] = frozenset()
        self._lengths_ns: list[int] = []

    async def run(self) -> None:
        """Ask until cancelled, on an absolute schedule as far as the answers allow."""
        while True:
            start = monotonic_ns()
            for event in await self._admin.observe():
                place = (event.kind, event.partition if isinstance(event, LeaderEvent) else None)
                known = self._known.get(place)
                if known == event:
                    if isinstance(event, GroupEvent):
                        self._again = replace(event, t=monotonic_ns())
                    continue
                if isinstance(event, GroupEvent):
                    if isinstance(known, GroupEvent) and _workers(event) - _workers(known):
                        self._tell_again()
                    self._again = None
                    self._workers |= _workers(event)
                self._known[place] = event
                self._events.write(event)
            self._lengths_ns.append(monotonic_ns() - start)
            await asyncio.sleep(max(0.0, self._every_s - (monotonic_ns() - start) / NS_PER_S))

    def _tell_again(self) -> None:
        """Journal the last answer that said the same as the one before: that a member was away is proven between two
        answers alone, and it comes back between the last of them and the next.
        """
        if self._again is not None:
            self._events.write(self._again)
            self._again = None

    def tell_cost(self) -> None:
        """Journal how often was asked and how long it took, and who was away to the end."""
        if self._again is not None and self._workers - _workers(self._again):
            self._tell_again()
        lengths = sorted(self._lengths_ns) or [0]
        self._events.write(
            ObserverEvent(
                polls=len(self._lengths_ns),
                median_ns=lengths[len(lengths) // 2],
                longest_ns=lengths[-1],
                cpu_ns=time.process_time_ns(),
            )
        )


def _workers(event: GroupEvent) -> frozenset[str]:
    """Return the workers that an answer names as members."""
    return frozenset(member.worker for member in event.members or ())


if __name__ == "__main__":
    sys.exit(main())
