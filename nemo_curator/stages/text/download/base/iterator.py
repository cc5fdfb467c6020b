"""`DocumentIterator`: the records of a downloaded file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

from nemo_curator.stages.text.download.base.part import DownloadPart

__all__ = ["DocumentIterator"]


class DocumentIterator(DownloadPart, ABC):
    """Knows a file format. Picklable; it is called in workers."""

    @abstractmethod
    def iterate(self, file_path: str) -> Iterator[dict[str, Any]]:
        """Yield the records of a file, in order, lazily.

        What is raised ends this file, after an error in the log; the records before it are kept. A record that is damaged by
        itself should be left out here, so that those after it are read.
        """

    @abstractmethod
    def output_columns(self) -> list[str]:
        """Return the keys that every record has."""
