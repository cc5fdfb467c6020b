"""Readers and writers of images. Importing this package imports none of them, nor their libraries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemo_curator.utils.lazy import lazy_names

if TYPE_CHECKING:
    from nemo_curator.stages.image.io.convert import ConvertImageBatchToDocumentBatchStage
    from nemo_curator.stages.image.io.folder_reader import ImageFolderReader, ImageFolderReaderStage
    from nemo_curator.stages.image.io.image_reader import ImageReaderStage
    from nemo_curator.stages.image.io.image_writer import ImageWriterStage

_MODULES = {
    "ConvertImageBatchToDocumentBatchStage": "convert",
    "ImageFolderReader": "folder_reader",
    "ImageFolderReaderStage": "folder_reader",
    "ImageReaderStage": "image_reader",
    "ImageWriterStage": "image_writer",
}

__all__ = [
    "ConvertImageBatchToDocumentBatchStage",
    "ImageFolderReader",
    "ImageFolderReaderStage",
    "ImageReaderStage",
    "ImageWriterStage",
]

__getattr__ = lazy_names(__name__, _MODULES)


def __dir__() -> list[str]:
    return sorted(__all__)
