"""`LanguageIdentificationStage`: writes language, confidence and script of every document."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from nemo_curator.errors import OptionError
from nemo_curator.stages.text.language.identifiers import (
    UNKNOWN,
    LanguageIdentifier,
    canonical_language,
    make_identifier,
    same_language,
)
from nemo_curator.stages.text.language.scripts import dominant_script
from nemo_curator.stages.text.utils.columns import with_columns
from nemo_curator.stages.text.utils.excluding import ExcludingStage
from nemo_curator.stages.text.utils.rows import Rows
from nemo_curator.stages.worker_info import NodeInfo, WorkerMetadata
from nemo_curator.tasks import DocumentBatch
from nemo_curator.utils.arrow_arrays import arrow_array

if TYPE_CHECKING:
    import pyarrow as pa

    from nemo_curator.stages.text.io.writer.base import BaseWriter

__all__ = ["LanguageIdentificationStage"]

_Found = tuple[str, float]


class LanguageIdentificationStage(ExcludingStage):
    """Writes the language of a document, how sure the model is, and the script of most of its letters.

    Language: a code of ISO 639-1 where there is one, else of 639-3; ``und`` (confidence 0) for a text without letters, which no
    model is asked about, and for one in which the model knows nothing. Script: ISO 15924, see `dominant_script`; ``Zyyy`` for a text without letters.

    With a second model, a column says whether both name the same language or two of one macrolanguage (`same_language`). The first
    model's word is what is written.

    By default every document stays. With `drop=True` those go, and are counted as: ``language_unsure`` (confidence below
    `min_confidence`, or no letters), ``language_disputed`` (the models differ, with `require_agreement`), ``language_other`` (not in
    `languages`). With `drop=False` the first two have their language set to ``und`` instead, and `languages` is refused.

    Args:
        text_field: Column of the text; a missing text counts as an empty one.
        language_field: Column for the code, a string.
        confidence_field: Column for the first model's confidence, from 0 to 1.
        script_field: Column for the script; `None` leaves it out.
        model: ``fasttext``, ``cld3``, ``py3langid``, or an identifier.
        second_model: Another one, as a cross-check.
        agreement_field: Column for whether both agree, a boolean; without a second model there is none.
        min_confidence: Below it, the language is not certain.
        require_agreement: What the models differ on is not certain either.
        languages: Codes of the languages to keep; all by default.
        drop: Drop what is not certain or of another language.
        max_chars: How much of a text the models read. The script is that of the same part.
        name: Name of the stage.
        exclusions: With ``drop=True``, a folder for the documents that go, with the reason in a column ``drop_reason``, as JSON Lines; or a
            `ParquetWriter` or `JsonlWriter` for them; `None` to forget them.
    """

    outputs_are_complete = True

    def __init__(
        self,
        text_field: str = "text",
        language_field: str = "language",
        confidence_field: str = "language_confidence",
        script_field: str | None = "script",
        *,
        model: str | LanguageIdentifier = "fasttext",
        second_model: str | LanguageIdentifier | None = None,
        agreement_field: str = "language_agreement",
        min_confidence: float = 0.0,
        require_agreement: bool = False,
        languages: Collection[str] | None = None,
        drop: bool = False,
        max_chars: int = 10_000,
        name: str = "language_identification",
        exclusions: str | BaseWriter | None = None,
    ) -> None:
        _check_options(second_model, require_agreement, languages, drop)
        if exclusions is not None and not drop:
            message = (
                "exclusions is where dropped documents go, so it needs drop=True; without drop every document stays"
            )
            raise OptionError(message)
        self.text_field = text_field
        self.language_field = language_field
        self.confidence_field = confidence_field
        self.script_field = script_field
        self.agreement_field = agreement_field
        self.min_confidence = min_confidence
        self.require_agreement = require_agreement
        self.languages = None if languages is None else {canonical_language(code) for code in languages}
        self.drop = drop
        self.max_chars = max_chars
        self.name = name
        self._exclude_to(exclusions)
        self._first = make_identifier(model)
        self._second = None if second_model is None else make_identifier(second_model)

    def inputs(self) -> tuple[list[str], list[str]]:
        """Return the column of text."""
        return ["data"], [self.text_field]

    def outputs(self) -> tuple[list[str], list[str]]:
        """Return the columns of language, confidence, script and agreement."""
        optional = [self.script_field] * bool(self.script_field) + [self.agreement_field] * bool(self._second)
        return ["data"], [self.language_field, self.confidence_field, *(name for name in optional if name)]

    def ray_stage_spec(self) -> dict[str, object]:
        """Ask for long-lived workers: the models are loaded once in each."""
        return {**super().ray_stage_spec(), "is_actor_stage": True}

    def setup_on_node(self, node_info: NodeInfo | None = None, worker_metadata: WorkerMetadata | None = None) -> None:
        """Look whether the models are there."""
        for identifier in self._identifiers():
            identifier.prepare()

    def setup(self, worker_metadata: WorkerMetadata | None = None) -> None:
        """Load the models."""
        for identifier in self._identifiers():
            identifier.load()

    def process(self, task: DocumentBatch) -> DocumentBatch:
        """Return the batch with the columns, without the documents that are dropped."""
        texts = [text[: self.max_chars] for text in Rows(task).texts(self.text_field, self.name)]
        found = _identify(self._first, texts)
        agreed = self._agreements(texts, found)
        verdicts = [self._verdict(each, agrees) for each, agrees in zip(found, agreed, strict=True)]
        if not self.drop:
            found = [
                (code if why is None else UNKNOWN, sure) for (code, sure), why in zip(found, verdicts, strict=True)
            ]
        batch = with_columns(task, self._columns(texts, found, agreed))
        return self._without_dropped(task, batch, verdicts) if self.drop else batch

    def _identifiers(self) -> list[LanguageIdentifier]:
        return [identifier for identifier in (self._first, self._second) if identifier is not None]

    def _agreements(self, texts: Sequence[str], found: Sequence[_Found]) -> list[bool]:
        if self._second is None:
            return [True] * len(found)
        others = _identify(self._second, texts)
        return [same_language(one, other) for (one, _), (other, _) in zip(found, others, strict=True)]

    def _verdict(self, found: _Found, agrees: bool) -> str | None:
        """Return why a document's language is not certain or not wanted; `None` if it is."""
        code, confidence = found
        if code == UNKNOWN or confidence < self.min_confidence:
            return "language_unsure"
        if self.require_agreement and not agrees:
            return "language_disputed"
        return None if self.languages is None or code in self.languages else "language_other"

    def _columns(self, texts: Sequence[str], found: Sequence[_Found], agreed: Sequence[bool]) -> dict[str, pa.Array]:
        import pyarrow as pa

        columns = {
            self.language_field: arrow_array([code for code, _ in found], pa.string()),
            self.confidence_field: arrow_array([confidence for _, confidence in found], pa.float64()),
        }
        if self.script_field:
            columns[self.script_field] = arrow_array([dominant_script(text) for text in texts], pa.string())
        if self._second is not None:
            columns[self.agreement_field] = arrow_array(agreed, pa.bool_())
        return columns

    def _without_dropped(
        self, task: DocumentBatch, batch: DocumentBatch, verdicts: Sequence[str | None]
    ) -> DocumentBatch:
        rows = Rows(batch)
        excluded: dict[int, str] = {}
        self._drop(rows, verdicts, excluded)
        self._write_excluded(task, excluded)
        return rows.to_batch()


def _identify(identifier: LanguageIdentifier, texts: Sequence[str]) -> list[_Found]:
    """Ask about the texts that have a letter."""
    asked = [at for at, text in enumerate(texts) if any(map(str.isalpha, text))]
    found: list[_Found] = [(UNKNOWN, 0.0)] * len(texts)
    for at, answer in zip(asked, identifier.identify([texts[at] for at in asked]), strict=True):
        found[at] = answer
    return found


def _check_options(
    second_model: object, require_agreement: bool, languages: Collection[str] | None, drop: bool
) -> None:
    if require_agreement and second_model is None:
        message = "require_agreement=True needs a second model to agree with: second_model='cld3'"
        raise OptionError(message)
    if isinstance(languages, str):
        message = f"languages is a list of codes, got the string {languages!r}; write [{languages!r}]"
        raise OptionError(message)
    if languages is not None and not drop:
        message = "languages=[...] says what to keep, so it needs drop=True; without drop every document stays"
        raise OptionError(message)
