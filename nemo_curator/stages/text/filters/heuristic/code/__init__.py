"""Rules about source code, after StarCoder: Li et al. 2023, arXiv 2305.06161, section 3.

They are not among the names of `nemo_curator.stages.text.filters.heuristic`, as they are about another kind of text; import them from
here. What a rule needs beyond the standard library is imported when it is used.
"""

from nemo_curator.stages.text.filters.heuristic.code.comments import (
    GeneralCommentToCodeFilter,
    PythonCommentToCodeFilter,
)
from nemo_curator.stages.text.filters.heuristic.code.extension import PerExtensionFilter
from nemo_curator.stages.text.filters.heuristic.code.surface import (
    AlphaFilter,
    HTMLBoilerplateFilter,
    NumberOfLinesOfCodeFilter,
    XMLHeaderFilter,
)
from nemo_curator.stages.text.filters.heuristic.code.tokenizer import TokenizerFertilityFilter

__all__ = [
    "AlphaFilter",
    "GeneralCommentToCodeFilter",
    "HTMLBoilerplateFilter",
    "NumberOfLinesOfCodeFilter",
    "PerExtensionFilter",
    "PythonCommentToCodeFilter",
    "TokenizerFertilityFilter",
    "XMLHeaderFilter",
]
