"""Rules of thumb about the surface of a text; no model, no package beyond the standard library.

A ratio of a text that has nothing to measure (no character, word, line or paragraph) is the score that fails the rule: 1.0
where the rule has a highest ratio, 0.0 where it has a lowest. So the empty text and white space are dropped by every ratio.
Counts and lengths of nothing are 0. Where a rule was published, its class names the paper; default limits are those of the
public NeMo Curator API.

References:
    * C4: Raffel et al. 2020, "Exploring the Limits of Transfer Learning", arXiv 1910.10683, section 2.2.
    * Gopher: Rae et al. 2021, "Scaling Language Models", arXiv 2112.11446, section A.1.1 and table A1.
    * RefinedWeb: Penedo et al. 2023, "The RefinedWeb Dataset for Falcon LLM", arXiv 2306.01116, appendix G.
"""

from nemo_curator.stages.text.filters.heuristic.repetition import (
    RepeatedLinesByCharFilter,
    RepeatedLinesFilter,
    RepeatedParagraphsByCharFilter,
    RepeatedParagraphsFilter,
    RepeatingDuplicateNGramsFilter,
    RepeatingTopNGramsFilter,
)
from nemo_curator.stages.text.filters.heuristic.string import (
    BoilerPlateStringFilter,
    BulletsFilter,
    CommonEnglishWordsFilter,
    EllipsisFilter,
    LongWordFilter,
    MeanWordLengthFilter,
    NonAlphaNumericFilter,
    NumbersFilter,
    ParenthesesFilter,
    PornographicUrlsFilter,
    PunctuationFilter,
    SubstringFilter,
    SymbolsToWordsFilter,
    UrlsFilter,
    WhiteSpaceFilter,
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
    "RepeatedLinesByCharFilter",
    "RepeatedLinesFilter",
    "RepeatedParagraphsByCharFilter",
    "RepeatedParagraphsFilter",
    "RepeatingDuplicateNGramsFilter",
    "RepeatingTopNGramsFilter",
    "SubstringFilter",
    "SymbolsToWordsFilter",
    "UrlsFilter",
    "WhiteSpaceFilter",
    "WordCountFilter",
    "WordsWithoutAlphabetsFilter",
]
