"""Generated scenarios load as what they say, plans are functions of their seed, and no text crashes the loader."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from support import scenario_vocabulary as words
from support.scenario_mistakes import BASE, cases

from harness.errors import Problem, ScenarioError
from harness.scenario.expand import Variant, variants
from harness.scenario.explain import COLUMNS, explain, unreplayable
from harness.scenario.load import load_text
from harness.scenario.members import worker_names
from harness.scenario.plan import make_plan
from harness.scenario.quantity import exact
from harness.units import BYTES, CORES, DURATION, RATE, RATIO, Unit

VOCABULARY = words.vocabulary()
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
SECOND = 1_000_000_000

TITLES = st.text(
    st.characters(min_codepoint=33, max_codepoint=0x2FFF, exclude_categories=["C", "Z"]), min_size=1, max_size=30
)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.floats(-1e6, 1e6).map(lambda x: round(x, 3)) | TITLES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.from_regex(r"[a-z.]{1,8}", fullmatch=True), inner, max_size=3)
    ),
    max_leaves=6,
)


def milliseconds(low: int, high: int) -> st.SearchStrategy[int]:
    return st.integers(low, high).map(lambda value: value * 1_000_000)


@st.composite
def fault_bodies(draw: st.DrawFn, nodes: int, zones: list[str], workers: list[str]) -> dict[str, Any]:
    """Draw one fault that fits by itself; each lasts 1 s within a slot of its own (see ``scenarios``)."""
    kind = draw(st.sampled_from(["latency", "bandwidth", "kill", "restart", "cpu", "client_kill"]))
    modes = st.sampled_from(["all", "one", "random"] if kind == "client_kill" else ["all", "one", "random", "leader"])
    body: dict[str, Any] = {}
    if kind in ("latency", "bandwidth"):
        delay = draw(milliseconds(1, 900))
        body[kind] = {"delay": exact(DURATION, delay), "jitter": exact(DURATION, draw(st.integers(0, delay)))}
        if kind == "bandwidth":
            body[kind] = {"rate": exact(RATE, draw(st.integers(1, 10**6)))}
        body["on"] = draw(
            st.fixed_dictionaries({"link": st.just("client-broker"), "mode": modes, "zone": st.sampled_from(zones)})
            | st.fixed_dictionaries({"link": st.sampled_from([f"{zone}->n1" for zone in zones])})
            | st.fixed_dictionaries({"link": st.just("broker-broker" if nodes > 1 else "client-broker"), "mode": modes})
        )
    elif kind == "client_kill":
        by_role = st.fixed_dictionaries({"worker": st.sampled_from(["consumer", "producer"]), "mode": modes})
        body = {kind: draw(st.sampled_from([None, {}]))}
        body["on"] = draw(by_role | st.fixed_dictionaries({"worker": st.sampled_from(workers)}))
    else:
        options: dict[str, dict[str, Any]] = {
            "kill": {"again": draw(st.booleans())},
            "restart": {"down": exact(DURATION, draw(milliseconds(1, 900)))},
            "cpu": {"limit": exact(CORES, draw(st.integers(1, 64)) / 4)},
        }
        body[kind] = options[kind]
        by_mode = st.fixed_dictionaries({"node": st.just("broker"), "mode": modes})
        body["on"] = draw(
            by_mode | st.fixed_dictionaries({"node": st.sampled_from([f"n{n + 1}" for n in range(nodes)])})
        )
    return body


@st.composite
def scenarios(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a valid scenario as plain data."""
    nodes = draw(st.sampled_from([1, 3, 5]))
    producers, consumers = draw(st.integers(1, 4)), draw(st.integers(1, 5))
    workers = [*(f"p{index}" for index in range(producers)), *(f"c{index}" for index in range(consumers))]
    far = draw(st.lists(st.sampled_from(workers), unique=True, max_size=len(workers) - 1))
    zones = {"far": far} if far else {}
    count = draw(st.integers(0, 4))
    slot = 30 * SECOND
    bodies = draw(st.lists(fault_bodies(nodes, ["clients", *zones], workers), min_size=count, max_size=count))
    faults = []
    for index, body in enumerate(draw(st.permutations(bodies))):
        times: dict[str, Any] = {"at": exact(DURATION, index * slot + draw(milliseconds(0, 5_000)))}
        if draw(st.booleans()):
            # What it waits for is the fault before, or a count: then only the first can be anywhere in its slot.
            state = (
                {"after": f"fault{index}"} if index else {"processed": draw(st.sampled_from(["> 5", ">=7", "<  9"]))}
            )
            within, delay = index * slot + draw(milliseconds(1, 2_500)), draw(milliseconds(0, 2_500))
            times = {"when": state | {"within": exact(DURATION, within), "delay": exact(DURATION, delay)}}
        times["id"] = f"fault{index + 1}"
        if "restart" not in body:
            times["for"] = exact(DURATION, draw(milliseconds(1, 20_000)))
        faults.append(body | times)
    checks: dict[str, Any] = {
        "loss": {"messages_max": draw(st.integers(0, 9))},
        "stall": {"pause_max": exact(DURATION, draw(st.integers(0, 10**12)))},
        "duplicates": {"ratio_max": exact(RATIO, draw(st.integers(0, 10_000)) / 10_000)},
        "latency": {"p99_max": exact(DURATION, draw(st.integers(1, 10**11))), "during": "faults"},
    }
    named = draw(st.lists(st.sampled_from(sorted(checks)), unique=True, min_size=1))
    return {
        "version": 1,
        "title": draw(TITLES),
        "broker": draw(st.sampled_from(["nats-2", "nats-2.11", "nats-2.12.0-RC.3", "nats-0.0.1"])),
        "seed": draw(st.integers(0, 2**53 - 1)),
        "cluster": {"nodes": nodes, "replicas": 1, "config": draw(st.dictionaries(TITLES, PLAIN, max_size=3))},
        "workload": {
            "producers": producers,
            "consumers": consumers,
            "partitions": draw(st.integers(1, 12)),
            "keys": draw(st.integers(4, 64)),
            "rate": exact(RATE, draw(st.integers(1, 10**6))),
            "payload": exact(BYTES, draw(st.integers(40, 10**6))),
            "duration": exact(DURATION, max(1, count) * slot),
            "drain": exact(DURATION, draw(st.integers(0, 10**12))),
            "zones": zones,
        },
        "faults": faults,
        "expect": {name: checks[name] for name in named},
        "must_fail": draw(st.lists(st.sampled_from(named), unique=True)),
    }


