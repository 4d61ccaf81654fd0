"""Types of the keys of a RocketMQ broker's configuration (``BrokerConfig``, ``MessageStoreConfig``,
``NettyServerConfig``).

A broker passes over in silence what it cannot read as a key's type, and keeps its default.
"""

from __future__ import annotations

from typing import Final

from harness.scenario.config_types import WRITTEN_TRUTH, WRITTEN_WHOLE, ConfigTypes

CONFIG_TYPES: Final[ConfigTypes] = {
    **dict.fromkeys(
        (
            "flushCommitLogLeastPages",
            "flushCommitLogThoroughInterval",
            "flushIntervalCommitLog",
            "commitIntervalCommitLog",
            "flushIntervalConsumeQueue",
            "syncFlushTimeout",
            "slaveTimeout",
            "inSyncReplicas",
            "minInSyncReplicas",
            "haSendHeartbeatInterval",
            "haHousekeepingInterval",
            "haTransferBatchSize",
            "haMaxGapNotInSync",
            "mappedFileSizeCommitLog",
            "mappedFileSizeConsumeQueue",
            "maxMessageSize",
            "fileReservedTime",
            "cleanResourceInterval",
            "diskMaxUsedSpaceRatio",
            "osPageCacheBusyTimeOutMills",
            "waitTimeMillsInSendQueue",
            "waitTimeMillsInPullQueue",
            "shortPollingTimeMills",
            "notifyConsumerIdsChangedInterval",
            "sendMessageThreadPoolNums",
            "pullMessageThreadPoolNums",
            "registerNameServerPeriod",
            "registerBrokerTimeoutMills",
            "flushConsumerOffsetInterval",
            "transactionTimeOut",
            "transactionCheckMax",
            "transactionCheckInterval",
            "serverChannelMaxIdleTimeSeconds",
            "maxHashSlotNum",
            "maxIndexNum",
        ),
        WRITTEN_WHOLE,
    ),
    **dict.fromkeys(
        (
            "autoCreateTopicEnable",
            "autoCreateSubscriptionGroup",
            "cleanFileForciblyEnable",
            "longPollingEnable",
            "slaveReadEnable",
            "transientStorePoolEnable",
            "timerWheelEnable",
            "transferMsgByHeap",
            "useReentrantLockWhenPutMessage",
            "warmMapedFileEnable",
            "brokerFastFailureEnable",
        ),
        WRITTEN_TRUTH,
    ),
}
