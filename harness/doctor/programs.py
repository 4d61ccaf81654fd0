"""Whether a program that a run is to start is there: looked up as the run would, and not started."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from harness.doctor.report import Item, ItemStatus


def program(name: str, command: str, directory: Path) -> Item:
    """Examine a program.

    Args:
        name: Of the item.
        command: As it will be started: a path, or a name that is looked up in ``PATH``.
        directory: Where it will run, absolute.
    """
    if not directory.is_dir():
        remedy = "write application.directory: absolute, or from the scenario's folder"
        return Item(name=name, status=ItemStatus.MISSING, detail=f"there is no directory {directory}", remedy=remedy)
    place = directory / command if os.sep in command else None
    found = shutil.which(command) if place is None else shutil.which(place)
    if found is None:
        where = f"in PATH ({os.environ.get('PATH', '')})" if place is None else f"at {place}"
        remedy = "install it, or write its path into application.command"
        return Item(
            name=name, status=ItemStatus.MISSING, detail=f"there is no program {command} {where}", remedy=remedy
        )
    return Item(name=name, status=ItemStatus.OK, detail=f"{found}, run in {directory}")
