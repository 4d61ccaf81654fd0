"""contiguous: a check of a third party. Tinylog promises offsets without a gap."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from harness.plugin_api.check import (
    CHECKS,
    CheckResult,
    Finding,
    History,
    Measure,
    ResultBuilder,
    capped,
    or_default,
    plural,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContiguousLimits:
    """Limits of ``contiguous``.

    Attributes:
        gaps_max: Offsets that may be missing between the first and the last stored message; 0 unless given.
        examined_min: Stored messages below which nothing is concluded.
    """

    gaps_max: int | None = field(default=None, metadata={"minimum": 0})
    examined_min: int | None = field(default=None, metadata={"minimum": 0})


class ContiguousCheck:
    """See ``guarantee``."""

    name = "contiguous"
    guarantee = "Between the first and the last message of a log, no offset is missing."
    blind_spots = "It sees what the audit has read; whether the log begins where it should is not its question."
    limits = ContiguousLimits
    findings: Mapping[str, str] = {"gap": "offsets are missing between two stored messages"}

    def judge(self, history: History, limits: ContiguousLimits) -> CheckResult:
        """Judge the guarantee; without a limit, no gap is allowed."""
        stored = history.index.stored
        result = ResultBuilder(int(stored.offset.size), "stored messages")
        found = []
        for partition in np.unique(stored.partition).tolist():
            offsets = np.unique(stored.offset[stored.partition == partition])
            missing = int(offsets[-1] - offsets[0] + 1 - offsets.size)
            if missing:
                first = int(offsets[:-1][np.diff(offsets) > 1][0])
                message = f"partition {partition} lacks {plural(missing, 'offset')}: the first one behind {first}"
                found.append(
                    Finding(
                        type="gap",
                        message=message,
                        start_ns=0,
                        end_ns=0,
                        partition=partition,
                        metric="gaps_max",
                        amount=missing,
                    )
                )
        total = sum(int(finding.amount) for finding in found)
        result.measured["gaps_max"] = Measure.exact(total)
        result.measures = {"gaps": total}
        result.findings = capped(found)
        return result.conclude(self.name, or_default(limits, gaps_max=0))


CHECKS.register("contiguous")(ContiguousCheck())
