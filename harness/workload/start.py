"""Starts a process of the harness by the name of its module (``worker``, ``monitor``): cheaply, as a run starts many.

While modules are loaded nothing of them dies, so that looking for garbage would be in vain: the module's own ``main``
begins it, once it has loaded everything.
"""

from __future__ import annotations

import gc
import importlib
import sys


def main() -> int:
    """Run the module of this package that the first argument names with the others; return its exit status.

    One with a dot is of another room (``applications.recorder``).
    """
    gc.disable()
    name = sys.argv.pop(1)
    status: int = importlib.import_module(f"harness.{name}" if "." in name else f"harness.workload.{name}").main()
    return status


if __name__ == "__main__":
    sys.exit(main())
