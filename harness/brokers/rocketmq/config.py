"""Configuration of the name server and of the brokers, and how both are started.

Brokers know each other, and are known to the name server, by their node's name and one port. Each one's own host table
(``jdk.net.hosts.file``) maps a peer's name to the address at which the proxy of that pair listens. It maps its own name
to where clients of the first zone reach it, because a broker writes its own address into every message that it stores,
and clients send a message back to that address. It listens at the address that the runtime gives, whatever its name
stands for.
"""

from __future__ import annotations

import socket
from typing import Final

from harness.brokers.base import Launch
from harness.brokers.properties import properties, require_no_comma
from harness.brokers.rocketmq.spec import HA, LISTEN, NAMES, set_of
from harness.brokers.rocketmq.startup import BROKER_CLASS, LOGBACK, native_flags, own_flags
from harness.runtime.base import NodeSpec
from harness.scenario.topology import Topology, pair_address

NAMES_CLASS: Final = "org.apache.rocketmq.namesrv.NamesrvStartup"
REGISTER_MS: Final = 10_000
"""Between registrations of a broker with the name server: the shortest that it takes."""

_BROKER_HEAP = ("-Xms128m", "-Xmx512m", "-XX:MaxDirectMemorySize=512m")
_NAMES_HEAP = ("-Xms32m", "-Xmx128m")
_THREADS: Final = dict.fromkeys(
    (
        "pullMessageThreadPoolNums",
        "litePullMessageThreadPoolNums",
        "ackMessageThreadPoolNums",
        "processReplyMessageThreadPoolNums",
        "queryMessageThreadPoolNums",
        "adminBrokerThreadPoolNums",
        "clientManageThreadPoolNums",
        "consumerManageThreadPoolNums",
        "loadBalanceProcessorThreadPoolNums",
        "heartbeatThreadPoolNums",
        "recoverThreadPoolNums",
        "endTransactionThreadPoolNums",
    ),
    "4",
)
"""Of a broker's pools that have 16 to 32 threads each, and more on a large machine."""


def node_spec(name: str, launch: Launch) -> NodeSpec:
    """Return how the name server or a broker is started."""
    directory = launch.run_dir / "nodes" / name
    data, hosts, logback = directory / "data", directory / "hosts", directory / "logback.xml"
    config = directory / ("names.conf" if name == NAMES else "broker.conf")
    # IPv4 sockets, so that the kernel's tables name the addresses that were configured.
    flags = (*own_flags(directory), "-Djava.net.preferIPv4Stack=true", f"-Djdk.net.hosts.file={hosts}")
    require_no_comma(data, "storePathCommitLog")
    if name == NAMES:
        settings = names_properties(launch)
        words = (*_NAMES_HEAP, *flags, NAMES_CLASS, "-c", str(config))
    else:
        settings = {"storePathRootDir": str(data), "storePathCommitLog": str(data / "commitlog")}
        settings |= broker_properties(name, launch)
        words = (*_BROKER_HEAP, *flags, *_broker_flags(launch), BROKER_CLASS, "-c", str(config))
    return NodeSpec(
        name=name,
        argv=(*launch.installation.command, *words),
        files={config: properties(settings), hosts: _hosts(name, launch.plan.topology), logback: LOGBACK},
        data_dir=data,
        # Where the native library of its store is unpacked, under one name: without it each start leaves another copy.
        env={"ROCKSDB_SHAREDLIB_DIR": str(directory)},
        ports=launch.addresses.ports[name],
        # A broker takes 10 to 15 s to end on its own.
        stop_timeout_s=30.0,
    )


def names_properties(launch: Launch) -> dict[str, str]:
    """Return the name server's configuration."""
    return {"bindAddress": launch.addresses.bind, "listenPort": str(launch.addresses.ports[NAMES][LISTEN])}


