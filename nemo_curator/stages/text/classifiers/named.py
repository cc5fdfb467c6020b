"""The classifiers of the pipeline API by their names: which model each stands for, and what it writes."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from nemo_curator.errors import OptionError
from nemo_curator.stages.base import CompositeStage, ProcessingStage
from nemo_curator.stages.text.classifiers.stage import ClassifierStage, EducationalScoreStage
from nemo_curator.stages.text.models.base import LabelModel
from nemo_curator.stages.text.models.choose import make_label_model
from nemo_curator.tasks import DocumentBatch

if TYPE_CHECKING:
    from nemo_curator.stages.text.io.writer.base import BaseWriter

__all__ = [
    "ContentTypeClassifier",
    "DomainClassifier",
    "FineWebEduClassifier",
    "FineWebMixtralEduClassifier",
    "FineWebNemotronEduClassifier",
    "MultilingualDomainClassifier",
    "NamedClassifier",
    "QualityClassifier",
]

Model = LabelModel | str | Path


class NamedClassifier(CompositeStage[DocumentBatch, DocumentBatch]):
    """A classifier that stands for one published model. It becomes one stage, which tokenizes, sorts by length, asks and filters.

    Subclasses say which model; its weights are in no package. Give `model` what you have: a `LabelModel`, a file, a folder.

    Args:
        cache_dir: Where the hub's downloads are kept.
        label_field: Column for the label.
        score_field: Column for its probability; `None` for none.
        text_field: Column of the text.
        filter_by: Labels to keep.
        max_chars: How much of a text the model gets.
        sort_by_length: Put texts of like length into one batch of the model.
        model_inference_batch_size: Texts in one batch of the model.
        autocast: Compute in half precision where there is a GPU.
        keep_tokens: Refused: tokens are never a column here.
        use_existing_tokens: Refused, for the same reason.
        model: The model, if it is not the published one, or not from the hub.
        hf_token: Token of the hub.
        exclusions: With `filter_by`, a folder for the documents that go, with the reason in a column ``drop_reason``, or a writer for them.
    """

    identifier: ClassVar[str]
    own_head: ClassVar[bool] = True
    """The published model has layers of its own on top, which no class of transformers builds, so the hub's files are not enough."""
    max_tokens: ClassVar[int] = 512
    default_label_field: ClassVar[str]
    default_max_chars: ClassVar[int | None] = None
    default_batch_size: ClassVar[int] = 256

    def __init__(
        self,
        cache_dir: str | None = None,
        label_field: str | None = None,
        score_field: str | None = None,
        text_field: str = "text",
        filter_by: Collection[str] | None = None,
        max_chars: int | None = None,
        sort_by_length: bool = True,
        model_inference_batch_size: int | None = None,
        autocast: bool = True,
        keep_tokens: bool = False,
        use_existing_tokens: bool = False,
        *,
        model: Model | None = None,
        hf_token: str | None = None,
        exclusions: str | BaseWriter | None = None,
    ) -> None:
        super().__init__()
        if keep_tokens or use_existing_tokens:
            message = f"{type(self).__name__} tokenizes within its own stage, so there are no tokens to keep or to use; leave it out"
            raise OptionError(message)
        self.name = type(self).__name__
        self.cache_dir = cache_dir
        self.label_field = label_field or self.default_label_field
        self.score_field = score_field
        self.text_field = text_field
        self.filter_by = None if filter_by is None else filter_by if isinstance(filter_by, str) else list(filter_by)
        self.max_chars = max_chars or self.default_max_chars
        self.sort_by_length = sort_by_length
        self.model_inference_batch_size = model_inference_batch_size or self.default_batch_size
        self.autocast = autocast
        self.model = model
        self.hf_token = hf_token
        self.exclusions = exclusions

    def decompose(self) -> list[ProcessingStage[Any, Any]]:
        """Return the one stage.

        Raises:
            OptionError: There is no model to ask.
        """
        return [self._stage(self._label_model(), self._common())]

    def _stage(self, model: LabelModel, common: dict[str, Any]) -> ProcessingStage[Any, Any]:
        return ClassifierStage(model, self.label_field, self.score_field, **common)

    def _common(self) -> dict[str, Any]:
        return {
            "text_field": self.text_field,
            "filter_by": self.filter_by,
            "max_chars": self.max_chars,
            "sort_by_length": self.sort_by_length,
            "model_inference_batch_size": self.model_inference_batch_size,
            "name": f"{self.name}_model",
            "exclusions": self.exclusions,
        }

    def _label_model(self) -> LabelModel:
        if self.model is None and self.own_head:
            message = (
                f"{self.name} has no model: the published one, {self.identifier}, has layers of its own that transformers does not build. "
                "Export it to ONNX and give model=OnnxLabelModel(path, labels=[...]), or give another model for the same labels"
            )
            raise OptionError(message)
        return make_label_model(
            self.identifier if self.model is None else self.model,
            cache_dir=self.cache_dir,
            hf_token=self.hf_token,
            max_tokens=self.max_tokens,
            autocast=self.autocast,
        )


