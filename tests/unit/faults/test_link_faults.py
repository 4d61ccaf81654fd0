"""Evidence of the faults on links: what proves each, what does not, and what too little to go by looks like."""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from support.fault_context import fault_context
from support.in_process import scenario

from harness.errors import ScenarioError
from harness.faults import latency as latency_module
from harness.faults.base import FAULTS, Evidence, FaultContext, Sample, extra_probe_name
from harness.history.events import DrawEvent, Event
from harness.history.record import Break
from harness.runtime.base import Channel, Link
from harness.scenario.expand import variants
from harness.scenario.load import load_text
from harness.scenario.model import PlannedFault, Target
from harness.session.vocabulary import vocabulary

MS = 1_000_000
S = 1000 * MS
BEGIN, END = 10 * S, 13 * S
LINK = "clients->n1"
PATH = "control->n1"

Making = Callable[[int], Sample]


def _trip(start: int, length: int = MS, broken: Break = Break.NONE, **carried: int) -> Sample:
    ok = broken is Break.NONE
    return Sample(start_ns=start, end_ns=start + length, ok=ok, length_ns=length, broken=broken, **carried)


def _phases(
    during: Making, *, usual: Making = _trip, after: Making | None = None, every: int = 250 * MS
) -> list[Sample]:
    """Return samples that begin every so often: as usual, then while the fault acts, then after it."""
    samples = []
    for start in range(5 * S, 18 * S, every):
        made = during if BEGIN <= start < END else usual if start < BEGIN else after or usual
        samples.append(made(start))
    return samples


class Probes:
    """Samples by target."""

    def __init__(self, **samples: Sequence[Sample]) -> None:
        self.by_name = samples

    def samples(self, target: str, since_ns: int, until_ns: int | None = None) -> Sequence[Sample]:
        found = self.by_name.get(target, ())
        return [item for item in found if item.start_ns >= since_ns and (until_ns is None or item.end_ns <= until_ns)]


class Control:
    """A proxy that remembers every order."""

    def __init__(self) -> None:
        self.orders: list[tuple[Any, ...]] = []

    def add_toxic(self, link: str, name: str, kind: str, stream: str, attributes: Any) -> None:
        """Take it."""
        self.orders.append(("add", link, name, kind, stream, dict(attributes)))

    def update_toxic(self, link: str, name: str, attributes: Any) -> None:
        """Take it."""
        self.orders.append(("update", link, name, dict(attributes)))

    def let_pass(self, link: str, name: str) -> None:
        """Take it."""
        self.orders.append(("let pass", link, name))

    def remove_toxic(self, link: str, name: str) -> None:
        """Take it."""
        self.orders.append(("remove", link, name))

    def switch_off(self, link: str, holder: str) -> None:
        """Take it."""
        self.orders.append(("off", link, holder))

    def switch_on(self, link: str, holder: str) -> None:
        """Take it."""
        self.orders.append(("on", link, holder))


def _link(name: str, role: str) -> Link:
    source, node = name.split("->")
    channel = Channel(name=name, host="127.0.0.1", port=1, upstream="127.0.0.1:2")
    return Link(name=name, source=source, node=node, role=role, channels=(channel,), keeps=role == "client")


def _context(
    kind: str,
    options: dict[str, Any],
    probes: Probes,
    control: Control,
    links: Sequence[Link],
    targets: tuple[str, ...],
    **more: Any,
) -> tuple[FaultContext, list[int]]:
    planned = PlannedFault(
        id=f"{kind}-1",
        kind=kind,
        options=FAULTS.get(kind).spec.options(**options),
        on=Target(link=targets[0]),
        targets=targets,
        at_ns=0,
        until_ns=END - BEGIN,
        seed=1,
    )
    now = [BEGIN]
    context = fault_context(
        planned,
        targets=targets,
        links={link.name: link for link in links},
        control=control,
        probes=probes,
        now_ns=lambda: now[0],
        **more,
    )
    return context, now