def as_yaml(content: dict[str, Any]) -> str:
    return json.dumps(content, ensure_ascii=False, indent=1)


@QUICK
@given(scenarios())
def test_generated_scenario_loads_as_what_it_says(content: dict[str, Any]) -> None:
    (variant,) = variants(load_text(as_yaml(content), "generated.yaml", VOCABULARY))
    workload, written = variant.workload, content["workload"]
    assert (variant.title, variant.broker, variant.seed) == (content["title"], content["broker"], content["seed"])
    assert variant.cluster.config == content["cluster"]["config"]
    assert exact(RATE, workload.rate_per_s) == written["rate"]
    assert exact(BYTES, workload.payload_bytes) == written["payload"]
    assert exact(DURATION, workload.drain_ns) == written["drain"]
    assert {zone: list(names) for zone, names in workload.zones.items()} == written["zones"]
    assert list(variant.must_fail) == content["must_fail"]
    assert [entry.check for entry in variant.expect] == list(content["expect"])
    names = {
        *variant.topology.node_names,
        *(link.name for link in variant.topology.links),
        *worker_names(workload),
    }
    for entry, fault in zip(variant.faults, content["faults"], strict=True):
        assert entry.kind in fault
        assert entry.id == fault["id"]
        if entry.when is None:
            assert exact(DURATION, entry.at_ns) == fault["at"]
            assert entry.earliest_ns == entry.at_ns
        else:
            assert exact(DURATION, entry.when.within_ns) == fault["when"]["within"]
            assert entry.at_ns == entry.when.within_ns + entry.when.delay_ns
            assert entry.earliest_ns <= entry.at_ns
        assert "for" not in fault or exact(DURATION, entry.until_ns - entry.at_ns) == fault["for"]
        assert entry.candidates
        assert names >= set(entry.candidates)


@QUICK
@given(scenarios(), st.integers(0, 2**53 - 1))
def test_plan_is_a_function_of_variant_and_seed(content: dict[str, Any], seed: int) -> None:
    first, second = (variants(load_text(as_yaml(content), "generated.yaml", VOCABULARY))[0] for _ in range(2))
    plan = make_plan(first, seed)
    assert plan == make_plan(second, seed)
    times = [fault.at_ns for fault in plan.timeline]
    assert times == sorted(times)
    assert (plan.digest, explain(plan)) == (make_plan(second, seed).digest, explain(make_plan(second, seed)))
    by_id = {entry.id: entry for entry in first.faults}
    for fault in plan.timeline:
        entry = by_id[fault.id]
        assert 0 <= fault.at_ns < fault.until_ns <= plan.workload.duration_ns
        assert set(fault.targets) <= set(entry.candidates)
        assert len(fault.targets) == {"leader": 0, "random": 1}.get(fault.on.mode, len(entry.candidates))
        assert (fault.when is None) == ("not replayable" not in "".join(unreplayable(fault)))
    assert max(map(len, explain(plan).splitlines())) <= COLUMNS


