"""The older path of the executor's module."""

from nemo_curator.backends.experimental.ray_data import RayDataExecutor

__all__ = ["RayDataExecutor"]
