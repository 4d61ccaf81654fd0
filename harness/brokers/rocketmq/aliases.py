"""Names of the versions of RocketMQ, and which modules bring its software.

The versions that can be fetched are in the ``maven-metadata.xml`` of its broker; the client's in ``client_package``.
"""

from __future__ import annotations

DISTRIBUTIONS = {"rocketmq": "distribution", "rocketmq-client-python": "client_package"}
IMAGES = {"rocketmq": "image"}
DEFAULT = "rocketmq-5"
OLDEST = (5, 1, 0)
# PopReviveService of 5.0.0 (NullPointerException, each second); it also wants a file of its own for logging.
OLDER = "a broker of 5.0 fails without its timers, which are off here, and those before speak another protocol"
"""The oldest version that is supported, and why no older one is."""
CLIENT = "rocketmq-client-python-2"
ALIASES = {
    "rocketmq-5": "rocketmq-5.5.0",
    "rocketmq-5.5": "rocketmq-5.5.0",
    "rocketmq-5.3": "rocketmq-5.3.3",
    "rocketmq-client-python-2": "rocketmq-client-python-2.0.0",
}
