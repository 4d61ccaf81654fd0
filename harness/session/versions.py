"""Refuses plans that name a version which does not exist, before anything of any of them is started.

Asks only about versions that are not in the cache, and takes no answer for none: a machine without network, or a list
that is not to be had, refuses nothing here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from harness.brokers.base import BROKERS
from harness.distributions.base import DISTRIBUTIONS, Distribution, entry_of, resolve
from harness.distributions.cache import Cache
from harness.distributions.fetch_errors import nearest_versions
from harness.errors import UsageError
from harness.scenario.model import Plan

_PLAIN = re.compile(r"\d+\.\d+\.\d+", re.ASCII)
"""Lists of releases name no others: of a release candidate they say nothing."""


def _released(kind: str) -> Sequence[str]:
    return DISTRIBUTIONS.get(kind).released()


def refuse_missing_versions(
    plans: Iterable[Plan], cache: Cache | None = None, released: Callable[[str], Sequence[str]] = _released
) -> None:
    """Raise UsageError, one sentence for each version that does not exist; blocks while lists are fetched.

    Args:
        plans: All of a session.
        cache: Where software is kept; None = the user's cache.
        released: Kind of software → its released versions; none where they cannot be found out.
    """
    cache = cache or Cache()
    wanted: dict[Distribution, Plan] = {}
    for plan in plans:
        bound = BROKERS.get(plan.broker_kind).bind(plan)
        for name in (plan.broker, *bound.client_libraries.values()):
            wanted.setdefault(resolve(name), plan)
    absent = [item for item in wanted.items() if cache.get(entry_of(item[0]))[0] is None]
    found = (_missing(distribution, plan, released(distribution.kind)) for distribution, plan in absent)
    said = [sentence for sentence in found if sentence]
    if said:
        raise UsageError("\n".join(said))


def _missing(distribution: Distribution, plan: Plan, released: Sequence[str]) -> str:
    """Return that a version does not exist; empty when it does, or when that cannot be found out."""
    kind, version = DISTRIBUTIONS.get(distribution.kind), distribution.version
    if not _PLAIN.fullmatch(version) or not released or version in released:
        return ""
    near = ", ".join(nearest_versions(version, released))
    return f"{plan.file}: there is no {kind.title} {version}; the nearest released versions are {near}"