@QUICK
@given(scenarios(), st.data())
def test_edited_limit_changes_the_digest(content: dict[str, Any], data: st.DataObject) -> None:
    plan = make_plan(variants(load_text(as_yaml(content), "generated.yaml", VOCABULARY))[0])
    check = data.draw(st.sampled_from(sorted(content["expect"])))
    metric = next(iter(content["expect"][check]))
    before = content["expect"][check][metric]
    content["expect"][check][metric] = {"loss": 10, "duplicates": "0.0001%"}.get(check, "12345ns")
    assume(content["expect"][check][metric] != before)
    edited = make_plan(variants(load_text(as_yaml(content), "generated.yaml", VOCABULARY))[0])
    assert edited.digest != plan.digest


@QUICK
@given(st.sampled_from([DURATION, BYTES]), st.integers(0, 10**15))
def test_exact_quantities_read_back(unit: Unit, value: int) -> None:
    assert unit.parse(exact(unit, value)) == value


def must_not_crash(text: str) -> None:
    """Load, plan and explain; anything but ScenarioError is a defect. Every problem lies within the text."""
    problems: tuple[Problem, ...] = ()
    found: tuple[Variant, ...] = ()
    try:
        found = variants(load_text(text, "fuzz.yaml", VOCABULARY))
    except ScenarioError as error:
        problems = error.problems
    assert found or problems
    last = len(text.splitlines()) + 1
    for problem in problems:
        assert problem.message
        assert 1 <= problem.location.line <= last
        assert problem.location.column >= 1
    for variant in found[:3]:
        explain(make_plan(variant))


@settings(QUICK, max_examples=150)
@given(st.text(max_size=200) | st.text("{}[]:,-?!&*|>'\"%@`# \n\tab01.~<=", max_size=60))
def test_no_text_crashes_the_loader(text: str) -> None:
    must_not_crash(text)


VALID_AND_NOT = sorted(case[0] for case in cases().values() if len(case[0]) < 1_000)
PIECES = [
    *"{}[]:,-?!&*|>'\"%# \n\t0",
    "null",
    "true",
    "-1s",
    "1e999",
    "broker",
    "random",
    "&a ",
    "*a",
    "<<: ",
    "!!set ",
    "matrix: {",
    "faults.0.at: [",
    "n1",
    "0x",
    "!!int ",
    "!!float ",
    "!!binary ",
    "\\ud800",
    "\ud7ff",
    "\x85",
    "\u2028",
    "...\n",
    "---\n",
]


@settings(QUICK, max_examples=200)
@given(
    st.sampled_from([BASE, *VALID_AND_NOT]),
    st.lists(st.tuples(st.integers(0, 1_000), st.integers(0, 12), st.sampled_from(PIECES)), min_size=1, max_size=4),
)
def test_no_damaged_scenario_crashes_the_loader(text: str, cuts: list[tuple[int, int, str]]) -> None:
    for start, length, piece in cuts:
        place = start % (len(text) + 1)
        text = text[:place] + piece + text[place + length :]
    must_not_crash(text)


KEYS = st.sampled_from(
    [
        *(
            "version",
            "title",
            "broker",
            "seed",
            "matrix",
            "cluster",
            "workload",
            "faults",
            "expect",
            "must_fail",
            "attempts",
        ),
        *(
            "nodes",
            "topic",
            "zones",
            "far",
            "latency",
            "kill",
            "on",
            "at",
            "for",
            "when",
            "id",
            "within",
            "after",
            "group",
            "leader_of",
            "is",
            "backlog",
            "node",
            "link",
            "mode",
            "loss",
            "stall",
        ),
        *("workload.rate", "faults.0", "faults.0.on.node", "cluster.topic", "runs", "tags", "delay", "pause_max"),
    ]
)
LEAVES = st.sampled_from(
    [1, 0, -1, 3, 1.5, True, None, "", "T", "1s", "5/s", "1KiB", "nats-2", "kafka-4", "random", "broker", "n1", "loss"]
)
TREES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5), max_leaves=20
)


@settings(QUICK, max_examples=150)
@given(st.dictionaries(KEYS, TREES, max_size=9), st.booleans())
def test_no_tree_of_known_words_crashes_the_loader(tree: dict[str, Any], based: bool) -> None:
    base = {"version": 1, "title": "T", "broker": "nats-2", "expect": {"loss": {}}} if based else {}
    must_not_crash(as_yaml(base | tree))
