"""Names of Tinylog's versions, and which modules bring its software."""

from __future__ import annotations

DISTRIBUTIONS = {"tinylog": "distribution"}
IMAGES = {"tinylog": "image"}
ALIASES = {"tinylog-1": "tinylog-1.0.0"}
