"""What a kind of distribution is made and run with, besides this harness: so that the doctor can look whether it is
there.

Owns the words. Knows no kind, and looks for nothing itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from harness.distributions.java import JavaRange


class Toolchain(StrEnum):
    """Something that makes or runs distributions."""

    GO = "go"
    JAVA = "java"
    JARS = "jars"
    PIP = "pip"
    PLATFORM = "platform"


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """One toolchain that a kind of distribution, or a line of its versions, needs.

    Attributes:
        toolchain: Which.
        whose: What needs it, for people (``nats-server``, ``Kafka 4``).
        java: Versions that serve; of Java alone.
        lacking: Why this machine does not serve, and cannot be made to; of the platform alone. Empty = it does.
    """

    toolchain: Toolchain
    whose: str
    java: JavaRange | None = None
    lacking: str = ""
