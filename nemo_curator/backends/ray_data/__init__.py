"""The backend on Ray Data."""

from nemo_curator.backends.ray_data.executor import RayDataExecutor
from nemo_curator.backends.ray_data.options import RayDataOptions

__all__ = ["RayDataExecutor", "RayDataOptions"]
