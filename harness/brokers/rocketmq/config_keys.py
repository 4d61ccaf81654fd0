"""Keys of a RocketMQ broker's configuration that are not a scenario's to set.

The keys are the setters of ``BrokerConfig``, ``MessageStoreConfig``, ``NettyServerConfig``, ``NettyClientConfig`` and
``AuthConfig`` of 5.x; a broker passes over what it does not know.
"""

from __future__ import annotations

from typing import Final

from harness.scenario.config_keys import ConfigKeys, ReservedKeys

CONFIG_KEYS: Final = ConfigKeys(
    # In a file of properties, a backslash, a blank, '=' or ':' would make another key of it.
    word=r"[A-Za-z0-9_.-]+",
    word_hint="a word of letters, digits, '.', '_' and '-'",
    reserved=(
        ReservedKeys(
            is_="own",
            why="each broker keeps its data in the run directory",
            patterns=("storePath*", "rocketmqHome", "brokerConfigPath"),
        ),
        ReservedKeys(
            is_="own",
            why="the plan says where brokers listen, and what clients learn of it",
            patterns=("listenPort", "haListenPort", "bindAddress", "brokerIP1", "brokerIP2"),
        ),
        ReservedKeys(
            is_="own",
            why="the plan says which brokers there are, and how they reach each other",
            patterns=("brokerClusterName", "brokerName", "brokerId", "namesrvAddr", "haMasterAddress"),
        ),
        ReservedKeys(
            is_="own",
            why="cluster.topic.replication and cluster.topic.flush say it",
            patterns=("brokerRole", "flushDiskType"),
        ),
        ReservedKeys(
            is_="outside",
            why="the broker listens or dials there, past every link",
            patterns=(
                "controllerAddr",
                "enableControllerMode",
                "fetchControllerAddrByDnsLookup",
                "fetchNameSrvAddrByDnsLookup",
                "fetchNamesrvAddrByAddressServer",
                "rmqAddressServerDomain",
                "rmqAddressServerSubGroup",
                "enableDLegerCommitLog",
                "dLeger*",
                "dledger*",
                "socksProxyConfig",
                "metricsExporterType",
                "metricsGrpcExporter*",
                "metricsPromExporter*",
            ),
        ),
        ReservedKeys(
            is_="outside",
            why="the broker loads a class that it names",
            patterns=("messageStorePlugIn", "*Provider", "authenticationStrategy", "authorizationStrategy"),
        ),
        ReservedKeys(
            is_="outside",
            why="the broker reads or writes files or buckets that it names",
            patterns=("readOnlyCommitLogStorePaths", "tieredStoreFilePath", "objectStore*", "authConfigPath"),
        ),
    ),
)
