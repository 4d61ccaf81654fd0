"""The script of a page and the policy that allows no other. Must never know what a page says."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib import resources


@cache
def template_text(name: str) -> str:
    """Return one of our own files in ``templates/``."""
    return (resources.files("harness.report") / "templates" / name).read_text(encoding="utf-8")


def page_policy(script: str) -> str:
    """Return the page's policy: nothing is loaded, and no script runs but this one."""
    allowed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{allowed}'"
