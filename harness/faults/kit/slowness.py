"""Whether a fault made something take longer: compared with what it took before, and with what the same takes at the
same time through a control path.

A machine that slows down makes everything take longer, so that what was short before proves nothing alone. The control
path is a proxy to the same node, in the same Toxiproxy, that no fault touches: what the fault alone adds, it lacks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from harness.faults.base import Evidence, FaultContext, Sample
from harness.faults.kit.evidence import format_median, lack, median_ns, shortest_ns
from harness.faults.kit.lifetime import BASELINE_NS
from harness.units import format_ns

MANY = 10
"""Fewer round trips have no parts to compare."""


def slowed(
    context: FaultContext,
    link: str,
    names: tuple[str, str],
    since_ns: int,
    until_ns: int | None,
    least_ns: int,
    probe: str,
) -> Evidence:
    """Judge whether what a probe does took longer by ``least_ns`` at least than before the fault, and than through the
    control path while it acted.

    Args:
        context: Of the fault.
        link: The target.
        names: Of the probe, and of the one that does the same through the control path; that one is empty where there
            is none.
        since_ns: When the fault began to act, monotonic.
        until_ns: When it ended; None = until now.
        least_ns: What the fault adds at least.
        probe: What the probe does, in words.
    """
    name, control = names
    earlier = context.probes.samples(name, since_ns - BASELINE_NS, since_ns)
    later = context.probes.samples(name, since_ns, until_ns)
    beside = context.probes.samples(control, since_ns, until_ns) if control else ()
    during = median_ns(later)
    proven = longer(earlier, later, least_ns) and (not control or longer(beside, later, least_ns))
    not_slow = during is not None and during < least_ns
    looks = [earlier, later, *([beside] if control else [])]
    added, half = format_ns(least_ns), format_ns(least_ns // 2)
    observed = f"before {_format(earlier)}, during {_format(later)}"
    return Evidence(
        stage="effect",
        target=link,
        probe=probe,
        proven=proven,
        lacks="" if proven or not_slow else lack(*looks),
        observed=observed + (f", meanwhile through {control} {_format(beside)}" if control else ""),
        required=f"median ≥ {added} above that before{f' and that through {control}' if control else ''} (or: each ≥ "
        f"{added}, one of those ≤ {half}; or: nine in ten ≥ {added}, two in five of those ≤ {half}, of {MANY} or more "
        "each)",
    )


def longer(without: Sequence[Sample], during: Sequence[Sample], least_ns: int) -> bool:
    """Return whether round trips took longer by ``least_ns`` at least than those without the fault.

    On a busy machine those without it may be long as well. Then the short ones decide: all of them take at least as
    long as what is added, where one without it took at most half of it; or nine in ten do, where two in five without it
    did. Not all do where another fault changes the same link: Toxiproxy then lets through at once what is under way.
    """
    usual, now = median_ns(without), median_ns(during)
    if usual is None or now is None:
        return False
    if now - usual >= least_ns or _apart(shortest_ns(without), shortest_ns(during), least_ns):
        return True
    return apart_for_most(without, during, least_ns)


def _apart(without_ns: int | None, during_ns: int | None, least_ns: int) -> bool:
    """Return whether what takes at most half of what is added takes at least all of it."""
    return without_ns is not None and during_ns is not None and without_ns <= least_ns // 2 < least_ns <= during_ns


def apart_for_most(without: Sequence[Sample], during: Sequence[Sample], least_ns: int) -> bool:
    """Return whether nine in ten round trips take at least what is added, and two in five without the fault at most
    half of it.

    What else a machine does makes some round trips longer, and moves a median. The gap between the two parts keeps a
    machine that is as busy without the fault as with it from looking like it by chance.
    """
    usual = sorted(sample.length_ns for sample in without if sample.ok)
    now = sorted(sample.length_ns for sample in during if sample.ok)
    if min(len(usual), len(now)) < MANY:
        return False
    return _apart(usual[math.ceil(len(usual) * 2 / 5) - 1], now[len(now) // 10], least_ns)


def _format(samples: Sequence[Sample]) -> str:
    return format_median(median_ns(samples), shortest_ns(samples))
