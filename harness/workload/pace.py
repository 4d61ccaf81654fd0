"""How often the monitor looks at each of its targets, so that evidence knows how many looks a time has room for."""

from __future__ import annotations

from typing import Final

from harness.clock import NS_PER_MS

PROBE_NS: Final = 150 * NS_PER_MS
"""It begins a round trip to each target so often, unless the last one takes longer."""
BULK_NS: Final = 250 * NS_PER_MS
"""It begins a bulk look so often, likewise."""
