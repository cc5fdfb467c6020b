"""What a run on Ray Data may be told."""

from __future__ import annotations

from dataclasses import dataclass

from nemo_curator.backends.cluster.executor import ClusterOptions

__all__ = ["RayDataOptions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RayDataOptions(ClusterOptions):
    """What only this backend is told.

    Attributes:
        max_workers_per_stage: Workers that a segment may have; `None` for as many as there are CPUs for.
    """

    max_workers_per_stage: int | None = None

    def __post_init__(self) -> None:
        ClusterOptions.__post_init__(self)
        if self.max_workers_per_stage is not None:
            self._require_positive("max_workers_per_stage")
