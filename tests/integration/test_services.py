"""A broker with a service, on real processes: it starts first, is probed and proxied, and is a target by its name.

The broker is NATS with a further server that no node needs in truth; its clients' links listen at the node's own port.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.in_process import last_run_dir, run_decided, scenario
from support.required_abilities import require_for_faults

from harness.brokers.base import BROKERS, Admin, Launch, NodePorts
from harness.brokers.nats.admin import NatsAdmin
from harness.brokers.nats.broker import NatsBroker
from harness.history.events import NodeEvent
from harness.history.read import History
from harness.runtime.base import NodeSpec
from harness.scenario.members import zones
from harness.scenario.model import Cluster, Workload
from harness.scenario.plugins import BROKER_SPECS
from harness.scenario.topology import ChannelSpec, LinkSpec, Member, Topology
from harness.verdict import Verdict

PORTS = ("client", "cluster", "monitor")
ASKED = ("client", "monitor")


def topology(cluster: Cluster, workload: Workload) -> Topology:
    """Return one node and a service that it waits for."""
    del cluster
    links = [LinkSpec(source="n1", target="names", role="service", channels=(ChannelSpec(role="client"),))]
    for zone in zones(workload):
        own = (ChannelSpec(role="client", listens="own port"),)
        links.append(LinkSpec(source=zone, target="n1", role="client", channels=own))
        links.append(
            LinkSpec(source=zone, target="names", role="client", channels=(ChannelSpec(role="client"),), entry=False)
        )
    return Topology(
        nodes=(Member(name="n1", ports=PORTS, asked=ASKED, needs=("names",)),),
        services=(Member(name="names", ports=PORTS, asked=ASKED),),
        links=tuple(links),
    )


class ServedAdmin(NatsAdmin):
    """Administration that also knows whether the service is ready."""

    def __init__(self, ports: NodePorts, partitions: int, **options: Any) -> None:
        super().__init__({"n1": ports["n1"]}, partitions, **options)
        self.service = NatsAdmin({"names": ports["names"]}, partitions)

    async def node_ready(self, node: str) -> str:
        return await self.service.node_ready(node) if node == "names" else await super().node_ready(node)


class ServedBroker(NatsBroker):
    """NATS with a service."""

    def node_specs(self, launch: Launch) -> tuple[NodeSpec, ...]:
        (node,) = super().node_specs(launch)
        directory = launch.run_dir / "nodes" / "names"
        config, ports = directory / "nats.conf", launch.addresses.ports["names"]
        listen = {
            role: f"{launch.addresses.bind}:{ports[port]}" for role, port in (("listen", "client"), ("http", "monitor"))
        }
        service = NodeSpec(
            name="names",
            argv=(*launch.installation.command, "-c", str(config)),
            files={config: json.dumps({"server_name": "names", **listen})},
            data_dir=directory / "data",
            ports=ports,
        )
        return (node, service)

    def admin(self, ports: NodePorts, options: Mapping[str, Any]) -> Admin:
        return ServedAdmin(ports, **options)


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put this broker in the place of NATS."""
    monkeypatch.setenv("HARNESS_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setitem(BROKER_SPECS._entries, "nats", replace(BROKER_SPECS.get("nats"), topology=topology))
    BROKERS.get("nats")
    monkeypatch.setitem(BROKERS._entries, "nats", ServedBroker())


@pytest.mark.parametrize(
    ("runtime", "fault", "on"),
    [
        ("process", "restart: {}", "{node: names}"),
        ("process", "latency: {delay: 40ms}", "{link: clients->names}"),
        ("process", "latency: {delay: 40ms}", "{link: client-broker}"),
        ("docker", "restart: {}", "{node: names}"),
        ("docker", "latency: {delay: 40ms}", "{link: n1->names}"),
    ],
)
@pytest.mark.usefixtures("served")
def test_a_service_is_started_first_probed_proxied_and_a_target(
    runtime: str, fault: str, on: str, tmp_path: Path
) -> None:
    require_for_faults((), runtime)
    span = "" if fault.startswith("restart") else "for: 2s"
    result = run_decided(scenario(fault, on, span), tmp_path, runtime)
    assert result.verdict is Verdict.PASS, (result.headline, result.blocking)
    (told,) = result.faults
    assert told.targets == (on.split(": ")[1].rstrip("}").replace("client-broker", "clients->n1"),)
    run_dir = last_run_dir(tmp_path)
    states = [(event.node, event.state) for event in History.load(run_dir).of_kind(NodeEvent)]
    assert states[:4] == [("names", "started"), ("names", "ready"), ("n1", "started"), ("n1", "ready")]
    assert (run_dir / "logs" / "names.log").exists()
