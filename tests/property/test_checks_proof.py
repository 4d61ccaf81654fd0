"""A sample of the proof of the checks (``proofs.checks``): valid runs, every mutation, references that agree.

The seeds are fixed, so that a failure is the change's and not the draw's; the long proof takes many more.
"""

from __future__ import annotations

import dataclasses
import importlib
import random
from collections import Counter

import pytest
from support.history_builder import HistoryBuilder, facts
from support.stories.mutations import GROUPS, MUTATIONS, Mutation
from support.stories.proving import are_counted, attempt, false_findings, groundless, is_judged, judged, reference
from support.stories.story import MS, Story
from support.stories.valid import CUT_MAX, PROTOCOLS, cut_off, valid

from harness.checks.base import CHECKS
from harness.history.events import LockEvent, WorkerEvent
from harness.history.read import History
from harness.history.record import SEQ_BITS, Outcome

VALID = 150
TRIES = 150
ENOUGH = 4
"""Of each mutation so many are applied, of at most ``TRIES`` runs."""


def _story(seed: int) -> Story:
    return valid(random.Random(f"sample {seed}"))


@pytest.mark.parametrize("part", range(3))
def test_no_check_finds_fault_with_a_valid_run(part: int) -> None:
    for seed in range(part, VALID, 3):
        assert not false_findings(_story(seed)), seed


def test_no_reference_finds_fault_with_a_valid_run() -> None:
    checks = sorted({mutation.check for mutation in MUTATIONS})
    for seed in range(40):
        history = _story(seed).history()
        for check in checks:
            found = {kind: names for kind, names in reference(check, history).items() if names}
            assert not found, (seed, check)


@pytest.mark.parametrize("mutation", [item for item in MUTATIONS if is_judged(item)], ids=lambda item: str(item.name))
def test_a_mutation_is_found_named_and_by_no_other_check(mutation: Mutation) -> None:
    applied = 0
    for seed in range(TRIES):
        tried = attempt(mutation, seed)
        applied += tried.applicable
        assert not tried.wrong
        if applied == ENOUGH:
            return
    pytest.fail(f"{mutation.name} was applicable {applied} times in {TRIES} runs")


@pytest.mark.parametrize(
    ("name", "seed"),
    [
        ("read before the commit", 36),  # four messages of one transaction; a finding has room for three
        ("read without a commit", 43),
        ("swap in an epoch", 123),  # five messages out of order
        ("swap", 31),  # what came sooner came before the commit of its transaction
        ("lose a delivery", 49),
        ("swap in an epoch", 189),
        ("duplicate delivered", 86),  # retention had removed its own place, and nothing explains the further one
        ("lose the log", 0),  # what was acknowledged went with the log
        ("freeze", 18),  # a send had no answer all the while
        ("freeze", 38),  # the commit was due long before it was asked for, and then it was refused
        ("starve", 19),
        ("slow down", 274),  # two messages were processed last, at the same time
        ("second thread", 45),  # the only message of the timeline was processed after it
    ],
)
def test_what_a_mutation_breaks_as_well_is_what_the_references_say(name: str, seed: int) -> None:
    """Runs in which the proof once took a right finding for a wrong one, or for one that named something else."""
    tried = attempt(next(item for item in MUTATIONS if item.name == name), seed)
    assert tried.applicable
    assert not tried.wrong


def test_the_longest_cut_right_after_a_death_is_valid() -> None:
    """A dead member's session ends during the cut, and the others take over in time once it is over."""
    deaths = 0
    for seed in range(120):
        story = valid(random.Random(f"death {seed}"), GROUPS[seed % len(GROUPS)])
        killed = [event.t for event in story.events if isinstance(event, WorkerEvent) and event.state == "killed"]
        if killed and not story.cuts and not story.stalls:
            cut_off(story, killed[0] + MS, CUT_MAX)
            assert not false_findings(story), seed
            deaths += 1
    assert deaths > 20


def _swapped(seed: int) -> tuple[Mutation, History]:
    mutation = next(item for item in MUTATIONS if item.name == "swap")
    rng = random.Random(f"{mutation.name} {seed}")
    story = valid(rng).copy()
    assert mutation.change(story, rng)
    return mutation, story.history()


def test_a_check_that_the_mutation_does_not_name_is_loud_though_it_is_right() -> None:
    mutation, history = _swapped(31)
    assert not groundless(mutation, judged(history), history)
    silent = dataclasses.replace(mutation, also=mutation.also - {"transactions"})
    (said,) = groundless(silent, judged(history), history)
    assert "transactions has early-read, and the mutation does not name it" in said


@pytest.mark.parametrize("check", ["transactions", "order"])
def test_a_finding_that_the_reference_lacks_is_loud(check: str) -> None:
    """Also one of the very check that must find something."""
    mutation, history = _swapped(31)
    results = judged(history)
    finding = dataclasses.replace(results[check].findings[0], operations=())
    results[check] = dataclasses.replace(results[check], findings=(finding,))
    (said,) = groundless(mutation, results, history)
    assert f"{check} has {finding.type}, and its reference has nothing of it" in said


