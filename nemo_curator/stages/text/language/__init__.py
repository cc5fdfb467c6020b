"""Which language and script a document is in. Importing this package imports no model library."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemo_curator.utils.lazy import lazy_names

if TYPE_CHECKING:
    from nemo_curator.stages.text.language.identifiers import (
        Cld3Identifier,
        FastTextIdentifier,
        LanguageIdentifier,
        Py3LangIdIdentifier,
        canonical_language,
        same_language,
    )
    from nemo_curator.stages.text.language.scripts import dominant_script, script_shares
    from nemo_curator.stages.text.language.stage import LanguageIdentificationStage

__all__ = [
    "Cld3Identifier",
    "FastTextIdentifier",
    "LanguageIdentificationStage",
    "LanguageIdentifier",
    "Py3LangIdIdentifier",
    "canonical_language",
    "dominant_script",
    "same_language",
    "script_shares",
]

_MODULES = {"LanguageIdentificationStage": "stage", "dominant_script": "scripts", "script_shares": "scripts"}

__getattr__ = lazy_names(__name__, {name: _MODULES.get(name, "identifiers") for name in __all__})


def __dir__() -> list[str]:
    return sorted(__all__)
