"""Stages that change pixels. Importing this package imports none of their libraries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemo_curator.utils.lazy import lazy_names

if TYPE_CHECKING:
    from nemo_curator.stages.image.transforms.resize import ImageResizeStage

__all__ = ["ImageResizeStage"]

__getattr__ = lazy_names(__name__, {"ImageResizeStage": "resize"})


def __dir__() -> list[str]:
    return sorted(__all__)
