"""Which shard takes which run, and what the variables of CI systems say."""

from __future__ import annotations

import pytest

from harness.errors import UsageError
from harness.suite_result import Cost
from harness.suites.shards import Share, parse_shard, shard_of, together, weight_of


def _share(name: str, weight: int, repetition: int = 1, **of_plan: object) -> Share:
    return Share(
        key=f"{name}.yaml@auto#{repetition}",
        digest=name,
        scenario=name,
        repetition=repetition,
        weight=weight,
        **of_plan,  # type: ignore[arg-type]
    )


def test_the_heaviest_goes_first_to_the_shard_that_has_least() -> None:
    shares = [_share("a", 5), _share("b", 4), _share("c", 3), _share("d", 3), _share("e", 1)]
    assert shard_of(shares, 1, 2) == ("a.yaml@auto#1", "d.yaml@auto#1")
    assert shard_of(shares, 2, 2) == ("b.yaml@auto#1", "c.yaml@auto#1", "e.yaml@auto#1")


def test_runs_without_weight_spread_by_number() -> None:
    shares = [_share(name, 0) for name in "abcd"]
    assert [len(shard_of(shares, index, 2)) for index in (1, 2)] == [2, 2]


def test_more_shards_than_runs_leave_some_empty() -> None:
    assert [shard_of([_share("a", 5)], index, 3) for index in (1, 2, 3)] == [("a.yaml@auto#1",), (), ()]


def test_repetitions_of_a_canary_and_its_twin_pair_up_and_those_of_a_race_stay_whole() -> None:
    shares = [
        share
        for repetition in (1, 2)
        for share in (
            _share("bad", 5, repetition, must_fail=("loss",)),
            _share("bad-twin", 5, repetition),
            _share("race", 5, repetition, attempts=(2, 1)),
            _share("plain", 5, repetition),
            _share("alone", 5, repetition, must_fail=("loss",)),
        )
    ]
    assert sorted(sorted(share.key for share in group) for group in together(shares).values()) == [
        ["alone.yaml@auto#1"],
        ["alone.yaml@auto#2"],
        ["bad-twin.yaml@auto#1", "bad.yaml@auto#1"],
        ["bad-twin.yaml@auto#2", "bad.yaml@auto#2"],
        ["plain.yaml@auto#1"],
        ["plain.yaml@auto#2"],
        ["race.yaml@auto#1", "race.yaml@auto#2"],
    ]


def test_a_run_weighs_its_cores_for_as_long_as_it_takes() -> None:
    cost = Cost(
        cores=0.65,
        memory_bytes=1,
        wall_ns=20_000_000_000,
        disk_bytes=1,
        ports=1,
        measures_machine=False,
        source="formula",
    )
    assert weight_of(cost) == 650 * 20_000_000_000


@pytest.mark.parametrize(
    ("environment", "shard"),
    [
        ({"CI_NODE_INDEX": "1", "CI_NODE_TOTAL": "4"}, "1/4"),
        ({"CI_NODE_INDEX": "4", "CI_NODE_TOTAL": "4"}, "4/4"),
        ({"CI_NODE_TOTAL": "1"}, "1/1"),  # a GitLab job without `parallel`
        ({"HARNESS_JOB_INDEX": "0", "HARNESS_JOB_TOTAL": "4"}, "1/4"),
        ({"HARNESS_JOB_INDEX": "3", "HARNESS_JOB_TOTAL": "4"}, "4/4"),
        ({"JOB_COMPLETION_INDEX": "0", "HARNESS_JOB_COMPLETIONS": "4"}, "1/4"),
        ({"JOB_COMPLETION_INDEX": "3", "HARNESS_JOB_COMPLETIONS": "4"}, "4/4"),
        # A runner of GitLab may start a Kubernetes job of its own: the same shard twice is no contradiction.
        (
            {
                "CI_NODE_INDEX": "2",
                "CI_NODE_TOTAL": "4",
                "JOB_COMPLETION_INDEX": "1",
                "HARNESS_JOB_COMPLETIONS": "4",
            },
            "2/4",
        ),
        ({"CI_NODE_TOTAL": "1", "HARNESS_JOB_INDEX": "2", "HARNESS_JOB_TOTAL": "4"}, "3/4"),
    ],
)
def test_auto_counts_as_each_system_does(environment: dict[str, str], shard: str) -> None:
    assert str(parse_shard("auto", environment)) == shard


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({}, r"finds no variables.*\n.*CI_NODE_INDEX and CI_NODE_TOTAL \(GitLab\)"),
        ({"CI_NODE_INDEX": "1"}, r"CI_NODE_TOTAL=\(not set\)\n.*GitLab: CI_NODE_TOTAL must be set"),
        ({"CI_NODE_TOTAL": "4"}, r"CI_NODE_INDEX=\(not set\), CI_NODE_TOTAL=4\n.*GitLab: CI_NODE_INDEX must be set"),
        ({"JOB_COMPLETION_INDEX": "0"}, "Kubernetes: HARNESS_JOB_COMPLETIONS must be set"),
        ({"CI_NODE_INDEX": "0", "CI_NODE_TOTAL": "4"}, "0 is out of range: 4 shards count from 1 to 4"),
        ({"HARNESS_JOB_INDEX": "4", "HARNESS_JOB_TOTAL": "4"}, "4 is out of range: 4 shards count from 0 to 3"),
        ({"HARNESS_JOB_INDEX": "one", "HARNESS_JOB_TOTAL": "4"}, "must be whole numbers"),
        ({"HARNESS_JOB_INDEX": "-1", "HARNESS_JOB_TOTAL": "4"}, "must be whole numbers"),
        ({"HARNESS_JOB_INDEX": "0", "HARNESS_JOB_TOTAL": "0"}, "must be from 1 to 10000, not 0"),
        (
            {
                "CI_NODE_INDEX": "1",
                "CI_NODE_TOTAL": "4",
                "JOB_COMPLETION_INDEX": "1",
                "HARNESS_JOB_COMPLETIONS": "4",
            },
            "disagree: CI_NODE_INDEX=1, CI_NODE_TOTAL=4 is shard 1/4; JOB_COMPLETION_INDEX=1.* is shard 2/4",
        ),
    ],
)
def test_auto_refuses_what_does_not_name_one_shard(environment: dict[str, str], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        parse_shard("auto", environment)


def test_a_shard_is_named_from_one() -> None:
    assert str(parse_shard("2/4", {"CI_NODE_INDEX": "1"})) == "2/4"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("0/4", "0 is out of range: 4 shards count from 1 to 4"),
        ("5/4", "5 is out of range"),
        ("1/0", "must be from 1 to 10000, not 0"),
        ("1/10001", "must be from 1 to 10000, not 10001"),
        ("2", "takes I/N or auto, not '2'"),
        ("a/b", "takes I/N or auto"),
        ("²/4", "takes I/N or auto"),
        ("Auto", "takes I/N or auto"),
    ],
)
def test_a_shard_that_does_not_exist_is_refused(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        parse_shard(text, {})
