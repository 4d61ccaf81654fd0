"""What not every broker can do: the abilities that a broker's specification declares and that faults and targets need.

Owns the words and, for each, the sentence of a refusal. Must never know which broker has which.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Self


class BrokerAbility(StrEnum):
    """What a broker can do that not every broker can.

    Attributes:
        does: What a broker without it does not do: the end of ``<broker> does not …``.
    """

    does: str

    def __new__(cls, word: str, does: str) -> Self:
        """Return a member whose value is its word."""
        member = str.__new__(cls, word)
        member._value_ = word
        member.does = does
        return member

    GROUPS = "groups", "have consumer groups"
    COORDINATOR = "coordinator", "have consumer groups with a coordinator"
    ZONES = "zones", "distinguish clients by zone, so that each zone could have links of its own"
    PARTITION_LEADERS = "partition_leaders", "give each partition a leader of its own"
    ADD_PARTITIONS = "add_partitions", "add partitions to a topic in use"
    MOVE_LEADER = "move_leader", "hand leadership to another replica when asked"
    PEER_BULK = "peer_bulk", "accept much probe traffic on links between nodes, so the effect cannot be verified"
    PEER_GUESTS = (
        "peer_guests",
        "accept a kept probe connection on links between nodes, so the effect cannot be verified",
    )
