"""Small moving pictures of clips."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemo_curator.utils.lazy import lazy_names

if TYPE_CHECKING:
    from nemo_curator.stages.video.preview.preview import PreviewStage

__all__ = ["PreviewStage"]

__getattr__ = lazy_names(__name__, {"PreviewStage": "preview"})


def __dir__() -> list[str]:
    return sorted(__all__)
