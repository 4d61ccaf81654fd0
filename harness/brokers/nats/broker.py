"""NATS JetStream: configuration of the nodes, and how long its clients take to settle and to leave.

Addresses: clients know only their links' addresses (``no_advertise`` keeps the nodes' own out of INFO); nodes dial each
other through explicit routes, one per ordered pair. ``cluster.advertise`` names an address where nothing listens: a
node that hears of a peer it has no route to (after a partition) would otherwise dial that peer's own port, past the
proxy (``processImplicitRoute`` in server/route.go); an implicit route is tried once and then given up.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.brokers.base import BROKERS, Admin, BoundBroker, Launch, NodePorts, Probe
from harness.brokers.nats.admin import NatsAdmin
from harness.brokers.nats.facts import facts_of
from harness.brokers.nats.options import STREAM_VARIABLE, ConsumerOptions, ProducerOptions
from harness.brokers.nats.probe import NatsProbe
from harness.brokers.nats.streams import consumed_stream
from harness.distributions.base import Installation
from harness.runtime.base import NodeSpec
from harness.scenario.application import shown_by
from harness.scenario.model import Plan

_NOWHERE = "127.0.0.1:1"
_S = 1_000_000_000


class NatsBroker:
    """The NATS broker kind."""

    kind = "nats"
    observe_every_s = 0.25

    def bind(self, plan: Plan) -> BoundBroker:
        """Return what follows from a plan."""
        workload, topic = plan.workload, plan.cluster.topic
        wanted = {"producer": workload.producer.client, "consumer": workload.consumer.client}
        if workload.consumer.application is not None:
            del wanted["consumer"]  # it has a library of its own
        return BoundBroker(
            broker=self,
            plan=plan,
            facts=facts_of(plan),
            settle_ns=_settle_ns(plan.workload.producer),
            leave_ns=_leave_ns(plan.workload.consumer),
            admin_options={
                "partitions": workload.partitions,
                "consumed": consumed_stream(topic),
                "reads_once": topic.retention != "limits",
                "by_positions": shown_by(workload.consumer) == "commits",
            },
            client_packages=dict.fromkeys(wanted, "nats-py"),
            client_libraries={role: name for role, name in wanted.items() if name},
            client_environment={STREAM_VARIABLE: consumed_stream(topic)},
        )

    def worker_environment(self, library: Installation | None, folder: Path) -> Mapping[str, str]:
        """Return where Python finds the client version that the scenario asks for, before the installed one."""
        del folder
        return {"PYTHONPATH": str(library.directory)} if library is not None else {}

    def node_specs(self, launch: Launch) -> tuple[NodeSpec, ...]:
        """Return how each node is started: one configuration file (JSON, which the server's format contains)."""
        specs = []
        for name in launch.plan.topology.node_names:
            directory = launch.run_dir / "nodes" / name
            config = directory / "nats.conf"
            specs.append(
                NodeSpec(
                    name=name,
                    argv=(*launch.installation.command, "-c", str(config)),
                    files={config: _written(_config(name, launch))},
                    data_dir=directory / "data",
                    ports=launch.addresses.ports[name],
                )
            )
        return tuple(specs)

    def admin(self, ports: NodePorts, options: Mapping[str, Any]) -> Admin:
        """Return administration through the nodes' own listeners."""
        return NatsAdmin(ports, **options)

    def probe(self, address: str, *, keep: bool, timeout_s: float = 1.0) -> Probe:
        """Return a PING probe; it works on client and on route listeners."""
        return NatsProbe(address, keep=keep, timeout_s=timeout_s)


def _settle_ns(options: ProducerOptions) -> int:
    """Return the time in which every retry times out, and a second more."""
    return (options.retries + 1) * (options.timeout_ns + options.retry_wait_ns) + _S


def _leave_ns(options: ConsumerOptions) -> int:
    """Return the length of a last fetch and of handling all of it, and three seconds more."""
    return options.fetch_wait_ns + options.fetch * options.handler_time_ns + 3 * _S


def _config(name: str, launch: Launch) -> dict[str, Any]:
    ports, bind = launch.addresses.ports[name], launch.addresses.bind
    config: dict[str, Any] = {
        "server_name": name,
        "listen": f"{bind}:{ports['client']}",
        "http": f"{bind}:{ports['monitor']}",
        "jetstream": {"store_dir": str(launch.run_dir / "nodes" / name / "data")},
    }
    if launch.plan.cluster.nodes > 1:
        config["cluster"] = {
            "name": "chaos",
            "listen": f"{bind}:{ports['cluster']}",
            "advertise": _NOWHERE,
            "no_advertise": True,
            "routes": [
                f"nats-route://{link.address}" for link in launch.addresses.links.values() if link.source == name
            ],
        }
    return _merge(config, launch.plan.cluster.config)


def _written(config: Mapping[str, Any]) -> str:
    """Return a configuration in the server's format: JSON, but for its ``u`` escapes: UTF-8 stands as it is."""
    return json.dumps(config, indent=2, ensure_ascii=False) + "\n"


def _merge(base: Mapping[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``base`` with ``extra`` laid over it, map by map."""
    result = dict(base)
    for key, value in extra.items():
        ours = result.get(key)
        result[key] = _merge(ours, value) if isinstance(ours, Mapping) and isinstance(value, Mapping) else value
    return result


BROKERS.register("nats")(NatsBroker())
