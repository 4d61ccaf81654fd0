"""How much the store holds, which days are meant, and removing what is old."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

from harness.errors import UsageError
from harness.suites.store import Store
from harness.suites.tables import MIGRATIONS
from harness.units import BYTES


def census(store: Store) -> Iterator[str]:
    """Yield what ``harness store info`` shows, line by line."""
    (row,) = store.select(
        "SELECT count(*) AS runs, count(DISTINCT nullif(suite_id, '')) AS suites, count(DISTINCT digest) AS plans, "
        "coalesce(min(started), '') AS oldest, coalesce(max(started), '') AS newest FROM runs"
    )
    yield f"store     {store.path}"
    yield f"version   {len(MIGRATIONS)}, sound"
    yield f"size      {BYTES.brief(store.path.stat().st_size)}"
    yield f"runs      {row['runs']:,} of {row['plans']:,} plans, in {row['suites']:,} suites"
    if row["runs"]:
        yield f"started   {row['oldest']} to {row['newest']}"
    for named in store.select("SELECT name, count(*) AS runs FROM baselines GROUP BY name ORDER BY name"):
        yield f"baseline  {named['name']}: {named['runs']:,} runs"


def prune(store: Store, before: str) -> int:
    """Remove the runs that started before a day, except those of named baselines; return how many.

    Raises:
        UsageError: ``before`` is no date.
    """
    removed = store.change(
        [
            (
                "DELETE FROM runs WHERE started < ? AND run_id NOT IN (SELECT run_id FROM baselines)",
                (since_day(before, today=datetime.now(UTC).date()),),
            )
        ]
    )
    store.compact()
    return removed


def since_day(text: str, *, today: date) -> str:
    """Return the day that ``2026-03-14`` or ``7d`` (seven days ago) means, as ISO 8601.

    Raises:
        UsageError: It is neither.
    """
    if text.endswith("d") and text[:-1].isascii() and text[:-1].isdigit():
        days = int(text[:-1])
        return (today - timedelta(days=min(days, today.toordinal() - 1))).isoformat()
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError as error:
        raise UsageError(f"{text!r} is not a day: write 2026-03-14, or 7d for seven days ago") from error
