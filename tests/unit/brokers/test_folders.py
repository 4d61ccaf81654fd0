"""Below which folders nodes can live: what a broker's own format makes of the letters in a path."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import pytest

from harness.brokers.base import BROKERS, Addresses, Launch
from harness.distributions.base import Installation
from harness.engine.topology import draw_links, draw_ports
from harness.errors import UnfitEnvironmentError
from harness.runtime.kernel.ports import Ports
from harness.scenario.expand import variants
from harness.scenario.load import load_text
from harness.scenario.plan import make_plan
from harness.session.vocabulary import vocabulary

TEXT = "version: 1\ntitle: A folder\nbroker: {broker}\nworkload: {{duration: 5s}}\nexpect: {{loss: {{}}}}\n"
ALIASES = {"nats": "nats-2", "kafka": "kafka-4", "rocketmq": "rocketmq-5"}


def configuration(kind: str, folder: Path) -> str:
    """Return all files that the nodes of a broker get whose run directory is this one."""
    plan = make_plan(variants(load_text(TEXT.format(broker=ALIASES[kind]), "folder.yaml", vocabulary()))[0])
    ports = Ports()
    try:
        drawn = {member.name: draw_ports(member, ports) for member in plan.topology.members}
        links = draw_links(plan.topology, drawn, ports, dict.fromkeys(drawn, "127.0.0.1"))
    finally:
        ports.release()
    part = folder / "part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"{}")
    installation = Installation(
        command=("/program",), directory=folder, versions={kind: "9.9.9"}, parts=defaultdict(lambda: part)
    )
    addresses = Addresses(ports=drawn, links=links)
    launch = Launch(installation=installation, run_dir=folder, plan=plan, addresses=addresses)
    return "\n".join(text for spec in BROKERS.get(kind).node_specs(launch) for text in spec.files.values())


@pytest.mark.parametrize("kind", sorted(ALIASES))
def test_letters_beyond_ascii_and_spaces_reach_the_node(kind: str, tmp_path: Path) -> None:
    text = configuration(kind, tmp_path / "kürze задержка a")
    if kind == "nats":  # its format knows no escapes of letters
        assert "\\u" not in text
    else:  # Java reads properties as Latin-1
        assert text.isascii()
        text = re.sub(r"\\u([0-9a-f]{4})", lambda found: chr(int(found[1], 16)), text)
    assert "kürze задержка a/nodes/n1" in text


@pytest.mark.parametrize("kind", ["kafka", "rocketmq"])
def test_a_comma_is_refused_where_a_broker_takes_it_for_a_list(kind: str, tmp_path: Path) -> None:
    with pytest.raises(UnfitEnvironmentError, match="a comma in its path"):
        configuration(kind, tmp_path / "a, b")


def test_nats_takes_a_comma(tmp_path: Path) -> None:
    assert "a, b/nodes/n1" in configuration("nats", tmp_path / "a, b")
