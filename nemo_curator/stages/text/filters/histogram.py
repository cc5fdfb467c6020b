"""A rule about the characters of a language."""

from __future__ import annotations

from pathlib import Path

from nemo_curator.errors import InputError
from nemo_curator.stages.text.filters.base import DocumentFilter

__all__ = ["HistogramFilter"]


class HistogramFilter(DocumentFilter):
    """Keeps texts most of whose characters are usual in a language, after M2M-100 (Fan et al. 2020, arXiv 2010.11125, section 3.1.3).

    What is usual says a histogram of characters: a file named after the language, a line for every character from the commonest to the
    rarest, with the character first. Characters before `threshold_char` are usual. The histograms of M2M-100, for 100 languages, are
    published with that model; they are not downloaded.

    Args:
        lang: Language, which names the file.
        threshold: Share of the characters of a text, without white space, that must be usual.
        cache_dir: Folder of the histograms.
        threshold_char: The first character that is no longer usual.

    Raises:
        InputError: There is no such file; a `FileNotFoundError`.
    """

    _name = "histogram"

    def __init__(
        self, lang: str = "en", threshold: float = 0.8, cache_dir: str = "", threshold_char: str = "]"
    ) -> None:
        self._threshold = threshold
        self._usual = _usual_characters(Path(cache_dir) / lang, threshold_char)

    def score_document(self, text: str) -> int:
        """Return 1 if enough characters are usual, else 0; also for a text without any."""
        characters = "".join(text.split())
        usual = sum(map(self._usual.__contains__, characters))
        return int(bool(characters) and usual >= self._threshold * len(characters))

    def keep_document(self, scores: int) -> bool:
        """Keep where enough are."""
        return scores == 1


def _usual_characters(path: Path, until: str) -> frozenset[str]:
    if not path.is_file():
        message = f"there is no histogram of characters at {path}; pass the folder of the histograms as cache_dir"
        raise InputError(message)
    usual: set[str] = set()
    with path.open(encoding="utf-8", newline="\n") as lines:
        for line in lines:
            if line.startswith(until):
                break
            usual.update(line[:1])
    return frozenset(usual)
