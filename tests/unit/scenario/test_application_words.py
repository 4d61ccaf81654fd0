"""What a scenario may say of an application: the words of its command, what does not go together, and what it means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import ScenarioError
from harness.scenario.application import OWN_WORDS, Application, application_of, directory_of, fill_in
from harness.scenario.application_fit import broker_words
from harness.scenario.expand import variants
from harness.scenario.explain import explain, explain_application
from harness.scenario.load import load_text
from harness.scenario.model import Plan
from harness.scenario.plan import make_plan
from harness.session.planned import facts_of
from harness.session.vocabulary import vocabulary

TEXT = """
version: 1
title: An application
broker: BROKER
cluster: {nodes: 1}
workload:
  consumers: 2
  partitions: 4
  consumer:
    application:
      command: COMMAND
      shows: lines
OTHER
expect: {loss: {}}
"""


def text(command: str = '["{python}", app.py]', other: str = "", broker: str = "kafka-4") -> str:
    return TEXT.replace("COMMAND", command).replace("OTHER", other).replace("BROKER", broker)


BARE = text().partition("    application:")[0] + "    handler_time: 0ms\nexpect: {loss: {}}\n"


def plan(written: str) -> Plan:
    (variant,) = variants(load_text(written, "folder/apps.yaml", vocabulary()))
    return make_plan(variant)


def refused(marked: str) -> str:
    """Return what is said of the one problem, which lies where ``«`` is."""
    line, column = next((n, row.index("«") + 1) for n, row in enumerate(marked.splitlines(), 1) if "«" in row)
    with pytest.raises(ScenarioError) as caught:
        plan(marked.replace("«", ""))
    (problem,) = caught.value.problems
    assert (problem.location.line, problem.location.column) == (line, column), str(problem)
    return f"{problem.message} ({problem.hint})"


@pytest.mark.parametrize(
    ("command", "broker", "said"),
    [
        ('[app, «"{bootstrp}"]', "kafka-4", "a run fills in no {bootstrp} (did you mean 'bootstrap'?)"),
        ('[app, «"--at={Member}"]', "kafka-4", "a run fills in no {Member} (did you mean 'member'?)"),
        ('[app, «"{stream}"]', "kafka-4", "known: bootstrap, group, member, port, python, report, topic"),
        ('[app, «"{topic}"]', "nats-2", "a run fills in no {topic}"),
        ("«[]", "kafka-4", "workload.consumer.application.command must name a program"),
    ],
)
def test_a_word_that_no_run_fills_in_is_told_where_it_is(command: str, broker: str, said: str) -> None:
    assert said in refused(text(command, broker=broker))


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ('      env: {A: "{topic}", B: «"{topc}"}', "a run fills in no {topc} (did you mean 'topic'?)"),
        ("      ready: {line: up, http: «'http://127.0.0.1:1/'}", "ready names a line and an address"),
        ("      ready: {http: «'https://127.0.0.1:1/'}", "must begin with http://"),
        ("      ready: {http: «'http://127.0.0.1:{prt}/'}", "a run fills in no {prt} (did you mean 'port'?)"),
        ("      image: «x".replace("image: «", "«image: "), "unknown key 'image' in workload.consumer.application"),
        ("    client: «confluent-kafka-2.8.0", "client is the library of the reference consumer"),
        ("    transactional: «true", "transactional: true is the reference consumer's own"),
        ("      stop: {signal: «KILL}", "must be one of TERM, INT, QUIT, HUP, USR1, USR2"),
    ],
)
def test_what_does_not_go_together_is_told_where_it_is(other: str, said: str) -> None:
    assert said in refused(text(other=other))


def test_a_level_that_is_not_there_is_refused() -> None:
    said = refused(text().replace("shows: lines", "shows: «screens"))
    assert said.startswith("workload.consumer.application.shows must be one of lines, commits, not 'screens'")


def test_a_level_that_a_broker_does_not_offer_is_refused() -> None:
    words = vocabulary()
    brokers = {**words.brokers, "kafka": replace(words.brokers["kafka"], application_shows=("lines",))}
    with pytest.raises(ScenarioError, match=r"12:14: an application of this broker cannot show commits so far"):
        load = load_text(shown("stall: {}"), "apps.yaml", replace(words, brokers=brokers))
        variants(load)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("ack: «none", "ack: none leaves nothing to see"),
        ("max_deliver: «5", "max_deliver lets the server give messages up"),
    ],
)
def test_what_leaves_nothing_to_see_of_a_nats_application_is_refused(given: str, said: str) -> None:
    marked = shown("stall: {}", other=f"    {given}").replace("broker: kafka-4", "broker: nats-2")
    assert refused(marked).startswith(said)


def shown(expect: str, command: str = "[app]", other: str = "") -> str:
    """Return a scenario whose application shows commits alone."""
    written = text(command, other).replace("shows: lines", "shows: commits")
    return written.replace("expect: {loss: {}}", f"expect: {{{expect}}}")


@pytest.mark.parametrize(
    ("expect", "said"),
    [
        ("«loss: {}", "loss is not judged with shows: commits, which says nothing of single messages (judged there: "),
        ("stall: {}, «order: {scope: key}", "order is not judged with shows: commits"),
        ("«latency: {p99_max: 5s}", "latency is not judged with shows: commits"),
        ("ownership: {unowned_max: 5s, outside_max: «0}", "ownership.outside_max is not judged with shows: commits"),
        ("rebalances: {skew_max: «1}", "rebalances.skew_max is not judged with shows: commits"),
    ],
)
def test_what_commits_alone_cannot_be_judged_by_is_told_where_it_is(expect: str, said: str) -> None:
    assert said in refused(shown(expect))


def test_what_commits_alone_can_be_judged_by_is_taken() -> None:
    found = plan(
        shown("stall: {pause_max: 9s}, ownership: {skips_max: 0}, log: {}, acceptance: off, transactions: off")
    )
    assert [item.check for item in found.expect] == ["stall", "ownership", "log", "acceptance", "transactions"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"command": '[app, «"{report}"]'}, "a run fills in no {report}"),
        ({"other": "    commit: «none"}, "commit: none leaves nothing to see"),
        (
            {"other": "faults: [{client_kill: {}, on: {worker: c0}, when: {«processed: '> 10', within: 5s}, for: 1s}]"},
            "an application that shows commits does not say what it has processed",
        ),
    ],
)
def test_what_does_not_go_with_commits_is_told_where_it_is(changes: dict[str, str], said: str) -> None:
    assert said in refused(shown("stall: {}", **changes))


@pytest.mark.parametrize(
    ("other", "term"),
    [
        ("    commit: auto-before\n    auto_commit_interval: 5s", "auto_commit_interval 5s"),
        ("    poll: 10\n    handler_time: 200ms", "handling of one poll's messages 2s + 1s for scheduling"),
    ],
)
def test_the_longest_pause_allowed_includes_how_late_positions_are_committed(other: str, term: str) -> None:
    facts = facts_of(plan(shown("stall: {}", other=other)))
    without = facts_of(plan(shown("stall: {}", other=other).replace("shows: commits", "shows: lines")))
    assert (facts.shows, without.shows) == ("commits", "lines")
    assert term in facts.pause_formula
    assert term not in without.pause_formula
    assert facts.pause_ns_derived - without.pause_ns_derived in {5_000_000_000, 2_000_000_000}


@pytest.mark.parametrize("kind", ["client_block: {}", "client_slow: {extra: 5ms}"])
def test_faults_on_the_handler_of_a_reference_consumer_are_refused(kind: str) -> None:
    name, _, options = kind.partition(": ")
    faults = f"faults:\n  - {name}: «{options}\n    on: {{worker: c0}}\n    at: 1s\n    for: 2s"
    assert "an application's handler is its own" in refused(text(other=faults))
    with pytest.raises(ScenarioError, match="application"):
        plan(text(other=faults.replace("«", "")))


def test_containers_are_refused_where_they_are_named() -> None:
    version = vocabulary().brokers["kafka"].aliases["kafka-4"].removeprefix("kafka-")
    named = text().replace("cluster: {nodes: 1}", f"cluster: {{nodes: 1, image: «'apache/kafka:{version}'}}")
    assert "applications run with processes alone so far" in refused(named)


def test_rocketmq_takes_none_yet() -> None:
    with pytest.raises(ScenarioError, match=r"unknown key 'application' in workload\.consumer"):
        plan(text(broker="rocketmq-5"))


def test_a_plan_without_one_has_the_digest_that_it_had() -> None:
    without = plan(BARE)
    assert application_of(without.workload.consumer) is None
    assert plan(text()).digest != without.digest
    assert plan(text()).digest != plan(text('["{python}", other.py]')).digest


def test_words_are_filled_in_once_and_braces_of_others_stay() -> None:
    words = {"member": "c0", "topic": "{member}"}
    filled = fill_in('{member} {{member}} {topic} {other} {"a": 1} {} {{}} {member', words)
    assert filled == 'c0 {member} {member} {other} {"a": 1} {} {} {member'


def test_a_nats_instance_gets_the_durables_of_its_own_partitions() -> None:
    found = plan(text('[app, "{durables}"]', broker="nats-2"))
    spec = vocabulary().brokers["nats"]
    assert broker_words(spec, found.cluster, found.workload, (1, 3))["durables"] == "partition-1,partition-3"


def test_the_directory_is_the_scenario_s_unless_another_is_named() -> None:
    made = Application(command=("x",), shows="lines")
    assert directory_of(made, "folder/apps.yaml") == Path("folder").absolute()
    below = Application(command=("x",), shows="lines", directory="sub")
    assert directory_of(below, "folder/apps.yaml") == Path("folder/sub").absolute()
    apart = Application(command=("x",), shows="lines", directory="/srv/app")
    assert directory_of(apart, "folder/apps.yaml") == Path("/srv/app")


def test_explain_shows_the_command_and_not_among_the_options() -> None:
    found = plan(text('["{python}", app.py, "{member}", "{report}"]', "    session_timeout: 6s"))
    assert "app.py" not in explain(found)
    shown = explain_application(found, lambda worker: {"member": worker})
    assert "c1          '{python}' app.py c1 '{report}'" in shown
    assert "once it has connected to {report}, within 60s" in shown
    assert explain_application(plan(BARE), lambda _: {}) == ""


def test_who_reads_a_partition_of_nats_is_known_unless_several_do() -> None:
    def owners(consumers: int) -> Mapping[int, str]:
        written = shown("stall: {}").replace("kafka-4", "nats-2").replace("consumers: 2", f"consumers: {consumers}")
        return facts_of(plan(written)).fixed_owners

    assert owners(2) == {0: "c0", 1: "c1", 2: "c0", 3: "c1"}
    assert owners(5) == {}, "four partitions are shared by five instances"


def test_explain_says_whose_word_a_verdict_rests_on() -> None:
    said = explain_application(plan(shown("stall: {}")), lambda _: {})
    assert "once its process runs, within 60s" in said
    assert "the broker's word on members and positions" in said
    assert "{report}" not in said


def test_every_word_says_what_it_stands_for() -> None:
    assert all(OWN_WORDS.values())
