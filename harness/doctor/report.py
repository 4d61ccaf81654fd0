"""The doctor's report: items, each with what was found and what to do about it, and how they are shown.

Knows no examination.
"""

from __future__ import annotations

import textwrap
from dataclasses import asdict, dataclass
from enum import StrEnum


class ItemStatus(StrEnum):
    """What an item says: usable, usable in part or without something optional, or not usable."""

    OK = "ok"
    LIMITED = "limited"
    MISSING = "missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One thing that was examined.

    Attributes:
        name: What it is, short (``CPU limits``).
        status: See ``ItemStatus``.
        detail: What was found, with measured values.
        remedy: What to do about it; empty when there is nothing to do.
        affects: What depends on it (``fault cpu``); empty when everything does.
    """

    name: str
    status: ItemStatus
    detail: str
    remedy: str = ""
    affects: str = ""


@dataclass(frozen=True, slots=True)
class DoctorReport:
    """Everything that was examined, in the order it is shown."""

    items: tuple[Item, ...]

    @property
    def worst(self) -> ItemStatus:
        """The worst status of all items."""
        return max((item.status for item in self.items), key=list(ItemStatus).index, default=ItemStatus.OK)

    def to_json(self) -> dict[str, object]:
        """Return the report as plain data for JSON."""
        return {"worst": str(self.worst), "items": [asdict(item) | {"status": str(item.status)} for item in self.items]}

    def render(self, width: int = 110) -> str:
        """Return the report as aligned text; remedies and what is affected stand below what is not ok."""
        name_width = max((len(item.name) for item in self.items), default=0)
        indent = " " * (9 + name_width + 2)
        lines: list[str] = []
        for item in self.items:
            text = [item.detail]
            if item.status is not ItemStatus.OK:
                text += [f"affects: {item.affects}"] if item.affects else []
                text += [f"remedy: {item.remedy}"] if item.remedy else []
            for position, paragraph in enumerate(line for part in text for line in part.splitlines()):
                head = f"{item.status:<9}{item.name:<{name_width}}  " if position == 0 else indent
                lines += textwrap.wrap(
                    paragraph,
                    width,
                    initial_indent=head,
                    subsequent_indent=indent,
                    break_on_hyphens=False,
                    break_long_words=False,
                )
        return "\n".join(lines)
