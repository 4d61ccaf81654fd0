"""Whom a fault strikes that aims at a role: the leader's or the coordinator's node, or the links to it, looked up just
then.
"""

from __future__ import annotations

import asyncio

from harness.engine.deployment import Deployment
from harness.scenario.model import PlannedFault

_FIND_S = 10.0
"""How long a leader or coordinator is looked for: during an election there is none, and a busy node may not answer at
once.
"""
_POLL_S = 0.1


async def resolve_targets(planned: PlannedFault, deployment: Deployment) -> tuple[str, ...]:
    """Return the targets of a mode as they are now; none when no node leads or coordinates, or no node answers."""
    admin = deployment.admin
    if planned.on.mode == "coordinator":
        node = await admin.coordinator()
    else:
        node = await admin.leader(planned.on.partition or 0)
    if not node or planned.on.node:
        return (node,) if node else ()
    if planned.on.link == "client-broker":
        return tuple(link.name for link in deployment.topology.client_links(planned.on.zone) if link.target == node)
    return tuple(link.name for link in deployment.topology.peer_links() if node in (link.source, link.target))


async def wait_for_targets(planned: PlannedFault, deployment: Deployment) -> tuple[str, ...]:
    """Look until there are some, or ``_FIND_S`` have passed."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _FIND_S
    targets: tuple[str, ...] = ()
    while not targets and loop.time() < deadline:
        await asyncio.sleep(_POLL_S)
        targets = await resolve_targets(planned, deployment)
    return targets
