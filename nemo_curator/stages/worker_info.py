"""Where a stage finds itself when the engine sets it up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["NodeInfo", "WorkerMetadata"]


@dataclass(frozen=True)
class NodeInfo:
    """The machine that `setup_on_node` runs on."""

    node_id: str = ""


@dataclass(frozen=True)
class WorkerMetadata:
    """The worker that `setup` runs in.

    Attributes:
        worker_id: Unique in the run.
        allocation: What the engine gave the worker, in the engine's own terms; `None` if it does not say.
    """

    worker_id: str = ""
    allocation: Any = None
