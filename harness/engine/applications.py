"""What an instance of an application is started with, from the plan: its words, and how its broker settles deliveries.

Starts nothing.
"""

from __future__ import annotations

from typing import Final

from harness.applications.instance import Setup
from harness.brokers.base import BoundBroker
from harness.clients.base import WorkerSpec
from harness.history.facts import Facts
from harness.runtime.kernel.ports import Ports
from harness.scenario.application import application_of, directory_of
from harness.scenario.application_fit import broker_words
from harness.scenario.plugins import BROKER_SPECS

_POSITIONS: Final = "positions"
_MESSAGES: Final = "messages"


def setup_of(bound: BoundBroker, spec: WorkerSpec, ports: Ports) -> Setup | None:
    """Return what the instance in a consumer's place is started with; None where the reference consumer runs."""
    plan = bound.plan
    application = application_of(plan.workload.consumer)
    if application is None:
        return None
    words = broker_words(BROKER_SPECS.get(plan.broker_kind), plan.cluster, plan.workload, spec.owned)
    return Setup(
        application=application,
        directory=directory_of(application, plan.file),
        words={**words, "port": str(ports.draw())},
        settles=_settles(bound.facts),
        whole=bound.facts.group.eager if bound.facts.group is not None else None,
    )


def _settles(facts: Facts) -> str:
    """Return by what deliveries are settled, in the recorder's words."""
    if facts.settling.positions:
        return _POSITIONS
    return _MESSAGES if facts.settling.acknowledged is not None else ""
