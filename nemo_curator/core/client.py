"""Ray clusters for programs: `RayClient` on one machine, `SlurmRayClient` on the nodes of a Slurm job."""

from __future__ import annotations

from nemo_curator.core.ray_client import RayClient
from nemo_curator.core.slurm_client import SlurmRayClient

__all__ = ["RayClient", "SlurmRayClient"]
