"""nats-py: any released version of the Python client of NATS."""

from __future__ import annotations

from pathlib import Path

from harness.distributions.base import DISTRIBUTIONS
from harness.distributions.python_packages import PythonPackage

NATS_PY = DISTRIBUTIONS.register("nats-py")(
    PythonPackage(
        kind="nats-py",
        title="nats-py",
        tells_version="import nats.js; from importlib import metadata; print(metadata.version('nats-py'))",
        lock=Path(__file__).with_name("wheels.lock"),
    )
)
