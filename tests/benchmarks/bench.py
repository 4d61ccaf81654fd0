"""All benchmarks, one table: ratios measured side by side in one run. Tests never assert on any of it."""

from __future__ import annotations

import bench_checks
import bench_kafka
import bench_nats
import bench_runs


def main() -> None:
    """Print every row as soon as it is measured."""
    for module in (bench_nats, bench_kafka, bench_runs, bench_checks):
        for label, figure in module.rows():
            print(f"{label:<64}{figure}", flush=True)


if __name__ == "__main__":
    main()
