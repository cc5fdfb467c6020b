"""Text that was found in an image."""

from __future__ import annotations

from dataclasses import dataclass, field

from nemo_curator.tasks.image import ImageSampleTask, ImageTaskData

__all__ = ["OCRData", "OCRSampleTask", "OCRWord"]


@dataclass
class OCRWord:
    """One piece of recognised text.

    Attributes:
        text: What it says.
        polygon: Corner points ``(x, y)`` in pixels, clockwise from the top left.
        confidence: Probability in 0..1.
    """

    text: str
    polygon: list[tuple[float, float]]
    confidence: float = 1.0


def _no_words() -> list[OCRWord]:
    return []


@dataclass(kw_only=True)
class OCRData(ImageTaskData):
    """One image and the text in it."""

    words: list[OCRWord] = field(default_factory=_no_words)


@dataclass(repr=False, kw_only=True)
class OCRSampleTask(ImageSampleTask):
    """A task of one image whose text is read."""

    data: OCRData = field(default_factory=OCRData)  # pyright: ignore[reportIncompatibleVariableOverride] - a narrower payload
