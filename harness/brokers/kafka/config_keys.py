"""Keys of a Kafka node's configuration that are not a scenario's to set.

The keys are those of ``KafkaConfig`` from 3.7 to 4.4, with those of earlier versions that name an address or a file.
Those that hold a class were listed from 4.0.0 and 4.4.0.
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
            why="each node keeps its data in the run directory",
            patterns=("log.dir", "log.dirs", "cordoned.log.dirs", "metadata.log.dir"),
        ),
        ReservedKeys(
            is_="own",
            why="the plan says where nodes listen, and what clients learn of it",
            patterns=(
                "listeners",
                "advertised.*",
                "host.name",
                "port",
                "listener.security.protocol.map",
                "early.start.listeners",
                "control.plane.listener.name",
                "inter.broker.listener.name",
                "security.inter.broker.protocol",
            ),
        ),
        ReservedKeys(
            is_="own",
            why="the plan says which nodes there are",
            patterns=(
                "process.roles",
                "node.id",
                "broker.id",
                "broker.id.generation.enable",
                "controller.listener.names",
                "controller.quorum.voters",
                "controller.quorum.bootstrap.servers",
                "zookeeper.*",
            ),
        ),
        ReservedKeys(
            is_="outside",
            why="the node reads files or asks addresses that it names",
            patterns=("ssl.*", "sasl.*", "listener.name.*", "config.providers", "config.providers.*"),
        ),
        ReservedKeys(
            is_="outside",
            why="the node loads a class that it names",
            patterns=(
                "*.class",
                "*.class.name",
                "*.class.path",
                "*.reporters",
                "*.assignors",
                "kafka.csv.*",
                "security.providers",
            ),
        ),
        ReservedKeys(
            is_="outside",
            why="the node stores segments elsewhere, by a plug-in",
            patterns=("remote.log.*", "rsm.config.*", "rlmm.config.*"),
        ),
    ),
)
