"""From the items of a suite to those of one shard, with what every shard must agree on.

Owns by which costs shards are drawn: by the formula, or by a file that all machines share. Must never read what this
machine has recorded, because another machine has recorded something else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from harness.errors import UsageError
from harness.suite_result import PlannedRun, plan_digest
from harness.suites.cost_file import GivenCosts, cost_digest
from harness.suites.formula import formula
from harness.suites.item import SuiteItem
from harness.suites.rules import SuiteHead
from harness.suites.shards import Shard, Share, shards_of, weight_of

_NAMED_MAX = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """One shard of a suite.

    Attributes:
        shard: Which one.
        items: Those of this shard, in the order of the suite; none, where there are fewer runs than shards.
        planned, plan_digest, cost_digest: Of the whole suite, as in ``SuiteResult``.
    """

    shard: Shard
    items: tuple[SuiteItem, ...]
    planned: tuple[PlannedRun, ...]
    plan_digest: str
    cost_digest: str


def draw(items: Sequence[SuiteItem], shard: Shard, given: GivenCosts | None = None) -> Drawn:
    """Return one shard of a suite; every machine that has equal items and equal given costs draws the same.

    Args:
        items: Of the whole suite.
        shard: Which one is wanted.
        given: Costs that all machines share; the formula takes the place of those that are not among them.

    Raises:
        UsageError: A seed was drawn at random, so no other machine has the same plans.
    """
    _require_seeds(items)
    costs = {
        item.key: (given and given.of(item.plan, item.runtime)) or formula(item.plan, item.runtime) for item in items
    }
    number = shards_of((_share(item, weight_of(costs[item.key])) for item in items), shard.total)
    return Drawn(
        shard=shard,
        items=tuple(item for item in items if number[item.key] == shard.index),
        planned=tuple(PlannedRun(key=item.key, digest=item.plan.digest, shard=number[item.key]) for item in items),
        plan_digest=plan_digest((item.key, item.plan.digest) for item in items),
        cost_digest=cost_digest(costs),
    )


def head_of(head: SuiteHead, drawn: Drawn) -> SuiteHead:
    """Return the head of a suite that is one shard of it."""
    return replace(
        head,
        shard=str(drawn.shard),
        planned=drawn.planned,
        plan_digest=drawn.plan_digest,
        cost_digest=drawn.cost_digest,
    )


def _share(item: SuiteItem, weight: int) -> Share:
    plan = item.plan
    return Share(
        key=item.key,
        digest=plan.digest,
        scenario=plan.scenario,
        must_fail=plan.must_fail,
        attempts=(plan.attempts.runs, plan.attempts.at_least) if plan.attempts is not None else None,
        repetition=item.repetition,
        weight=weight,
    )


def _require_seeds(items: Sequence[SuiteItem]) -> None:
    drawn = list(dict.fromkeys(item.file for item in items if item.selected.seed_drawn))
    if drawn:
        more = f" and {len(drawn) - _NAMED_MAX} more" if len(drawn) > _NAMED_MAX else ""
        named = ", ".join(drawn[:_NAMED_MAX]) + more
        raise UsageError(
            f"--shard: {named}: its seed is random, so machines would draw different plans",
            hint="give it a seed, or all shards the same --seed (the number of the pipeline)",
        )
