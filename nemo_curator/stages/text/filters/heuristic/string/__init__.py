"""Rules about characters, words, lines and what occurs in a text."""

from nemo_curator.stages.text.filters.heuristic.string.characters import (
    NonAlphaNumericFilter,
    NumbersFilter,
    ParenthesesFilter,
    WhiteSpaceFilter,
)
from nemo_curator.stages.text.filters.heuristic.string.lines import (
    BoilerPlateStringFilter,
    BulletsFilter,
    EllipsisFilter,
    PunctuationFilter,
)
from nemo_curator.stages.text.filters.heuristic.string.patterns import (
    PornographicUrlsFilter,
    SubstringFilter,
    UrlsFilter,
)
from nemo_curator.stages.text.filters.heuristic.string.words import (
    CommonEnglishWordsFilter,
    LongWordFilter,
    MeanWordLengthFilter,
    SymbolsToWordsFilter,
    WordCountFilter,
    WordsWithoutAlphabetsFilter,
)

__all__ = [
    "BoilerPlateStringFilter",
    "BulletsFilter",
    "CommonEnglishWordsFilter",
    "EllipsisFilter",
    "LongWordFilter",
    "MeanWordLengthFilter",
    "NonAlphaNumericFilter",
    "NumbersFilter",
    "ParenthesesFilter",
    "PornographicUrlsFilter",
    "PunctuationFilter",
    "SubstringFilter",
    "SymbolsToWordsFilter",
    "UrlsFilter",
    "WhiteSpaceFilter",
    "WordCountFilter",
    "WordsWithoutAlphabetsFilter",
]