def test_a_finding_stands_for_what_it_does_not_name_only_where_it_counts_everything() -> None:
    mutation = next(item for item in MUTATIONS if item.name == "read without a commit")
    rng = random.Random(f"{mutation.name} 43")
    story = valid(rng, in_transactions=True).copy()
    mutation.change(story, rng)
    history = story.history()
    violated = reference("transactions", history)["early-read"]
    (finding,) = judged(history)["transactions"].findings
    assert len(violated) == finding.amount == 4
    assert are_counted([finding], violated)
    assert not are_counted([dataclasses.replace(finding, amount=3)], violated)
    assert not are_counted([dataclasses.replace(finding, operations=finding.operations[:2])], violated)


def test_the_reference_of_order_names_what_was_passed_over_and_only_delivered() -> None:
    """Its send was not acknowledged, and no audit found it: another owner was given it there later."""
    lines = ["p0.1 1 send 0/0 p0", "p0.1 2 ok 0/0 @0", "p0.1 3 send 0/1 p0", "p0.1 5 send 0/2 p0", "p0.1 6 ok 0/2 @2"]
    lines += ["c0.1 10 got 0/0 p0 @0", "c0.1 12 got 0/2 p0 @2", "c1.1 20 got 0/1 p0 @1"]
    history = HistoryBuilder(facts(settling={"positions": True})).lines(lines).history()
    assert reference("order", history)["skip"] == {"0/1'1"}


def test_every_check_is_mutated_and_has_a_reference() -> None:
    mutated = {mutation.check for mutation in MUTATIONS}
    assert mutated >= set(CHECKS.names())
    for check in mutated:
        assert callable(importlib.import_module(f"support.references.{check}").violations)


def test_every_finding_has_a_mutation_or_a_reason() -> None:
    """What has none is found in the corpus only, and stands here, so that a new finding is not forgotten."""
    found = {(mutation.check, mutation.finding) for mutation in MUTATIONS}
    without = {(name, kind) for name, check in CHECKS.items() for kind in check.findings} - found
    told = {check for check, kind in found if kind == "*"}
    # By cause, by configuration, by limits that a scenario has to give, or by what a valid run has not: messages that
    # are not audited, headers of batches, workers that read, process and write (test_checks_transactions has those).
    known = {("loss", "missing"), ("duplicates", "epoch-copy"), ("duplicates", "redelivered-often")}
    known |= {("rebalances", "skewed"), ("rebalances", "many-moves")}
    known |= {("transactions", f"output-{word}") for word in ("missing", "copy", "uncommitted", "unfounded")}
    assert {(check, kind) for check, kind in without if check not in told and not kind.endswith("-pause")} <= known


def test_valid_runs_have_everything_that_may_legally_happen() -> None:
    seen: Counter[str] = Counter()
    for seed in range(200):
        story = _story(seed)
        seen.update(_of_run(story))
        seen.update(f"transaction {one.outcome.name}" for one in story.transactions)
        seen.update("cut short" for one in story.transactions if not one.steps)
        seen.update(
            "refused within" for one in story.transactions for item in one.members if item.outcome != one.outcome
        )
        for message in story.messages:
            seen[message.outcome.name] += 1
            seen["told nothing"] += message.ok and message.told < 0
            seen["restart"] += message.seq >> SEQ_BITS > 0
            seen["delayed"] += message.due >= 0
            seen["again"] += len(story.of(message)) > 1
    missing = {
        *("OK", "FAIL", "UNKNOWN", "told nothing", "restart", "delayed", "again", "failed handler"),
        *(
            "acks",
            "none",
            "eager",
            "cooperative",
            "locks",
            "crash",
            "lock",
            "machine stall",
            "cut",
            "torn",
            "retention",
        ),
        *("transaction OK", "transaction FAIL", "transaction UNKNOWN", "cut short", "refused within"),
        *("commit UNKNOWN", "commit FAIL", "commit OK", "taken over", "ack unknown", "member returned"),
    } - {name for name, count in seen.items() if count}
    assert not missing


def _of_run(story: Story) -> list[str]:
    settling, group = story.facts.settling, story.facts.group
    found = [f"commit {commit.outcome.name}" for commit in story.commits]
    if group is None:
        found.append("none" if settling.on_delivery else "acks")
    else:
        found.append("locks" if group.lock_ns else "eager" if group.eager else "cooperative")
    members = [event for event in story.events if isinstance(event, WorkerEvent) and event.role == "consumer"]
    states = {event.state for event in members}
    starts = [event.incarnation for event in members]
    found += ["crash"] if "killed" in states else []
    found += ["member returned"] if any(incarnation > 1 for incarnation in starts) else []
    found += ["lock"] if any(isinstance(event, LockEvent) for event in story.events) else []
    found += ["machine stall"] if story.stalls else []
    found += ["cut"] if story.cuts else []
    found += ["torn"] if story.torn else []
    found += ["retention"] if story.first_offset else []
    found += ["failed handler"] if any(item.failed for item in story.deliveries) else []
    found += ["ack unknown"] if any(item.ack is Outcome.UNKNOWN for item in story.deliveries) else []
    partitions = range(story.facts.partitions)
    owners = [[event.worker for event in story.assignments(partition)] for partition in partitions]
    return found + (["taken over"] if any(len(set(names)) > 1 for names in owners) else [])


def test_every_protocol_is_drawn() -> None:
    assert {valid(random.Random(seed), protocol).facts.settling for seed, protocol in enumerate(PROTOCOLS)}
