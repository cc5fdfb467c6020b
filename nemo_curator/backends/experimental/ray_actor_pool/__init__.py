"""The older path of `nemo_curator.backends.ray_actor_pool`. Importing it warns, once."""

from nemo_curator.backends.experimental.notice import announce
from nemo_curator.backends.ray_actor_pool import RayActorPoolExecutor

__all__ = ["RayActorPoolExecutor"]

announce("ray_actor_pool", "RayActorPoolExecutor")
