"""Backends by name, imported when they are asked for."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from nemo_curator.errors import OptionError, did_you_mean

if TYPE_CHECKING:
    from nemo_curator.backends.base import BaseExecutor

__all__ = ["available_backends", "get_executor_class", "make_executor"]

_BACKENDS: dict[str, tuple[str, str]] = {
    "local": ("nemo_curator.backends.local", "LocalExecutor"),
    "xenna": ("nemo_curator.backends.xenna", "XennaExecutor"),
    "ray_data": ("nemo_curator.backends.ray_data", "RayDataExecutor"),
    "ray_actor_pool": ("nemo_curator.backends.ray_actor_pool", "RayActorPoolExecutor"),
}


def available_backends() -> list[str]:
    """Return the names of all backends that this version has."""
    return list(_BACKENDS)


def get_executor_class(name: str) -> type[BaseExecutor]:
    """Return the executor class of a backend.

    Raises:
        OptionError: There is no backend of that name.
        MissingExtra: It needs a package that is not installed; the message has the line that installs it.
    """
    if name not in _BACKENDS:
        message = f"no backend {name!r}; there are: {', '.join(_BACKENDS)}.{did_you_mean(name, _BACKENDS)}"
        raise OptionError(message)
    module, attribute = _BACKENDS[name]
    executor_class: type[BaseExecutor] = getattr(import_module(module), attribute)
    return executor_class


def make_executor(name: str, **arguments: Any) -> BaseExecutor:
    """Return an executor of a backend."""
    return get_executor_class(name)(**arguments)
