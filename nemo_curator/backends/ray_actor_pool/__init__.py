"""The backend of our own scheduler on Ray."""

from nemo_curator.backends.ray_actor_pool.executor import ActorPoolOptions, RayActorPoolExecutor

__all__ = ["ActorPoolOptions", "RayActorPoolExecutor"]