def _carry_out(
    kind: str,
    options: dict[str, Any],
    trips: Sequence[Sample],
    extra_probe: Sequence[Sample] = (),
    control: Control | None = None,
    beside: Sequence[Sample] | None = None,
    node: Making = _trip,
) -> tuple[list[Evidence], list[Evidence]]:
    """Return the evidence of effect, as it is looked at just before the end, and of healing.

    Args:
        beside: What the fault's own probe sees through the control path; None = there is none.
        node: What the monitor sees of the node itself while the fault acts.
    """
    probes = Probes(
        **{
            LINK: trips,
            "n1": _phases(node),
            extra_probe_name(LINK, f"{kind}-1"): extra_probe,
            PATH: _phases(_trip),
            extra_probe_name(PATH, f"{kind}-1"): beside or (),
        }
    )
    more = {} if beside is None else {"control_name": lambda _: PATH}
    context, now = _context(kind, options, probes, control or Control(), [_link(LINK, "client")], (LINK,), **more)

    async def carried_out() -> tuple[list[Evidence], list[Evidence]]:
        fault = FAULTS.get(kind).make(context)
        await fault.apply()
        now[0] = END
        await fault.heal()
        effect = list(await fault.effect())
        now[0] = 18 * S
        await fault.heal()
        return effect, list(await fault.healing())

    return asyncio.run(carried_out())


def _proven(found: Sequence[Evidence]) -> list[bool]:
    return [item.proven for item in found]


def _silent(start: int) -> Sample:
    return _trip(start, S, Break.SILENT)


WAITING = _phases(_trip)[:20]
"""A patient look until the fault begins."""


@pytest.mark.parametrize(("kind", "end"), [("stall", Break.NONE), ("blackhole", Break.CUT)])
def test_silence_with_an_open_connection_is_a_stall_or_a_blackhole_by_what_becomes_of_the_data(
    kind: str, end: Break
) -> None:
    patient = [*WAITING, _trip(BEGIN + 100 * MS, END - BEGIN, end)]
    effect, healing = _carry_out(kind, {}, _phases(_silent, every=S), patient)
    assert _proven(effect) == [True, True]
    assert _proven(healing) == [True, True]


@pytest.mark.parametrize(("kind", "end"), [("stall", Break.CUT), ("blackhole", Break.NONE)])
def test_one_is_not_taken_for_the_other(kind: str, end: Break) -> None:
    patient = [*WAITING, _trip(BEGIN + 100 * MS, END - BEGIN, end)]
    _, healing = _carry_out(kind, {}, _phases(_silent, every=S), patient)
    assert _proven(healing) == [True, False]


@pytest.mark.parametrize("kind", ["stall", "blackhole"])
def test_no_silence_is_proven_where_something_gets_through_or_somebody_is_told(kind: str) -> None:
    for during in (_trip, lambda start: _trip(start, MS, Break.CUT), lambda start: _trip(start, MS, Break.REFUSED)):
        effect, _ = _carry_out(kind, {}, _phases(during), WAITING)
        assert not effect[0].proven, effect[0].observed
    effect, _ = _carry_out(kind, {}, [], WAITING)
    assert effect[0].observed == "none ended"
    assert not effect[0].proven


def test_a_connection_that_broke_meanwhile_is_no_stall() -> None:
    patient = [*WAITING, _trip(BEGIN + 100 * MS, S, Break.CUT)]
    effect, _ = _carry_out("stall", {}, _phases(_silent, every=S), patient)
    assert _proven(effect) == [True, False]


@pytest.mark.parametrize("kind", ["stall", "blackhole"])
def test_silence_of_the_node_itself_is_not_that_of_the_link(kind: str) -> None:
    patient = [*WAITING, _trip(BEGIN + 100 * MS, END - BEGIN)]
    effect, _ = _carry_out(kind, {}, _phases(_silent, every=S), patient, node=_silent)
    assert _proven(effect) == [False, True]
    assert effect[0].observed.endswith("; n1 itself answered no round trip")


