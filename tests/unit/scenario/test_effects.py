"""What the planned faults of a plan do together: lengths from which limits are derived."""

from __future__ import annotations

import pytest
from support.scenario_mistakes import BASE

from harness.scenario import effects
from harness.scenario.expand import variants
from harness.scenario.load import load_text
from harness.scenario.model import Plan
from harness.scenario.plan import make_plan
from harness.scenario.plugins import Vocabulary

S = 1_000_000_000
KILL = "  - kill: {{}}\n    on: {{node: {node}}}\n    at: {at}s\n    for: {length}s\n"


def plan(vocabulary: Vocabulary, *faults: str) -> Plan:
    start, end = BASE.index("faults:"), BASE.index("expect:")
    text = BASE[:start] + "faults:\n" + "".join(faults) + BASE[end:] if faults else BASE[:start] + BASE[end:]
    (variant,) = variants(load_text(text, "case.yaml", vocabulary))
    return make_plan(variant)


def kill(node: str, at: int, length: int) -> str:
    return KILL.format(node=node, at=at, length=length)


def test_without_faults_there_is_nothing_to_wait_for(vocabulary: Vocabulary) -> None:
    calm = plan(vocabulary)
    assert (effects.first_fault_ns(calm), effects.down_ns(calm), effects.cut_ns(calm)) == (0, 0, 0)
    assert effects.out_ns(calm, tolerated=0) == effects.silent_ns(calm, 5) == 0
    assert not effects.disturbs_nodes(calm)
    assert effects.planned_end_ns(calm) == calm.workload.duration_ns + calm.workload.drain_ns


@pytest.mark.parametrize(
    ("faults", "tolerated", "out_s"),
    [
        ([("n1", 5, 10)], 0, 10),
        ([("n1", 5, 10)], 1, 0),
        ([("n1", 5, 10), ("n2", 12, 10)], 0, 17),  # from 5 to 22: one or the other
        ([("n1", 5, 10), ("n2", 12, 10)], 1, 3),  # from 12 to 15: both
        ([("n1", 5, 10), ("n2", 15, 10)], 1, 0),
        ([("n1", 5, 10), ("n2", 20, 3)], 0, 10),
    ],
)
def test_nodes_that_are_down_at_once_are_counted(
    vocabulary: Vocabulary, faults: list[tuple[str, int, int]], tolerated: int, out_s: int
) -> None:
    found = plan(vocabulary, *(kill(*fault) for fault in faults))
    assert effects.out_ns(found, tolerated=tolerated) == out_s * S
    assert effects.first_fault_ns(found) == min(at for _, at, _ in faults) * S
    assert effects.disturbs_nodes(found)


def test_a_fault_on_client_links_disturbs_no_node(vocabulary: Vocabulary) -> None:
    slow = "  - latency: {{delay: 50ms}}\n    on: {{link: {link}}}\n    at: 10s\n    for: 4s\n"
    assert not effects.disturbs_nodes(plan(vocabulary, slow.format(link="client-broker")))
    assert not effects.disturbs_nodes(plan(vocabulary, slow.format(link="clients->n1")))
    assert effects.disturbs_nodes(plan(vocabulary, slow.format(link="broker-broker")))
