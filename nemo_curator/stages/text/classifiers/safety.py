"""Classifiers of prompts and of what should not be learnt: Aegis, InstructionDataGuard, PromptTaskComplexity; and toxicity."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from nemo_curator.errors import DataError, OptionError
from nemo_curator.stages.base import CompositeStage, ProcessingStage
from nemo_curator.stages.text.classifiers.named import Model, NamedClassifier
from nemo_curator.stages.text.classifiers.stage import ClassifierStage, ModelStageBase
from nemo_curator.stages.text.models.base import LabelModel, ModelHandle
from nemo_curator.stages.text.utils.columns import with_columns
from nemo_curator.tasks import DocumentBatch

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "AegisClassifier",
    "InstructionDataGuardClassifier",
    "PromptModel",
    "PromptTaskComplexityClassifier",
    "ToxicityClassifier",
]


class AegisClassifier(NamedClassifier):
    """Says whether a text is safe, or which kind of harm it does, as the model's categories have it.

    The published models are adapters of Llama Guard (7 billion weights, under an agreement), which answer in words; they are not run
    here. Any `LabelModel` with the wanted categories takes their place.

    Args:
        aegis_variant: ``defensive`` (when in doubt it is unsafe) or ``permissive``: the name of the published model.
        hf_token: Token of the hub.
        raw_output_field: Refused with `keep_raw_output`.
        keep_raw_output: Refused: a classifier answers with labels, not with words.
        max_chars: How much of a text the model gets.
        options: Those of `NamedClassifier`.
    """

    identifier = "nvidia/Aegis-AI-Content-Safety-LlamaGuard-Defensive-1.0"
    max_tokens = 4096
    default_label_field = "aegis_pred"
    default_max_chars = 6000
    default_batch_size = 64

    def __init__(
        self,
        aegis_variant: str = "nvidia/Aegis-AI-Content-Safety-LlamaGuard-Defensive-1.0",
        hf_token: str | None = None,
        raw_output_field: str = "_aegis_raw_pred",
        keep_raw_output: bool = False,
        **options: Any,
    ) -> None:
        if keep_raw_output:
            message = "AegisClassifier writes labels; there are no raw words to keep, so leave keep_raw_output out"
            raise OptionError(message)
        super().__init__(hf_token=hf_token, **options)
        self.aegis_variant = aegis_variant
        self.raw_output_field = raw_output_field


class InstructionDataGuardClassifier(NamedClassifier):
    """Says whether an instruction was made to poison a model: ``true`` or ``false``, and how likely it is.

    The model's second label, or the one named ``true``, ``poisoned`` or ``1``, is that it was.

    Args:
        cache_dir: Where the hub's downloads are kept.
        hf_token: Token of the hub.
        label_field: Column for the label.
        score_field: Column for the probability that it was.
        options: Those of `NamedClassifier`.
    """

    identifier = "nvidia/instruction-data-guard"
    max_tokens = 4096
    default_label_field = "is_poisoned"
    default_batch_size = 64

    def __init__(
        self,
        cache_dir: str | None = None,
        hf_token: str | None = None,
        label_field: str = "is_poisoned",
        score_field: str = "instruction_data_guard_poisoning_score",
        **options: Any,
    ) -> None:
        super().__init__(cache_dir, label_field, score_field, hf_token=hf_token, **options)

    def _stage(self, model: LabelModel, common: dict[str, Any]) -> ProcessingStage[Any, Any]:
        return ClassifierStage(_Poisoned(model), self.label_field, self.score_field, score_label="true", **common)


class _Poisoned(LabelModel):
    """A model of two labels, under the names ``false`` and ``true``."""

    def __init__(self, model: LabelModel) -> None:
        self.inner = model

    def prepare(self) -> None:
        self.inner.prepare()

    def _load(self) -> Any:
        self.inner.load()
        names = [label.lower() for label in self.inner.labels]
        if len(names) != 2:
            message = f"a guard of instructions has two labels; this model has {len(names)}"
            raise DataError(message)
        return next((at for at, name in enumerate(names) if name in {"true", "poisoned", "1"}), 1)

    @property
    def labels(self) -> list[str]:
        return ["false", "true"]

    def probabilities(self, texts: Sequence[str]) -> Any:
        return self.inner.probabilities(texts)[:, [1 - self.model, self.model]]


class PromptModel(ModelHandle):
    """Describes prompts. Subclass it for `PromptTaskComplexityClassifier`."""

    @abstractmethod
    def describe(self, texts: Sequence[str]) -> list[Mapping[str, Any]]:
        """Return for every prompt the values of all columns of `PromptTaskComplexityClassifier`."""


_COLUMNS = (
    "prompt_complexity_score", "task_type_1", "task_type_2", "task_type_prob", "creativity_scope", "reasoning",
    "contextual_knowledge", "number_of_few_shots", "domain_knowledge", "no_label_reason", "constraint_ct",
)  # fmt: skip


class PromptTaskComplexityClassifier(CompositeStage[DocumentBatch, DocumentBatch]):
    """Says what a prompt asks for, and how much that takes, in eleven columns.

    ``prompt_complexity_score, task_type_1, task_type_2, task_type_prob, creativity_scope, reasoning, contextual_knowledge,
    number_of_few_shots, domain_knowledge, no_label_reason, constraint_ct``; task types are strings, all others float64.

    Args:
        cache_dir: Not used: there is no model that could be fetched.
        text_field: Column of the prompt.
        filter_by: Refused: there is no single label.
        max_chars: How much of a prompt the model gets; by default all that its 512 tokens take.
        sort_by_length: Not used.
        model_inference_batch_size: Prompts in one call of the model.
        autocast: Not used.
        model: A `PromptModel`.
    """

    identifier = "nvidia/prompt-task-and-complexity-classifier"

    def __init__(
        self,
        cache_dir: str | None = None,
        text_field: str = "text",
        filter_by: Collection[str] | None = None,
        max_chars: int | None = None,
        sort_by_length: bool = True,
        model_inference_batch_size: int = 256,
        autocast: bool = True,
        *,
        model: PromptModel | None = None,
    ) -> None:
        super().__init__()
        if filter_by is not None:
            message = (
                "PromptTaskComplexityClassifier writes many columns and no label; filter on one of them with Filter"
            )
            raise NotImplementedError(message)
        self.name = type(self).__name__
        self.text_field = text_field
        self.max_chars = max_chars
        self.model_inference_batch_size = model_inference_batch_size
        self.model = model

    def decompose(self) -> list[ProcessingStage[Any, Any]]:
        """Return the one stage.

        Raises:
            OptionError: There is no model to ask.
        """
        if self.model is None:
            message = (
                f"{self.name} has no model: the published one, {self.identifier}, has eight heads that transformers does not build. "
                "Subclass PromptModel around it and give model=..."
            )
            raise OptionError(message)
        return [_PromptStage(self.model, self.text_field, self.max_chars, self.model_inference_batch_size)]


class _PromptStage(ModelStageBase):
    name = "PromptTaskComplexityClassifier_model"
    _model: PromptModel

    def __init__(self, model: PromptModel, text_field: str, max_chars: int | None, size: int) -> None:
        self._model = model
        self.text_field = text_field
        self.max_chars = max_chars
        self.size = size

    def outputs(self) -> tuple[list[str], list[str]]:
        return ["data"], list(_COLUMNS)

    def _apply(self, task: DocumentBatch, texts: list[str], asked: list[int]) -> DocumentBatch:
        import pyarrow as pa

        found: list[Mapping[str, Any]] = [{}] * task.num_items
        for start in range(0, len(texts), self.size):
            answers = self._model.describe(texts[start : start + self.size])
            for at, answer in zip(asked[start : start + self.size], answers, strict=True):
                found[at] = answer
        columns: dict[str, pa.Array] = {}
        for name in _COLUMNS:
            kind = pa.string() if name in {"task_type_1", "task_type_2"} else pa.float64()
            columns[name] = pa.array([each.get(name) for each in found], kind)
        return with_columns(task, columns)


class ToxicityClassifier(NamedClassifier):
    """Says whether a text insults or swears: ``toxic`` or ``clean``, with the probability of ``toxic``.

    By default with `ProfanityModel`, a small model of English words (extra ``toxicity``).

    Args:
        label_field: Column for the label.
        score_field: Column for the probability of ``toxic``; `None` for none.
        model: Another model with the labels ``clean`` and ``toxic``.
        options: Those of `NamedClassifier`.
    """

    identifier = "profanity"
    default_label_field = "toxicity_pred"

    def __init__(
        self,
        label_field: str = "toxicity_pred",
        score_field: str | None = "toxicity_score",
        *,
        model: Model | Literal["profanity"] = "profanity",
        **options: Any,
    ) -> None:
        from nemo_curator.stages.text.models.sklearn import ProfanityModel

        given = ProfanityModel() if model == "profanity" else model
        super().__init__(label_field=label_field, score_field=score_field, model=given, **options)

    def _stage(self, model: LabelModel, common: dict[str, Any]) -> ProcessingStage[Any, Any]:
        return ClassifierStage(model, self.label_field, self.score_field, score_label="toxic", **common)
