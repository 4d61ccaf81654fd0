"""A reference consumer's session without its process, for unit tests."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from harness.clients.base import Control, Counters, ErrorCollapse, Session, WorkerSpec
from harness.history.record import EventLog, Journal


def made(
    folder: Path, worker: str = "c0", addresses: tuple[str, ...] = (), partitions: int = 1, **options: Any
) -> Session:
    """Return the session of a consumer, which writes into ``folder``."""
    spec = WorkerSpec(
        worker=worker,
        incarnation=1,
        role="consumer",
        broker="nats",
        history_dir="",
        addresses=addresses,
        partitions=partitions,
        owned=(0,),
        options=options,
    )
    events = EventLog(folder / f"{worker}.1.events.jsonl", worker)
    return Session(
        spec=spec,
        control=Control(go=asyncio.Event(), stop_sending=asyncio.Event(), stop=asyncio.Event()),
        counters=Counters(),
        journal=Journal(folder / f"{worker}.1.journal", {"worker": worker, "incarnation": 1, "role": "consumer"}),
        events=events,
        errors=ErrorCollapse(events, worker),
        ready=asyncio.Event(),
    )
