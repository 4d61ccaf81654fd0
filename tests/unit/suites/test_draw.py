"""The shipped scenarios, drawn into shards as each of several machines does it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.session.selection import select
from harness.suites.cost_file import GivenCosts
from harness.suites.draw import Drawn, draw
from harness.suites.formula import cost_key, formula
from harness.suites.item import SuiteItem, items_of
from harness.suites.shards import Shard, weight_of

ROOT = Path(__file__).parents[3]


def _items() -> list[SuiteItem]:
    return items_of(select([ROOT / "scenarios"]), ["process"], 1)


def _drawn(items: list[SuiteItem], total: int, given: GivenCosts | None = None) -> list[Drawn]:
    return [draw(items, Shard(index=index, total=total), given) for index in range(1, total + 1)]


def test_four_machines_share_the_shipped_scenarios() -> None:
    items = _items()
    shards = _drawn(items, 4)
    assert sorted(item.key for one in shards for item in one.items) == sorted(item.key for item in items)
    assert {one.planned for one in shards} == {shards[0].planned}
    assert len({(one.plan_digest, one.cost_digest) for one in shards}) == 1
    for one in shards:
        assert [run.key for run in one.planned if run.shard == one.shard.index] == [item.key for item in one.items]
    loads = [sum(weight_of(formula(item.plan, item.runtime)) for item in one.items) for one in shards]
    assert max(loads) < 1.2 * min(loads)


def test_costs_that_all_machines_share_decide_and_stand_in_the_digest() -> None:
    items = _items()
    heaviest = items[3]
    cost = replace(formula(heaviest.plan, "process"), wall_ns=10**15, source="given")
    given = GivenCosts(costs={(cost_key(heaviest.plan), "process"): cost})
    (with_it,) = [one for one in _drawn(items, 4, given) if heaviest in one.items]
    assert {cost_key(item.plan) for item in with_it.items} == {cost_key(heaviest.plan)} or len(with_it.items) < 4
    assert with_it.cost_digest != _drawn(items, 4)[0].cost_digest
    assert with_it.plan_digest == _drawn(items, 4)[0].plan_digest


def test_more_machines_than_runs_leave_some_without_one() -> None:
    items = [item for item in _items() if "/gate/" in item.file][:2]
    assert sorted(len(one.items) for one in _drawn(items, 3)) == [0, 1, 1]


def test_a_seed_that_is_drawn_at_random_is_refused() -> None:
    items = _items()
    drawn = replace(items[0], selected=replace(items[0].selected, seed_drawn=True))
    with pytest.raises(UsageError, match=r"--shard: \S+\.yaml: its seed is random") as caught:
        draw([drawn, *items[1:]], Shard(index=1, total=2))
    assert "--seed" in caught.value.hint


def test_a_selection_knows_which_seeds_were_drawn(tmp_path: Path) -> None:
    text = (ROOT / "scenarios" / "gate" / "latency.yaml").read_text(encoding="utf-8")
    file = tmp_path / "latency.yaml"
    file.write_text(text.replace("seed: 1729", "seed: random"), "utf-8")
    assert [one.seed_drawn for one in select([file])] == [True]
    assert [one.seed_drawn for one in select([file], seed=7)] == [False]
    file.write_text(text, "utf-8")
    assert [one.seed_drawn for one in select([file])] == [False]