def broker_properties(name: str, launch: Launch) -> dict[str, str]:
    """Return a broker's configuration but for its directories; what the scenario gives replaces what stands here."""
    cluster, addresses = launch.plan.cluster, launch.addresses
    ports, own_set = addresses.ports, set_of(name, cluster)
    master = name == own_set
    names = next(
        (link.address for link in addresses.links.values() if (link.source, link.node) == (name, NAMES)),
        f"127.0.0.1:{ports[NAMES][LISTEN]}",  # without links (a bare broker of a test) it comes directly
    )
    found = {
        # Every broker set is a cluster of its own, because a stored message names its cluster and nothing else of
        # where it is.
        "brokerClusterName": own_set,
        "brokerName": own_set,
        "brokerId": "0" if master else "1",
        "brokerRole": f"{cluster.topic.replication.upper()}_MASTER" if master else "SLAVE",
        "flushDiskType": f"{cluster.topic.flush.upper()}_FLUSH",
        "namesrvAddr": names,
        "registerNameServerPeriod": str(REGISTER_MS),
        # Gateways put their zone's links in its place.
        **dict.fromkeys(("brokerIP1", "brokerIP2"), name),
        "bindAddress": addresses.bind,
        "listenPort": str(ports[name][LISTEN]),
        "haListenPort": str(ports[name][HA]),
        # A master without anything new says so to its slave, and to a probe, after so long.
        "haSendHeartbeatInterval": "1000",
        "autoCreateTopicEnable": "false",
        "mappedFileSizeCommitLog": str(64 << 20),
        "mappedFileSizeConsumeQueue": "600000",
        "maxHashSlotNum": "10000",
        "maxIndexNum": "40000",
        "timerWheelEnable": "false",
        # Of pop consumers, which no client here is: a thread each, which polls.
        "reviveQueueNum": "1",
        # Clients ask for 32 at most; only the audit asks for more.
        **dict.fromkeys(("maxTransferCountOnMessageInMemory", "maxTransferCountOnMessageInDisk"), "1000"),
        **dict.fromkeys(("maxTransferBytesOnMessageInMemory", "maxTransferBytesOnMessageInDisk"), str(1 << 20)),
        # From 85 % of its file system on it would delete messages that were not consumed yet.
        "cleanFileForciblyEnable": "false",
        **_THREADS,
    }
    if cluster.topic.replication == "sync":
        # The master counts; by itself a SYNC_MASTER of 5.x waits for no slave.
        found["inSyncReplicas"] = str(cluster.replicas)
    if not master:
        # A broker of 5.x takes it before it has what copies, and forgets it; yet then it asks the name server for no
        # other one, which would be no link. Administration tells it again.
        found["haMasterAddress"] = next(
            channel.address
            for link in addresses.links.values()
            if (link.source, link.node) == (name, own_set)
            for channel in link.channels
            if channel.protocol == HA
        )
    return found | {key: _plain(value) for key, value in cluster.config.items()}


def _at(name: str, topology: Topology) -> str:
    """Return the address at which clients of the first zone reach a node."""
    first = topology.client_links()[0].source
    return pair_address(topology, first, name)


def _broker_flags(launch: Launch) -> tuple[str, ...]:
    life_ms = launch.plan.cluster.topic.lock_life_ns // 1_000_000
    # In an image, which the part is no part of, each node unpacks its own.
    found = () if launch.installation.image else native_flags(launch.installation.parts)
    return (f"-Drocketmq.broker.rebalance.lockMaxLiveTime={life_ms}", *found)


def _hosts(name: str, topology: Topology) -> str:
    """Return the JVM's host table; every name that it may look up must stand in it."""
    lines = ["127.0.0.1 localhost", f"127.0.0.1 {socket.gethostname()}"]
    lines += [
        f"{_at(node, topology) if node == name else pair_address(topology, name, node)} {node}"
        for node in topology.node_names
    ]
    return "\n".join(dict.fromkeys(lines)) + "\n"


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
