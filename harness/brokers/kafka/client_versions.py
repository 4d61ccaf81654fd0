"""confluent-kafka: any released version of the Python client of Kafka that has a wheel for this Python and platform."""

from __future__ import annotations

from pathlib import Path

from harness.distributions.base import DISTRIBUTIONS
from harness.distributions.python_packages import PythonPackage

CONFLUENT_KAFKA = DISTRIBUTIONS.register("confluent-kafka")(
    PythonPackage(
        kind="confluent-kafka",
        title="confluent-kafka",
        # Before 2.12 version() is a pair: the text and a number.
        tells_version="import confluent_kafka as c; v = c.version(); print(v if isinstance(v, str) else v[0])",
        lock=Path(__file__).with_name("wheels.lock"),
    )
)
