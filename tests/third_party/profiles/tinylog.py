"""What the conformance suite must know of Tinylog, with the case of the fault that its package brings."""

from __future__ import annotations

from support.broker_profiles import BrokerProfile
from support.fault_cases import Case

PROFILE = BrokerProfile(
    alias="tinylog-1",
    quick_consumer="{}",
    node_memory="64MiB",
    down="300ms",
    client_library="tinylog_chaos",
    cases={
        "doze": Case(fault="doze: {asleep: 300ms, awake: 300ms}", on="{node: n1}", lost=("nodes.pause",)),
    },
)
