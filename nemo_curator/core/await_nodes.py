"""Waits until a cluster has so many nodes: ``python -P await_nodes.py ADDRESS NODES TIMEOUT_S``.

A program of its own, so that the process that starts a cluster need neither import Ray nor be a driver of that cluster. Prints how
many nodes there are; exit code 0 if they are enough.
"""

from __future__ import annotations

import sys
import time
from typing import Any

__all__ = ["main"]

_PAUSE_S = 0.5


def main(arguments: list[str]) -> int:
    """Connect, count nodes until there are enough or it is too late, and say how many there are."""
    import ray  # pyright: ignore[reportMissingImports]

    address, wanted, timeout_s = arguments[0], int(arguments[1]), float(arguments[2])
    deadline = time.monotonic() + timeout_s
    ray.init(address=address, log_to_driver=False, configure_logging=False)
    while (alive := _alive(ray)) < wanted and time.monotonic() < deadline:
        time.sleep(_PAUSE_S)
    sys.stdout.write(f"{alive}\n")
    return 0 if alive >= wanted else 1


def _alive(ray: Any) -> int:
    return sum(bool(node["Alive"]) for node in ray.nodes())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
