"""Named baselines: which stored runs a name stands for. Must never compare them."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from harness.errors import NothingSelectedError, UsageError, nearest
from harness.suites.store import Store
from harness.verdict import Verdict

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedBaseline:
    """What a name stands for.

    Attributes:
        name: As given.
        runs, plans: How many runs of how many plans.
        oldest, newest: When the first and the last of them started, ISO 8601.
        saved: When it was named.
    """

    name: str
    runs: int
    plans: int
    oldest: str
    newest: str
    saved: str


def save(
    store: Store, name: str, *, last: int, scenarios: Sequence[str] = (), suites: Sequence[str] = (), replace: bool
) -> NamedBaseline:
    """Name the passing runs of each plan's last nights; return what the name stands for.

    Canaries, races, executions that were made again and regressions that were not accepted are no part of a baseline.

    Args:
        store: Open for writing.
        name: Letters, digits, ``.``, ``_`` and ``-``.
        last: How many nights of each plan, from 1.
        scenarios: Only these; empty for all.
        suites: Only the runs of these suites, by id; empty for all.
        replace: Whether a baseline of this name may be there already; it is replaced.

    Raises:
        UsageError: The name cannot be used, is taken, or a scenario or suite is not stored.
        NothingSelectedError: No passing run is meant.
    """
    if _NAME.fullmatch(name) is None:
        raise UsageError(f"{name!r} cannot name a baseline: use letters, digits, '.', '_' and '-', at most 64")
    if not replace and any(True for _ in store.select("SELECT 1 FROM baselines WHERE name = ?", (name,))):
        raise UsageError(f"there is a baseline {name!r} already", hint="--replace replaces it")
    for column, given in (("scenario", scenarios), ("suite_id", suites)):
        known = {row[0] for row in store.select(f"SELECT DISTINCT {column} FROM runs")}  # noqa: S608
        for word in given:
            if word not in known:
                what = "scenario" if column == "scenario" else "suite"
                raise UsageError(f"no run of {what} {word!r} is stored", hint=nearest(word, known))
    where, values = "", []
    for column, given in (("scenario", scenarios), ("suite_id", suites)):
        if given:
            where += f" AND {column} IN ({', '.join('?' for _ in given)})"
            values += list(given)
    # A night is a suite, or a run that no suite made. Its rank is that of its latest run, among those of the plan.
    chosen = (
        "WITH good AS (SELECT run_id, digest, runtime, started, coalesce(nullif(suite_id, ''), run_id) AS night "  # noqa: S608
        f"FROM runs WHERE outcome = ? AND must_fail = '[]' AND race = 0 AND counts = 1 AND regressed = 0{where}), "
        "nights AS (SELECT digest, runtime, night, row_number() OVER (PARTITION BY digest, runtime "
        "ORDER BY max(started) DESC, night DESC) AS place FROM good GROUP BY digest, runtime, night) "
        "SELECT ?, run_id, ? FROM good JOIN nights USING (digest, runtime, night) WHERE place <= ?"
    )
    saved = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    parameters = [Verdict.PASS.value, *values, name, saved, last]
    if not any(True for _ in store.select(chosen, parameters)):
        raise NothingSelectedError("no stored run that passed is meant, so there is nothing to name")
    store.change(
        [
            ("DELETE FROM baselines WHERE name = ?", (name,)),
            (f"INSERT INTO baselines (name, run_id, saved) {chosen}", parameters),
        ]
    )
    return next(item for item in names(store) if item.name == name)


def accept(store: Store, scenarios: Sequence[str]) -> int:
    """Take the regressions of these scenarios as normal from now on; return how many runs that makes comparable.

    Raises:
        UsageError: A scenario is not stored.
    """
    known = {row[0] for row in store.select("SELECT DISTINCT scenario FROM runs")}
    for word in scenarios:
        if word not in known:
            raise UsageError(f"no run of scenario {word!r} is stored", hint=nearest(word, known))
    return store.change(
        ("UPDATE runs SET regressed = 0 WHERE regressed = 1 AND scenario = ?", (word,)) for word in scenarios
    )


def names(store: Store) -> list[NamedBaseline]:
    """Return every named baseline, by name."""
    rows = store.select(
        "SELECT name, count(*) AS runs, count(DISTINCT digest || runtime) AS plans, min(started) AS oldest, "
        "max(started) AS newest, max(saved) AS saved FROM baselines JOIN runs USING (run_id) "
        "GROUP BY name ORDER BY name"
    )
    return [NamedBaseline(**dict(row)) for row in rows]


def remove(store: Store, name: str) -> None:
    """Take a name away; its runs stay in the store.

    Raises:
        UsageError: There is no such baseline.
    """
    if not store.change([("DELETE FROM baselines WHERE name = ?", (name,))]):
        raise UsageError(
            f"there is no baseline {name!r} in {store.path}", hint=nearest(name, [item.name for item in names(store)])
        )
