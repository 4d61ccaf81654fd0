"""RocketMQ as an image."""

from __future__ import annotations

from harness.brokers.rocketmq.distribution import ROCKETMQ
from harness.distributions.image_base import recipes
from harness.distributions.image_java import JavaImage
from harness.distributions.images import IMAGES

ROCKETMQ_IMAGE = JavaImage(software=ROCKETMQ, recipe=recipes() / "rocketmq", home="/opt/rocketmq")
IMAGES.register("rocketmq")(ROCKETMQ_IMAGE)
