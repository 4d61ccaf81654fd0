"""Names of Toxiproxy's versions.

The module proxy's list stops at 2.5.0 although newer versions exist under the same module path: the project's releases
decide.
"""

from __future__ import annotations

DISTRIBUTIONS = {"toxiproxy": "distribution"}
IMAGES = {"toxiproxy": "image"}
DEFAULT = "toxiproxy-2"
ALIASES = {
    "toxiproxy-2": "toxiproxy-2.12.0",
    "toxiproxy-2.12": "toxiproxy-2.12.0",
}
