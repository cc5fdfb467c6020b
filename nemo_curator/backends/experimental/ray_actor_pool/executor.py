"""The older path of the executor's module."""

from nemo_curator.backends.experimental.ray_actor_pool import RayActorPoolExecutor

__all__ = ["RayActorPoolExecutor"]
