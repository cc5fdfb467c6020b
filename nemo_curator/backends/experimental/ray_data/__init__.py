"""The older path of `nemo_curator.backends.ray_data`. Importing it warns, once."""

from nemo_curator.backends.experimental.notice import announce
from nemo_curator.backends.ray_data import RayDataExecutor

__all__ = ["RayDataExecutor"]

announce("ray_data", "RayDataExecutor")
