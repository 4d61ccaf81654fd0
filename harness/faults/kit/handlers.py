"""What faults on handlers share: they act on the handlers of reference consumers alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from harness.scenario.application import application_of
from harness.scenario.plugins import FaultPlace, Refusal


def of_reference_consumers(_: Any, place: FaultPlace | None) -> Iterator[Refusal]:
    """Yield why a fault on handlers does not act where an application takes the consumers' place."""
    if place is not None and application_of(place.workload.consumer) is not None:
        message = "this fault acts on the handler of a reference consumer, and an application's handler is its own"
        yield Refusal(message, hint="known for applications: client_pause, client_kill, client_leave, client_join")
