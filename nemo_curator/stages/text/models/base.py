"""`ModelHandle`: a model that a stage carries by name and loads where it works."""

from __future__ import annotations

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemo_curator.errors import InputError
from nemo_curator.models.loaded import loaded

if TYPE_CHECKING:
    import numpy as np

    Matrix = np.ndarray[Any, np.dtype[np.float32]]

__all__ = ["EmbeddingModel", "LabelModel", "ModelHandle", "check_file", "digest_of_file"]

_DIGEST_BYTES = 12


class ModelHandle(ABC):
    """What names a model and can load it. It travels to workers without the model; a copy is not loaded.

    A stage calls `prepare` in `setup_on_node`, once per node, and `load` in `setup`, once per worker.
    """

    def prepare(self) -> None:  # noqa: B027 - what comes with a package needs nothing
        """Make sure that the model is on this node. Raises `InputError` if it is not and cannot be fetched."""

    def load(self) -> None:
        """Load the model into this worker, once; a second call does nothing."""
        there = loaded(self)
        if "model" not in there:
            there["model"] = self._load()

    @abstractmethod
    def _load(self) -> Any:
        """Return the loaded model. Imports the library that runs it."""

    @property
    def model(self) -> Any:
        """The loaded model; loads it if nobody has."""
        self.load()
        return loaded(self)["model"]


class LabelModel(ModelHandle):
    """Gives every text a probability for each of its labels."""

    @property
    @abstractmethod
    def labels(self) -> list[str]:
        """Names of the labels, in the order of the columns of `probabilities`. May load the model."""

    @abstractmethod
    def probabilities(self, texts: Sequence[str]) -> Matrix:
        """Return float32 of shape ``(texts, labels)``, values from 0 to 1. One call for a batch of texts, none of them blank."""


class EmbeddingModel(ModelHandle):
    """Gives every text a vector."""

    @property
    @abstractmethod
    def dimensions(self) -> int:
        """Length of a vector. May load the model."""

    @abstractmethod
    def embed(self, texts: Sequence[str]) -> Matrix:
        """Return float32 of shape ``(texts, dimensions)``. One call for a batch of texts, none of them blank."""


def check_file(path: str, what: str) -> None:
    """Raise `InputError` unless there is a file at `path`; `what` is the start of the sentence."""
    if not Path(path).is_file():
        message = f"{what} is not there: no file at {path}"
        raise InputError(message)


def digest_of_file(path: str) -> str | None:
    """Return a digest of a file's content; `None` if there is no such file on this machine.

    A handle of a file keeps it beside the path, so that a run with a checkpoint sees that there is another model under the same name.
    """
    try:
        status = os.stat(path)
        return _digest(path, status.st_size, status.st_mtime_ns)
    except OSError:
        return None  # `prepare` says so in words, where the model is needed


@lru_cache(maxsize=64)
def _digest(path: str, size: int, changed_ns: int) -> str:  # a file that changes is read again
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=_DIGEST_BYTES)).hexdigest()
