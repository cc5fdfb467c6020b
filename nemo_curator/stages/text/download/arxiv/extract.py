"""From the TeX of a paper to its text."""

from __future__ import annotations

from typing import Any

from nemo_curator.stages.text.download.arxiv.tex import clean_tex
from nemo_curator.stages.text.download.base import DocumentExtractor

__all__ = ["ArxivExtractor"]


class ArxivExtractor(DocumentExtractor):
    """Takes the text out of TeX: from the first section to the bibliography or appendix, macros without arguments written out.

    Formulas and commands stay as they are.
    """

    def input_columns(self) -> list[str]:
        """Return what the iterator gives."""
        return ["id", "source_id", "content"]

    def output_columns(self) -> list[str]:
        """Return the columns of documents."""
        return ["text", "id", "source_id"]

    def extract(self, record: dict[str, Any]) -> dict[str, Any] | None:
        """Return the document of a paper; `None` if no text is left."""
        text = clean_tex(record["content"])
        return {"text": text, "id": record["id"], "source_id": record["source_id"]} if text else None
