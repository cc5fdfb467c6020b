"""Published recipes for web text: what a corpus that many know was made with, as stages.

A recipe is a composite: a filter by language, and `ApplyRules`, which applies the rules of one or more papers in one pass. A rule set is
a `DocumentFilter` and a cleaner a `DocumentModifier`, so that each can also be used alone.

References:
    * C4: Raffel et al. 2020, "Exploring the Limits of Transfer Learning", arXiv 1910.10683, section 2.2.
    * Gopher: Rae et al. 2021, "Scaling Language Models", arXiv 2112.11446, section A.1.1 and table A1.
    * FineWeb: Penedo et al. 2024, "The FineWeb Datasets", arXiv 2406.17557, section 3.
"""

from nemo_curator.stages.text.recipes.c4 import C4Lines, C4Page, C4Sentences
from nemo_curator.stages.text.recipes.composites import (
    C4Recipe,
    FineWebRecipe,
    GopherRecipe,
    c4_rules,
    fineweb_rules,
    gopher_rules,
)
from nemo_curator.stages.text.recipes.fineweb import FineWebQuality
from nemo_curator.stages.text.recipes.gopher import GopherQuality, GopherRepetition
from nemo_curator.stages.text.recipes.rules import Cleaner, RuleSet
from nemo_curator.stages.text.recipes.stage import ApplyRules
from nemo_curator.stages.text.recipes.view import TextView

__all__ = [
    "ApplyRules",
    "C4Lines",
    "C4Page",
    "C4Recipe",
    "C4Sentences",
    "Cleaner",
    "FineWebQuality",
    "FineWebRecipe",
    "GopherQuality",
    "GopherRecipe",
    "GopherRepetition",
    "RuleSet",
    "TextView",
    "c4_rules",
    "fineweb_rules",
    "gopher_rules",
]
