"""A reference consumer's session without its process, for unit tests."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from harness.clients.base import Control, Counters, ErrorCollapse, Session, WorkerSpec
from harness.history.record import EventLog, Journal


def made(folder: Path, **options: Any) -> Session:
    """Return the session of consumer c0, which writes into ``folder``."""
    spec = WorkerSpec(
        worker="c0",
        incarnation=1,
        role="consumer",
        broker="nats",
        history_dir="",
        addresses=(),
        partitions=1,
        owned=(0,),
        options=options,
    )
    events = EventLog(folder / "c0.1.events.jsonl", "c0")
    return Session(
        spec=spec,
        control=Control(go=asyncio.Event(), stop_sending=asyncio.Event(), stop=asyncio.Event()),
        counters=Counters(),
        journal=Journal(folder / "c0.1.journal", {"worker": "c0", "incarnation": 1, "role": "consumer"}),
        events=events,
        errors=ErrorCollapse(events, "c0"),
        ready=asyncio.Event(),
    )
