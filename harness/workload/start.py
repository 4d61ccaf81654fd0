"""Starts a process of the harness by the name of its module (``worker``, ``monitor``): cheaply, as a run starts many.

While modules are loaded nothing of them dies, so that looking for garbage would be in vain: the module's own ``main``
begins it, once it has loaded everything.
"""

from __future__ import annotations

import gc
import importlib
import sys


def main() -> int:
    """Run the module of this package that the first argument names with the others; return its exit status."""
    gc.disable()
    status: int = importlib.import_module(f"harness.workload.{sys.argv.pop(1)}").main()
    return status


if __name__ == "__main__":
    sys.exit(main())
