"""What looks at frames: scorers and embedders. Importing this package imports no model library."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemo_curator.utils.lazy import lazy_names

if TYPE_CHECKING:
    from nemo_curator.stages.video.models.base import FrameEmbedder, FrameScorer
    from nemo_curator.stages.video.models.nsfw import OpenNsfwEmbedder, OpenNsfwScorer
    from nemo_curator.stages.video.models.onnx import OnnxFrameModel, OnnxFrameScorer
    from nemo_curator.stages.video.models.quality import BrightnessScorer, SharpnessScorer

_MODULES = {
    "BrightnessScorer": "quality",
    "FrameEmbedder": "base",
    "FrameScorer": "base",
    "OnnxFrameModel": "onnx",
    "OnnxFrameScorer": "onnx",
    "OpenNsfwEmbedder": "nsfw",
    "OpenNsfwScorer": "nsfw",
    "SharpnessScorer": "quality",
}

__all__ = [
    "BrightnessScorer",
    "FrameEmbedder",
    "FrameScorer",
    "OnnxFrameModel",
    "OnnxFrameScorer",
    "OpenNsfwEmbedder",
    "OpenNsfwScorer",
    "SharpnessScorer",
]

__getattr__ = lazy_names(__name__, _MODULES)


def __dir__() -> list[str]:
    return sorted(__all__)
