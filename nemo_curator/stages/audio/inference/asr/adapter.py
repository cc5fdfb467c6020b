"""What `ASRStage` asks of a speech recogniser. Write a class of this kind to bring your own."""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from nemo_curator.errors import OptionError

if TYPE_CHECKING:
    from nemo_curator.stages.audio.common.decoding import Waveform

__all__ = ["AsrAdapter", "AsrClip", "AsrResult", "load_adapter_class"]


@dataclass(frozen=True, slots=True)
class AsrClip:
    """What is to be recognised.

    Attributes:
        samples: One channel at the adapter's sample rate, float32 of shape ``(samples,)``.
        language: ISO 639 code of what is spoken, if somebody has said so.
    """

    samples: Waveform
    language: str | None = None


@dataclass(frozen=True, slots=True)
class AsrResult:
    """What was recognised.

    Attributes:
        text: The transcript; empty if nothing was heard.
        language: ISO 639 code of the language, as far as it is known.
        extra: More to write into the entry, by key.
    """

    text: str
    language: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])


class AsrAdapter(ABC):
    """A speech recogniser. Built in the driver, where it must stay small and picklable; `load_model` is called in each worker.

    Attributes:
        sample_rate: What clips are resampled to, in Hz.
        languages: ISO 639-1 codes of what it understands; `None` for anything.

    Args:
        model_id: Which model: a path or a name, as the adapter understands it.
    """

    sample_rate: int = 16000
    languages: frozenset[str] | None = None

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

    @abstractmethod
    def transcribe(self, clips: Sequence[AsrClip]) -> list[AsrResult]:
        """Return a result for every clip, in their order. What it raises costs, in the end, only the clips that it is raised for."""


def load_adapter_class(target: str) -> type[AsrAdapter]:
    """Return the adapter that an import path names: ``package.module.Class``, or ``package.module:Class``.

    Raises:
        OptionError: There is no such class, or it lacks what an adapter has.
    """
    module, _, name = target.replace(":", ".").rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        message = f"the adapter {target!r} cannot be imported: {error}. It must read package.module.Class"
        raise OptionError(message) from error
    wanted = ("download_weights_on_node", "load_model", "unload_model", "transcribe")
    if lacking := [method for method in wanted if not callable(getattr(found, method, None))]:
        message = f"{target!r} is no adapter: it has no {', '.join(lacking)}; see AsrAdapter in {__name__}"
        raise OptionError(message)
    return cast("type[AsrAdapter]", found)
