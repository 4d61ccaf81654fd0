"""All benchmarks, one table: ratios measured side by side in one run. Tests never assert on any of it."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))  # support and brokers: what pytest adds by itself

from support.broker_profiles import profiles


def modules(names: Iterable[str]) -> Mapping[str, str]:
    """Return name → its module (``bench_<name>``), empty where there is none."""
    return {name: f"bench_{name}" if importlib.util.find_spec(f"bench_{name}") else "" for name in names}


def main() -> None:
    """Print every row as soon as it is measured: each broker's (``bench_<kind>.py``), then those of all of them."""
    for name, module in modules((*profiles(), "runs", "checks", "applications")).items():
        if not module:
            print(f"{name:<64}not measured: there is no bench_{name}.py", flush=True)
            continue
        for label, figure in importlib.import_module(module).rows():
            print(f"{label:<64}{figure}", flush=True)


if __name__ == "__main__":
    main()