class QualityClassifier(NamedClassifier):
    """Says how good a text is: ``High``, ``Medium`` or ``Low``, if the model is the published one."""

    identifier = "nvidia/quality-classifier-deberta"
    max_tokens = 1024
    default_label_field = "quality_pred"
    default_max_chars = 6000


class DomainClassifier(NamedClassifier):
    """Says what an English text is about."""

    identifier = "nvidia/domain-classifier"
    default_label_field = "domain_pred"
    default_max_chars = 2000


class MultilingualDomainClassifier(NamedClassifier):
    """Says what a text in any of 52 languages is about."""

    identifier = "nvidia/multilingual-domain-classifier"
    default_label_field = "multilingual_domain_pred"
    default_max_chars = 2000


class ContentTypeClassifier(NamedClassifier):
    """Says what kind of text it is: news, blog, review, ..."""

    identifier = "nvidia/content-type-classifier-deberta"
    max_tokens = 1024
    default_label_field = "content_pred"
    default_max_chars = 6000


class _EducationalClassifier(NamedClassifier):
    """Says how educational a text is, as a number from 0 to 5, and a label."""

    own_head = False
    prefix: ClassVar[str]

    def __init__(
        self,
        cache_dir: str | None = None,
        label_field: str | None = None,
        float_score_field: str | None = None,
        int_score_field: str | None = None,
        text_field: str = "text",
        **options: Any,
    ) -> None:
        super().__init__(cache_dir, label_field or f"{self.prefix}-score-label", None, text_field, **options)
        self.float_score_field = float_score_field or f"{self.prefix}-score-float"
        self.int_score_field = int_score_field or f"{self.prefix}-score-int"

    def _stage(self, model: LabelModel, common: dict[str, Any]) -> ProcessingStage[Any, Any]:
        return EducationalScoreStage(model, self.label_field, self.float_score_field, self.int_score_field, **common)


class FineWebEduClassifier(_EducationalClassifier):
    """The educational score of FineWeb-Edu (Penedo et al. 2024, arXiv 2406.17557)."""

    identifier = "HuggingFaceFW/fineweb-edu-classifier"
    prefix = "fineweb-edu"
    default_label_field = "fineweb-edu-score-label"


class FineWebMixtralEduClassifier(_EducationalClassifier):
    """An educational score, learnt from annotations by Mixtral 8x22B."""

    identifier = "nvidia/nemocurator-fineweb-mixtral-edu-classifier"
    prefix = "fineweb-mixtral-edu"
    default_label_field = "fineweb-mixtral-edu-score-label"
    default_batch_size = 1024


class FineWebNemotronEduClassifier(_EducationalClassifier):
    """An educational score, learnt from annotations by Nemotron-4 340B."""

    identifier = "nvidia/nemocurator-fineweb-nemotron-4-edu-classifier"
    prefix = "fineweb-nemotron-edu"
    default_label_field = "fineweb-nemotron-edu-score-label"
    default_batch_size = 1024