@pytest.mark.parametrize(
    ("kind", "options", "during_ms"),
    [
        ("bandwidth", {"rate_bytes_per_s": 50_000, "direction": "down"}, 200),
        ("slicer", {"size_bytes": 512, "direction": "down"}, 70),
        ("slow_close", {"delay_ns": 100 * MS, "direction": "up"}, 110),
    ],
)
def test_what_is_slow_through_the_control_path_as_well_proves_nothing(
    kind: str, options: dict[str, Any], during_ms: int
) -> None:
    slow = _phases(lambda start: _trip(start, during_ms * MS))
    for beside, proven in ((_phases(_trip), True), (slow, False), ([], False)):
        effect, _ = _carry_out(kind, options, _phases(_trip), slow, beside=beside)
        assert _proven(effect) == [proven], effect
        assert effect[0].lacks == ("" if beside else "round trips")


def test_what_is_held_flows_off_before_the_toxic_is_removed() -> None:
    control = Control()
    _carry_out("stall", {"direction": "up"}, [], control=control)
    assert [order[0] for order in control.orders] == ["add", "let pass", "remove", "remove"]
    assert control.orders[0][3:] == ("bandwidth", "upstream", {"rate": 0})


@pytest.mark.parametrize(
    ("during", "proven"),
    [
        (lambda start: _trip(start, MS, Break.REFUSED), True),
        (lambda start: _trip(start, MS, Break.CUT), True),
        (lambda start: _trip(start, MS, Break.SILENT), False),
        (_trip, False),
        (lambda start: _trip(start, MS, Break.CUT if start % S else Break.NONE), False),
    ],
)
def test_disconnect_wants_every_round_trip_to_fail_at_once(during: Making, proven: bool) -> None:
    effect, healing = _carry_out("disconnect", {}, _phases(during))
    assert _proven(effect) == [proven]
    assert _proven(healing) == [True]


def test_two_round_trips_are_too_few_for_a_disconnect() -> None:
    effect, _ = _carry_out("disconnect", {}, [_trip(BEGIN + n * S, MS, Break.REFUSED) for n in range(2)])
    assert _proven(effect) == [False]


