"""`HoldsModel`: what stages of one model have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from nemo_curator.models.loaded import loaded
from nemo_curator.stages.worker_info import WorkerMetadata

__all__ = ["HoldsModel"]


class HoldsModel(ABC):
    """A stage that loads one model with its first `setup` and forgets it in `teardown`. Put it before the stage's other bases."""

    @abstractmethod
    def _new_model(self) -> Any:
        """Return the model, which is not loaded yet."""

    @property
    def _model(self) -> Any:
        there = loaded(self)
        if "model" not in there:
            there["model"] = self._new_model()
        return there["model"]

    def setup(self, worker_metadata: WorkerMetadata | None = None) -> None:
        """Load the model."""
        self._model.setup()

    def teardown(self) -> None:
        """Forget the model."""
        loaded(self).clear()
