"""How members of a pull group learn of each other's loads: by notes that they leave with the name server.

Owns what is written there, and who agrees on what: with ``load-aware`` each member takes the notes as it finds them,
at a moment of its own; with ``load-agreed`` the first member makes one snapshot of them, which holds for all.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Final

from harness.brokers.rocketmq import orders, questions
from harness.brokers.rocketmq.allocators import Loads, agreed, relative
from harness.brokers.rocketmq.options import GROUP
from harness.brokers.rocketmq.places import Queue
from harness.brokers.rocketmq.remoting import Remoting
from harness.errors import ControlError

SPACE: Final = f"loads of {GROUP}"
_AGREED: Final = "agreed"
_MEMBER: Final = "member "


class LoadExchange:
    """What one member knows of the group's loads.

    Args:
        names: Name servers; the first one that answers is used.
        client: Id of the member.
        agree: Take the snapshot of the first member, in place of what the notes say.
    """

    def __init__(self, names: Sequence[Remoting], client: str, *, agree: bool) -> None:
        self._names, self._client, self._agree = names, client, agree
        self._loads: Loads = {}

    async def loads(self, members: Sequence[str], own: float) -> Loads:
        """Leave a note of this member's load, and return the loads to deal by: the former ones when no name server
        answers.

        Args:
            members: Of the group, sorted.
            own: What a message costs this member, ns; 0 = not known.

        Raises:
            ControlError: No name server answers; the next call takes up where this one ended.
        """
        failure: ControlError | None = None
        for server in self._names:
            try:
                self._loads = await self._exchange(server, members, own)
            except ControlError as error:
                failure = error
            else:
                return self._loads
        if failure is not None:
            raise failure
        return self._loads

    @property
    def latest(self) -> Loads:
        """The loads that were last returned."""
        return self._loads

    async def _exchange(self, server: Remoting, members: Sequence[str], own: float) -> Loads:
        if own > 0:
            await orders.put_note(server, SPACE, f"{_MEMBER}{self._client}", repr(own))
        notes = await questions.notes(server, SPACE)
        measured = {member: _number(notes.get(f"{_MEMBER}{member}", "")) for member in members}
        if not self._agree:
            return relative(measured)
        snapshot = _snapshot(notes.get(_AGREED, ""))
        if self._client != members[0]:
            return snapshot
        new = agreed(snapshot, members, measured)
        if new != snapshot:
            await orders.put_note(server, SPACE, _AGREED, json.dumps(new))
        return new


class DealAge:
    """For how long a member has dealt each queue to itself, without a break.

    Args:
        wait_ns: A queue is the member's only after so long. Where a snapshot holds for all, and each of them reads it
            once in an interval, whoever had the queue has read by then that it is another one's.
    """

    def __init__(self, wait_ns: int) -> None:
        self._wait_ns = wait_ns
        self._since_ns: dict[Queue, int] = {}

    def ripe(self, dealt: Iterable[Queue], now_ns: int) -> frozenset[Queue]:
        """Return the queues that have been dealt for long enough, of those that are dealt now."""
        self._since_ns = {queue: self._since_ns.get(queue, now_ns) for queue in dealt}
        return frozenset(queue for queue, since_ns in self._since_ns.items() if now_ns - since_ns >= self._wait_ns)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def _snapshot(text: str) -> Loads:
    """Return the snapshot that a note holds; nothing when it holds none."""
    try:
        return {str(member): float(load) for member, load in json.loads(text).items()}
    except (ValueError, AttributeError, TypeError):
        return {}