@pytest.mark.parametrize(
    ("usual_ms", "during_ms", "after_ms", "effect", "healing"),
    [
        (1, 200, 1, True, True),
        (1, 161, 1, True, True),
        (1, 100, 1, False, True),
        (150, 200, 1, False, True),
        (1, 200, 200, True, False),
    ],
)
def test_bandwidth_is_measured(usual_ms: int, during_ms: int, after_ms: int, effect: bool, healing: bool) -> None:
    """At 50 KB/s the look carries 10,000 bytes."""
    extra_probe = _phases(
        lambda start: _trip(start, during_ms * MS),
        usual=lambda start: _trip(start, usual_ms * MS),
        after=lambda start: _trip(start, after_ms * MS),
    )
    options = {"rate_bytes_per_s": 50_000, "direction": "down"}
    found = _carry_out("bandwidth", options, _phases(lambda start: _trip(start, MS // 10)), extra_probe)
    assert (_proven(found[0]), _proven(found[1])) == ([effect], [healing]), found


@pytest.mark.parametrize(
    ("before_ms", "beside_ms", "during_ms", "proven"),
    [
        ((150, 70), (150, 70), (200, 200, 200), True),
        ((150, 150), (150, 70), (200, 200, 200), False),
        ((150, 70), (150, 150), (200, 200, 200), False),
        ((150, 150, 70), (150, 150, 70), (200, 200, 200), False),  # one in three is chance
        ((150, 90), (150, 90), (200, 200, 200), False),
        ((150, 70), (150, 70), (200, 200, 70), False),
        ((1, 1), (1, 1), (200, 200, 70), True),
    ],
)
def test_on_a_busy_machine_parts_of_the_looks_show_a_limit(
    before_ms: tuple[int, ...], beside_ms: tuple[int, ...], during_ms: tuple[int, ...], proven: bool
) -> None:
    """At 50 KB/s 10,000 bytes take 200 ms, and 160 ms are believed; without the limit some take half of that."""
    before, beside, during = (itertools.cycle(lengths) for lengths in (before_ms, beside_ms, during_ms))
    extra_probe = _phases(
        lambda start: _trip(start, next(during) * MS), usual=lambda start: _trip(start, next(before) * MS)
    )
    control = _phases(lambda start: _trip(start, next(beside) * MS))
    trips = _phases(lambda start: _trip(start, MS // 10))
    options = {"rate_bytes_per_s": 50_000, "direction": "down"}
    effect, _ = _carry_out("bandwidth", options, trips, extra_probe, beside=control)
    assert _proven(effect) == [proven], effect


@pytest.mark.parametrize(("fastest_ms", "healed"), [(90, True), (110, False)])
def test_one_fast_round_trip_shows_that_a_limit_is_gone(fastest_ms: int, healed: bool) -> None:
    lengths = itertools.cycle((150, fastest_ms, 150))
    extra_probe = _phases(lambda start: _trip(start, 200 * MS), after=lambda start: _trip(start, next(lengths) * MS))
    trips = _phases(lambda start: _trip(start, MS // 10))
    _, healing = _carry_out("bandwidth", {"rate_bytes_per_s": 50_000, "direction": "down"}, trips, extra_probe)
    assert _proven(healing) == [healed], healing


def test_a_link_that_is_slow_for_another_reason_is_not_limited() -> None:
    """What a round trip takes by itself is no sign of a limit."""
    slow = _phases(lambda start: _trip(start, 160 * MS))
    options = {"rate_bytes_per_s": 50_000, "direction": "down"}
    effect, _ = _carry_out("bandwidth", options, slow, _phases(lambda start: _trip(start, 200 * MS)))
    assert _proven(effect) == [False]


@pytest.mark.parametrize("kind", ["bandwidth", "slicer", "slow_close"])
def test_two_looks_are_too_few(kind: str) -> None:
    options = {
        "bandwidth": {"rate_bytes_per_s": 50_000},
        "slicer": {"size_bytes": 512},
        "slow_close": {"delay_ns": 100 * MS},
    }
    extra_probe = [_trip(start) for start in range(5 * S, BEGIN, 250 * MS)]
    extra_probe += [_trip(BEGIN + n * S, 900 * MS) for n in range(2)]
    effect, healing = _carry_out(kind, options[kind], _phases(_trip), extra_probe)
    assert _proven(effect) == [False]
    assert _proven(healing) == [False]
    assert "too few" in effect[0].observed


@pytest.mark.parametrize(
    ("direction", "added_ms", "proven"), [("up", 95, True), ("up", 50, False), ("both", 95, False)]
)
def test_slow_close_is_measured_per_direction(direction: str, added_ms: int, proven: bool) -> None:
    extra_probe = _phases(lambda start: _trip(start, (1 + added_ms) * MS))
    effect, healing = _carry_out("slow_close", {"delay_ns": 100 * MS, "direction": direction}, [], extra_probe)
    assert _proven(effect) == [proven]
    assert _proven(healing) == [True]


@pytest.mark.parametrize(("during_ms", "proven"), [(70, True), (20, False), (1, False)])
def test_slicer_shows_in_the_pauses_of_the_fewest_pieces(during_ms: int, proven: bool) -> None:
    extra_probe = _phases(lambda start: _trip(start, during_ms * MS))
    effect, healing = _carry_out("slicer", {"size_bytes": 512, "direction": "down"}, [], extra_probe)
    assert _proven(effect) == [proven]
    assert _proven(healing) == [True]


@pytest.mark.parametrize(("short_ms", "proven"), [(25, True), (45, False)])
def test_slicer_is_over_once_one_look_takes_less_than_its_pauses(short_ms: int, proven: bool) -> None:
    """On a busy machine looks take long by themselves; one of 60 ms of pauses cannot take less than those."""
    lengths = itertools.cycle([70, 90, short_ms, 80])
    extra_probe = _phases(lambda start: _trip(start, 70 * MS), after=lambda start: _trip(start, next(lengths) * MS))
    _, healing = _carry_out("slicer", {"size_bytes": 512, "direction": "down"}, [], extra_probe)
    assert _proven(healing) == [proven]


@pytest.mark.parametrize(
    ("direction", "carried", "proven"),
    [
        ("down", {"received": 20_480}, True),
        ("down", {"received": 20_481}, False),
        ("down", {"received": 9_000, "sent": 21_000}, False),
        ("up", {"sent": 21_000}, True),
        ("up", {"sent": 20_000}, False),
        ("up", {"sent": 99_000}, False),
        ("both", {"received": 9_000, "sent": 21_000}, True),
    ],
)
def test_limit_data_ends_connections_at_their_count(direction: str, carried: dict[str, int], proven: bool) -> None:
    extra_probe = _phases(
        lambda start: _trip(start, MS, Break.CUT, **carried),
        after=lambda start: _trip(start, sent=30_000, received=30_000),
    )
    effect, healing = _carry_out("limit_data", {"bytes_": 20_480, "direction": direction}, [], extra_probe)
    assert _proven(effect) == [proven]
    assert _proven(healing) == [True]


def test_limit_data_is_not_healed_before_a_connection_carries_more() -> None:
    extra_probe = _phases(_trip, after=lambda start: _trip(start, received=20_480))
    effect, healing = _carry_out("limit_data", {"bytes_": 20_480}, [], extra_probe)
    assert _proven(effect) == [False]
    assert _proven(healing) == [False]


NODES = ("n1", "n2", "n3")
CLUSTER = [_link(f"clients->{node}", "client") for node in NODES] + [
    _link(f"{a}->{b}", "peer") for a in NODES for b in NODES if a != b
]


def _partition(
    options: dict[str, Any], cut: Callable[[Link], bool], target: str = "n1", links: Sequence[Link] = CLUSTER
) -> tuple[dict[str, set[str]], list[Evidence]]:
    """Return link → streams that got a toxic, and the evidence of effect where these links are silent: ``cut``."""
    control = Control()
    samples = {link.name: _phases(_silent, every=S) if cut(link) else _phases(_trip) for link in links}
    samples |= {link.node: _phases(_trip) for link in links}
    context, now = _context("partition", options, Probes(**samples), control, links, (target,))

    async def carried_out() -> list[Evidence]:
        fault = FAULTS.get("partition").make(context)
        await fault.apply()
        now[0] = END
        await fault.heal()
        assert all(item.proven for item in await fault.healing())
        return list(await fault.effect())

    effect = asyncio.run(carried_out())
    streams: dict[str, set[str]] = {}
    for order in control.orders:
        if order[0] == "add":
            assert order[3] == "timeout"
            streams.setdefault(order[1], set()).add(order[4])
    return streams, effect


def test_a_node_is_cut_off_from_its_peers_in_both_orders() -> None:
    streams, effect = _partition({}, lambda link: link.role == "peer" and "n1" in (link.source, link.node))
    both = {"upstream", "downstream"}
    assert streams == {"n1->n2": both, "n1->n3": both, "n2->n1": both, "n3->n1": both}
    assert all(_proven(effect))
    assert {item.target for item in effect} == {link.name for link in CLUSTER}


def test_one_way_out_of_two_nodes_together_takes_the_right_streams() -> None:
    options = {"from_": "both", "direction": "out", "together_with": ("n2",)}
    streams, effect = _partition(options, lambda link: link.name not in {"n1->n2", "n2->n1", "clients->n3"})
    assert streams == {
        "clients->n1": {"downstream"},
        "clients->n2": {"downstream"},
        "n1->n3": {"upstream"},
        "n2->n3": {"upstream"},
        "n3->n1": {"downstream"},
        "n3->n2": {"downstream"},
    }
    assert all(_proven(effect))


def test_one_way_in_from_clients_leaves_peers_alone() -> None:
    streams, _ = _partition({"from_": "clients", "direction": "in"}, lambda link: link.name == "clients->n1")
    assert streams == {"clients->n1": {"upstream"}}


def test_a_partition_that_cuts_more_or_less_than_it_should_is_not_proven() -> None:
    _, effect = _partition({}, lambda link: link.role == "peer")
    assert {item.target for item in effect if not item.proven} == {"n2->n3", "n3->n2"}
    _, effect = _partition({}, lambda link: link.name in {"n1->n2", "n1->n3", "n2->n1"})
    assert {item.target for item in effect if not item.proven} == {"n3->n1"}


SERVED = [*CLUSTER, _link("clients->names", "client"), *(_link(f"{node}->names", "service") for node in NODES)]
"""A cluster whose nodes and clients need a service."""


@pytest.mark.parametrize(
    ("from_", "expected"),
    [
        ("peers", {"n1->names", "n2->names", "n3->names"}),
        ("clients", {"clients->names"}),
        ("both", {"clients->names", "n1->names", "n2->names", "n3->names"}),
    ],
)
def test_a_service_is_cut_off_by_its_own_links(from_: str, expected: set[str]) -> None:
    streams, effect = _partition({"from_": from_}, lambda link: link.name in expected, "names", SERVED)
    assert streams == {name: {"upstream", "downstream"} for name in expected}
    assert all(_proven(effect))
    assert {item.target for item in effect} == {link.name for link in SERVED}


def test_a_node_that_is_cut_off_keeps_its_service() -> None:
    streams, _ = _partition({"from_": "both"}, lambda link: "n1" in (link.source, link.node), "n1", SERVED)
    assert set(streams) == {"clients->n1", "n1->n2", "n1->n3", "n2->n1", "n3->n1"}


def test_each_draw_of_a_seeded_jitter_is_journaled_and_the_same_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latency_module, "_STEP_S", 0.01)

    def draws() -> list[tuple[int, int]]:
        control, told, enough = Control(), [], asyncio.Event()
        options = {"delay_ns": 50 * MS, "jitter_ns": 20 * MS, "jitter_from": "seed"}

        def journal(event: Event) -> None:
            assert isinstance(event, DrawEvent)
            told.append((event.step, event.delay_ns))
            if len(told) == 8:
                enough.set()

        links = [_link(LINK, "client")]
        context, _ = _context("latency", options, Probes(), control, links, (LINK,), journal=journal)

        async def carried_out() -> None:
            fault = FAULTS.get("latency").make(context)
            await fault.apply()
            await enough.wait()
            await fault.heal()

        asyncio.run(carried_out())
        return told[:8]

    first = draws()
    assert [step for step, _ in first] == list(range(8))
    assert len({delay for _, delay in first}) > 1
    assert all(30 * MS <= delay <= 70 * MS for _, delay in first)
    assert draws() == first


THREE = "{nodes: 3, replicas: 3}"


@pytest.mark.parametrize(
    ("fault", "on", "broker", "message"),
    [
        ("bandwidth: {rate: 20KB/s}", "{link: n1->n2}", "nats", "bandwidth: nats-2 does not accept much probe traffic"),
        (
            "slicer: {size: 512B}",
            "{link: broker-broker}",
            "kafka",
            "slicer: kafka-4 does not accept a kept probe connection",
        ),
        (
            "limit_data: {bytes: 20KiB}",
            "{link: n1->n2}",
            "nats",
            "limit_data: nats-2 does not accept a kept probe connection",
        ),
        ("bandwidth: {rate: 1500B/s}", "{link: client-broker}", "nats", "rate must be whole KB/s"),
        ("slicer: {size: 32KiB, delay: 100us}", "{link: client-broker}", "nats", "cannot be measured"),
        ("slicer: {size: 4B, variation: 4B}", "{link: client-broker}", "nats", "variation must be less than size"),
        ("partition: {together_with: [n9]}", "{node: n1}", "nats", "together_with names n9, which is not a node"),
    ],
)
def test_what_could_not_be_proven_is_refused(fault: str, on: str, broker: str, message: str) -> None:
    text = scenario(fault, on, broker=broker, cluster=THREE)
    with pytest.raises(ScenarioError, match=re.escape(message)):
        variants(load_text(text, "scenario.yaml", vocabulary()))


def test_one_node_alone_has_no_peers_to_be_cut_off_from() -> None:
    with pytest.raises(ScenarioError, match="one node alone has no peers"):
        variants(load_text(scenario("partition: {}", "{node: n1}"), "scenario.yaml", vocabulary()))
    assert variants(load_text(scenario("partition: {from: clients}", "{node: n1}"), "scenario.yaml", vocabulary()))


def test_pieces_of_a_size_that_the_proxy_draws_are_said_not_to_be_replayable() -> None:
    spec = FAULTS.get("slicer").spec
    assert spec.unreplayable is not None
    assert spec.unreplayable(spec.options(size_bytes=512, variation_bytes=100))
    assert not spec.unreplayable(spec.options(size_bytes=512))
