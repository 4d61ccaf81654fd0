"""All benchmarks, one table: ratios measured side by side in one run. Tests never assert on any of it."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))  # support and brokers: what pytest adds by itself

from support.broker_profiles import profiles


def main() -> None:
    """Print every row as soon as it is measured: each broker's (``bench_<kind>.py``), whole runs', checks'."""
    for name in (*profiles(), "runs", "checks"):
        for label, figure in importlib.import_module(f"bench_{name}").rows():
            print(f"{label:<64}{figure}", flush=True)


if __name__ == "__main__":
    main()
