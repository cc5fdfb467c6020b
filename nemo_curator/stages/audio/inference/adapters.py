"""What stages ask of a model that listens, whatever it listens for; and finding the class that an import path names."""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, TypeVar

from nemo_curator.errors import OptionError

__all__ = ["AudioAdapter", "load_adapter_class", "make_adapter"]

_Adapter = TypeVar("_Adapter", bound="AudioAdapter")


class AudioAdapter(ABC):
    """A model that listens. Built in the driver, where it must stay small and picklable; `load_model` is called in each worker.

    A ``__getstate__`` that leaves out what was loaded lets a loaded adapter travel, and keeps its checkpoints: what travels is what it is.

    Attributes:
        sample_rate: What clips are resampled to, in Hz.

    Args:
        model_id: Which model: a path or a name, as the adapter understands it.
    """

    sample_rate: int = 16000

    def __init__(self, model_id: str) -> None:
        self.model_id = model_id

    def check(self) -> None:  # noqa: B027 - there may be nothing to do
        """Look whether packages and files are there, before the run, in the driver. Raise a `CuratorError` that says what is missing."""

    def download_weights_on_node(self) -> None:  # noqa: B027 - there may be nothing to do
        """Make sure that the model is on this machine. Once for each."""

    @abstractmethod
    def load_model(self, *, num_gpus: float) -> None:
        """Load the model. Once for each worker."""

    def unload_model(self) -> None:  # noqa: B027 - there may be nothing to do
        """Let go of the model. Once for each worker, also after failures; may come before `load_model` has ended well."""


def load_adapter_class(target: str, kind: type[_Adapter], answer: str) -> type[_Adapter]:
    """Return the adapter that an import path names: ``package.module.Class``, or ``package.module:Class``.

    Args:
        target: The import path.
        kind: What it shall be; a class of its own with the same methods is taken too.
        answer: The method that listens.

    Raises:
        OptionError: There is no such class, or it lacks what an adapter has.
    """
    module, _, name = target.replace(":", ".").rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        message = f"the adapter {target!r} cannot be imported: {error}. It must read package.module.Class"
        raise OptionError(message) from error
    wanted = ("download_weights_on_node", "load_model", "unload_model", answer)
    if lacking := [method for method in wanted if not callable(getattr(found, method, None))]:
        message = f"{target!r} is no adapter: it has no {', '.join(lacking)}; see {kind.__name__} in {kind.__module__}"
        raise OptionError(message)
    return found


def make_adapter(
    stage: str, target: str, kind: type[_Adapter], answer: str, model_id: str | None, more: Mapping[str, Any]
) -> _Adapter:
    """Return the adapter that an import path names, built with a model, if one is given, and more arguments.

    Raises:
        OptionError: There is no such class, it is no adapter, or it does not take these arguments.
    """
    adapter = load_adapter_class(target, kind, answer)
    given: dict[str, Any] = {} if model_id is None else {"model_id": model_id}
    try:
        return adapter(**given, **more)
    except TypeError as error:
        message = f"stage {stage!r}: {target} does not take what it is given: {error}"
        raise OptionError(message) from error
