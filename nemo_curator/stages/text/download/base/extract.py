"""`DocumentExtractor`: from a record as it was downloaded to a document."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from nemo_curator.stages.text.download.base.part import DownloadPart

__all__ = ["DocumentExtractor"]


class DocumentExtractor(DownloadPart, ABC):
    """Makes a document of a record. Picklable; it is called in workers."""

    @abstractmethod
    def extract(self, record: dict[str, Any]) -> dict[str, Any] | None:
        """Return the document, or `None` if there is none in the record. The result depends on the record alone."""

    @abstractmethod
    def input_columns(self) -> list[str]:
        """Return the keys of records that it reads."""

    @abstractmethod
    def output_columns(self) -> list[str]:
        """Return the keys that every document has."""
