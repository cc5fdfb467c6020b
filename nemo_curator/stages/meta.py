"""Stage classes by name, and what is checked when an instance is made."""

from __future__ import annotations

import inspect
from abc import ABCMeta
from typing import TYPE_CHECKING, Any, cast

from nemo_curator.errors import did_you_mean

if TYPE_CHECKING:
    from nemo_curator.stages.base import ProcessingStage

__all__ = ["StageMeta", "get_stage_class"]

_STAGE_REGISTRY: dict[str, type[ProcessingStage[Any, Any]]] = {}


class StageMeta(ABCMeta):
    """Registers every concrete stage class by name, and checks what an instance asks for once it is built."""

    def __init__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], /, **kwargs: Any) -> None:
        super().__init__(name, bases, namespace, **kwargs)
        if not namespace.get("_is_abstract_root") and not getattr(cls, "__abstractmethods__", None):
            _STAGE_REGISTRY[name] = cast("type[ProcessingStage[Any, Any]]", cls)

    @property
    def __signature__(cls) -> inspect.Signature:
        """What the constructor takes, for `help` and editors: they would show what `__call__` takes."""
        if cls.__init__ is object.__init__:
            return inspect.Signature(return_annotation=cls)
        given = inspect.signature(cls.__init__)
        return given.replace(parameters=list(given.parameters.values())[1:], return_annotation=cls)

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        """Make an instance, and check what it asks for."""
        stage = super().__call__(*args, **kwargs)
        stage._check_worker_counts()
        return stage


def get_stage_class(name: str) -> type[ProcessingStage[Any, Any]]:
    """Return the concrete stage class of that name; of several, the one defined last.

    Raises:
        KeyError: No such class was defined.
    """
    try:
        return _STAGE_REGISTRY[name]
    except KeyError:
        message = f"no stage class {name!r} is defined.{did_you_mean(name, _STAGE_REGISTRY)}"
        raise KeyError(message) from None
