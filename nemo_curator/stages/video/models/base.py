"""What a stage asks of a model that looks at frames. Any object with these methods will do, one of an image package too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["FrameEmbedder", "FrameScorer"]


@runtime_checkable
class FrameScorer(Protocol):
    """Gives each frame a number. Picklable before `setup`."""

    def setup(self) -> None:
        """Load the model. Called once per worker."""
        ...

    def __call__(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return n numbers for frames n x height x width x 3, uint8, RGB."""
        ...


@runtime_checkable
class FrameEmbedder(Protocol):
    """Gives each frame a vector. Picklable before `setup`."""

    def setup(self) -> None:
        """Load the model. Called once per worker."""
        ...

    def __call__(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return n vectors, n x d, for frames n x height x width x 3, uint8, RGB."""
        ...
