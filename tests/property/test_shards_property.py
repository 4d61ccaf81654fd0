"""Shards are a partition of the suite, equal on every machine, balanced within the heaviest group."""

from __future__ import annotations

from pathlib import Path
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from support.suite_samples import generated
from support.suite_shards import split

from harness.suites.merge import Part, merge
from harness.suites.shards import Share, shard_of, together

OUT = Path("out")
QUICK = settings(max_examples=50, deadline=None)


@st.composite
def suites(draw: st.DrawFn) -> list[Share]:
    """Draw a suite: single runs, repeated ones, races, and canaries with twins, some of which are races."""
    shares: list[Share] = []
    for number in range(draw(st.integers(0, 12))):
        base = f"s{number}"
        names = [base, *(f"{base}-twin{end}" for end in draw(st.sets(st.sampled_from(["", "-a", "-b"]))))]
        for name in names:
            runs = draw(st.integers(1, 3))
            race = (runs, 1) if draw(st.booleans()) else None
            weight = draw(st.integers(0, 50) | st.integers(0, 10**15))
            shares += [
                Share(
                    key=f"gate/{name}.yaml@auto#{repetition}",
                    digest=name,
                    scenario=name,
                    must_fail=("loss",) if name == base and len(names) > 1 else (),
                    attempts=race,
                    repetition=repetition,
                    weight=weight,
                )
                for repetition in range(1, runs + 1)
            ]
    return shares


@QUICK
@given(suites(), st.integers(1, 20), st.randoms(use_true_random=False))
def test_shards_are_a_balanced_partition_on_which_all_machines_agree(
    shares: list[Share], total: int, random: Random
) -> None:
    shards = [shard_of(shares, index, total) for index in range(1, total + 1)]
    assert sorted(key for shard in shards for key in shard) == sorted(share.key for share in shares)

    otherwise = list(shares)
    random.shuffle(otherwise)
    assert [shard_of(otherwise, index, total) for index in range(1, total + 1)] == shards

    weight = {share.key: share.weight for share in shares}
    loads = [sum(weight[key] for key in shard) for shard in shards]
    heaviest = max((sum(share.weight for share in group) for group in together(shares).values()), default=0)
    assert max(loads) - min(loads) <= heaviest


@QUICK
@given(suites(), st.integers(1, 20))
def test_a_race_stays_whole_and_a_canary_stays_with_its_twins(shares: list[Share], total: int) -> None:
    shard = {key: index for index in range(1, total + 1) for key in shard_of(shares, index, total)}
    for share in shares:
        for other in shares:
            one_race = share.attempts is not None and share.digest == other.digest
            of_one_canary = (
                bool(share.must_fail)
                and other.scenario.startswith(f"{share.scenario}-twin")
                and share.repetition == other.repetition
            )
            if one_race or of_one_canary:
                assert shard[share.key] == shard[other.key], (share.key, other.key)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 8), st.integers(1, 5), st.integers(0, 10**6), st.data())
def test_merging_is_a_join(count: int, total: int, seed: int, data: st.DataObject) -> None:
    """Shards merge to the whole in any order and grouping, each of them any number of times."""
    whole = generated(count, seed)
    parts = [Part(folder=OUT, suite=shard) for shard in split(whole, total)]
    merged = merge(parts, OUT).suite
    assert merged.entries == whole.entries
    assert merged.exit_code == whole.exit_code
    groups = data.draw(st.lists(st.lists(st.sampled_from(parts), min_size=1, max_size=4), max_size=4))
    again = [*(Part(folder=OUT, suite=merge(group, OUT).suite) for group in groups), *parts]
    assert merge(data.draw(st.permutations(again)), OUT).suite == merged
