"""Kafka as an image, and how ``apache/kafka`` is laid out since 3.7."""

from __future__ import annotations

from harness.brokers.kafka.distribution import KAFKA
from harness.distributions.image_base import recipes
from harness.distributions.image_java import JavaImage, OfficialJavaImage
from harness.distributions.images import IMAGES

KAFKA_IMAGE = JavaImage(
    software=KAFKA,
    recipe=recipes() / "kafka",
    home="/opt/kafka",
    official_layout=OfficialJavaImage(java="/opt/java/openjdk/bin/java", jars="/opt/kafka/libs", head=r"^"),
)
IMAGES.register("kafka")(KAFKA_IMAGE)
