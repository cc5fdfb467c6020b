"""`ClassifierStage`: asks a model about every document, and writes what it says."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemo_curator.errors import DataError, OptionError
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.text.models.base import LabelModel
from nemo_curator.stages.text.models.batching import in_batches
from nemo_curator.stages.text.models.choose import make_label_model
from nemo_curator.stages.text.utils.columns import with_columns
from nemo_curator.stages.text.utils.excluding import ExcludingStage
from nemo_curator.stages.text.utils.rows import Rows
from nemo_curator.stages.worker_info import NodeInfo, WorkerMetadata
from nemo_curator.tasks import DocumentBatch
from nemo_curator.utils.arrow_arrays import arrow_array

if TYPE_CHECKING:
    import pyarrow as pa

    from nemo_curator.stages.text.io.writer.base import BaseWriter
    from nemo_curator.stages.text.models.base import Matrix

__all__ = ["ClassifierStage", "EducationalScoreStage", "ModelStageBase"]


class ModelStageBase(ProcessingStage[DocumentBatch, DocumentBatch]):
    """What stages with a model share: it is prepared once per node and loaded once per worker; blank texts are not shown to it.

    Batches for the model are made of the rows of one task, so that a result never depends on which tasks a worker was given.
    """

    outputs_are_complete = True

    text_field: str
    max_chars: int | None
    _model: Any
    """A `ModelHandle`; which kind, a subclass says."""

    def inputs(self) -> tuple[list[str], list[str]]:
        """Return the column of text."""
        return ["data"], [self.text_field]

    def ray_stage_spec(self) -> dict[str, Any]:
        """Ask for long-lived workers: the model is loaded once in each."""
        return {**super().ray_stage_spec(), "is_actor_stage": True}

    def setup_on_node(self, node_info: NodeInfo | None = None, worker_metadata: WorkerMetadata | None = None) -> None:
        """Make sure that the model is on this node."""
        self._model.prepare()

    def setup(self, worker_metadata: WorkerMetadata | None = None) -> None:
        """Load the model."""
        self._model.load()

    def process(self, task: DocumentBatch) -> DocumentBatch:
        """Return the batch with what the model says about it."""
        texts = [text[: self.max_chars] for text in Rows(task).texts(self.text_field, self.name)]
        asked = [at for at, text in enumerate(texts) if text and not text.isspace()]
        return self._apply(task, [texts[at] for at in asked], asked)

    @abstractmethod
    def _apply(self, task: DocumentBatch, texts: list[str], asked: list[int]) -> DocumentBatch:
        """Return the batch with new columns; `texts` are those of the rows `asked`, all others are blank."""


class _LabelStage(ModelStageBase, ExcludingStage):
    """A stage whose model gives probabilities."""

    _model: LabelModel
    model_inference_batch_size: int
    sort_by_length: bool
    label_field: str
    filter_by: list[str] | None

    def __init__(
        self,
        model: LabelModel,
        label_field: str,
        text_field: str,
        filter_by: Collection[str] | None,
        max_chars: int | None,
        sort_by_length: bool,
        model_inference_batch_size: int,
        name: str,
        exclusions: str | BaseWriter | None,
    ) -> None:
        check_arguments(filter_by, model_inference_batch_size)
        if exclusions is not None and filter_by is None:
            message = f"stage {name!r}: exclusions is where dropped documents go, so it needs filter_by; without it every document stays"
            raise OptionError(message)
        self._model = model
        self.label_field = label_field
        self.text_field = text_field
        self.filter_by = None if filter_by is None else list(filter_by)
        self.max_chars = max_chars
        self.sort_by_length = sort_by_length
        self.model_inference_batch_size = model_inference_batch_size
        self.name = name
        self._exclude_to(exclusions)

    def _ask(self, texts: Sequence[str]) -> Matrix:
        return in_batches(
            self._model.probabilities,
            texts,
            len(self._model.labels),
            size=self.model_inference_batch_size,
            sort=self.sort_by_length,
        )

    def _filtered(self, task: DocumentBatch, batch: DocumentBatch, labels: Sequence[str | None]) -> DocumentBatch:
        """Keep the rows whose label is wanted; count the others as ``<label_field>_other``, blank ones as ``<label_field>_blank``.

        Args:
            task: The batch as it came.
            batch: The same with labels and scores.
            labels: The labels.
        """
        if self.filter_by is None:
            return batch
        wanted = set(self.filter_by)
        rows = Rows(batch)
        blank, other = f"{self.label_field}_blank", f"{self.label_field}_other"
        reasons = [None if label in wanted else blank if label is None else other for label in labels]
        excluded: dict[int, str] = {}
        self._drop(rows, reasons, excluded)
        self._write_excluded(task, excluded)
        return rows.to_batch()


class ClassifierStage(_LabelStage):
    """Writes the likeliest label of every document, and how likely it is.

    A blank or missing text is not shown to the model; it has no label (null) and no score. With `filter_by` only documents of those
    labels stay; the others are counted as ``<label_field>_other``, blank ones as ``<label_field>_blank``.

    Args:
        model: A `LabelModel`, or what `make_label_model` makes one of: a file or the name of a model.
        label_field: Column for the label, a string.
        score_field: Column for its probability, float32; `None` for none.
        score_label: Write the probability of this label instead of the likeliest one's.
        probabilities_field: Column for all probabilities, a fixed-size list of float32 in the order of the model's labels.
        text_field: Column of the text.
        filter_by: Labels to keep.
        max_chars: How much of a text the model gets.
        sort_by_length: Put texts of like length into one batch of the model.
        model_inference_batch_size: Texts in one batch of the model.
        name: Name of the stage.
        exclusions: With `filter_by`, a folder for the documents that go, with the reason in a column ``drop_reason``, or a writer for them.
    """

    def __init__(
        self,
        model: LabelModel | str | Path,
        label_field: str = "label",
        score_field: str | None = None,
        *,
        score_label: str | None = None,
        probabilities_field: str | None = None,
        text_field: str = "text",
        filter_by: Collection[str] | None = None,
        max_chars: int | None = None,
        sort_by_length: bool = True,
        model_inference_batch_size: int = 256,
        name: str = "classifier",
        exclusions: str | BaseWriter | None = None,
    ) -> None:
        super().__init__(
            make_label_model(model),
            label_field,
            text_field,
            filter_by,
            max_chars,
            sort_by_length,
            model_inference_batch_size,
            name,
            exclusions,
        )
        self.score_field = score_field
        self.score_label = score_label
        self.probabilities_field = probabilities_field

    def outputs(self) -> tuple[list[str], list[str]]:
        """Return the columns of label, score and probabilities."""
        columns = (self.label_field, self.score_field, self.probabilities_field)
        return ["data"], [column for column in columns if column]

    def setup(self, worker_metadata: WorkerMetadata | None = None) -> None:
        """Load the model, and look whether it knows the labels that are asked for."""
        super().setup(worker_metadata)
        asked = {*(self.filter_by or ()), *([self.score_label] if self.score_label else ())}
        if unknown := sorted(asked - set(self._model.labels)):
            message = f"stage {self.name!r}: the model has no label {', '.join(map(repr, unknown))}; it has: {', '.join(self._model.labels[:50])}"
            raise OptionError(message)

    def _apply(self, task: DocumentBatch, texts: list[str], asked: list[int]) -> DocumentBatch:
        import pyarrow as pa

        probabilities = self._ask(texts)
        best = probabilities.argmax(axis=1) if len(texts) else []
        labels: list[str | None] = [None] * task.num_items
        for at, index in zip(asked, best, strict=True):
            labels[at] = self._model.labels[int(index)]
        columns: dict[str, pa.Array] = {self.label_field: arrow_array(labels, pa.string())}
        if self.score_field:
            fixed = self._model.labels.index(self.score_label) if self.score_label else None
            scores: list[float | None] = [None] * task.num_items
            for at, row, index in zip(asked, probabilities, best, strict=True):
                scores[at] = float(row[index if fixed is None else fixed])
            columns[self.score_field] = arrow_array(scores, pa.float32())
        if self.probabilities_field:
            columns[self.probabilities_field] = vectors(probabilities, asked, task.num_items)
        return self._filtered(task, with_columns(task, columns), labels)


class EducationalScoreStage(_LabelStage):
    """Writes the number that a regression gives every document: as it is, as a whole number from 0 to 5, and as a label.

    The label is ``high_quality`` from 2.5 on, else ``low_quality``: the threshold of 3 of FineWeb-Edu (Penedo et al. 2024,
    arXiv 2406.17557) on the rounded number.

    Args:
        model: A `LabelModel` with one column, the number.
        label_field: Column for the label; a blank text has none.
        float_score_field: Column for the number, float32.
        int_score_field: Column for the rounded number, int64.
        text_field: Column of the text.
        filter_by: Labels to keep.
        max_chars: How much of a text the model gets.
        sort_by_length: Put texts of like length into one batch of the model.
        model_inference_batch_size: Texts in one batch of the model.
        name: Name of the stage.
        exclusions: With `filter_by`, a folder for the documents that go, with the reason in a column ``drop_reason``, or a writer for them.
    """

    def __init__(
        self,
        model: LabelModel,
        label_field: str,
        float_score_field: str,
        int_score_field: str,
        *,
        text_field: str = "text",
        filter_by: Collection[str] | None = None,
        max_chars: int | None = None,
        sort_by_length: bool = True,
        model_inference_batch_size: int = 256,
        name: str = "educational_score",
        exclusions: str | BaseWriter | None = None,
    ) -> None:
        super().__init__(
            model,
            label_field,
            text_field,
            filter_by,
            max_chars,
            sort_by_length,
            model_inference_batch_size,
            name,
            exclusions,
        )
        self.float_score_field = float_score_field
        self.int_score_field = int_score_field

    def outputs(self) -> tuple[list[str], list[str]]:
        """Return the columns of label and scores."""
        return ["data"], [self.label_field, self.float_score_field, self.int_score_field]

    def setup(self, worker_metadata: WorkerMetadata | None = None) -> None:
        """Load the model, and look whether it returns one number."""
        super().setup(worker_metadata)
        if len(self._model.labels) != 1:
            message = f"stage {self.name!r} needs a model of one number, a regression; this one has {len(self._model.labels)} labels"
            raise DataError(message)

    def _apply(self, task: DocumentBatch, texts: list[str], asked: list[int]) -> DocumentBatch:
        import pyarrow as pa

        numbers: list[float | None] = [None] * task.num_items
        for at, (number,) in zip(asked, self._ask(texts), strict=True):
            numbers[at] = float(number)
        labels = [None if number is None else "high_quality" if number >= 2.5 else "low_quality" for number in numbers]
        rounded = [None if number is None else round(min(max(number, 0.0), 5.0)) for number in numbers]
        columns = {
            self.float_score_field: arrow_array(numbers, pa.float32()),
            self.int_score_field: arrow_array(rounded, pa.int64()),
            self.label_field: arrow_array(labels, pa.string()),
        }
        return self._filtered(task, with_columns(task, columns), labels)


def vectors(matrix: Matrix, asked: Sequence[int], count: int) -> pa.Array:
    """Return a column of `count` rows, a fixed-size list of float32 each: row k of the matrix in row ``asked[k]``, null elsewhere."""
    import numpy as np
    import pyarrow as pa

    width = matrix.shape[1]
    kind = pa.list_(pa.float32(), width)
    if len(asked) == count:
        return pa.FixedSizeListArray.from_arrays(
            arrow_array(np.ascontiguousarray(matrix).ravel(), pa.float32()), type=kind
        )
    everything = np.zeros((count, width), dtype=np.float32)
    everything[list(asked)] = matrix
    missing = np.ones(count, dtype=bool)
    missing[list(asked)] = False
    flat = arrow_array(everything.ravel(), pa.float32())
    return pa.FixedSizeListArray.from_arrays(flat, type=kind, mask=arrow_array(missing))


def check_arguments(filter_by: Collection[str] | None, batch_size: int) -> None:
    """Raise `OptionError` for what every stage with labels refuses."""
    if isinstance(filter_by, str):
        message = f"filter_by is a list of labels, got the string {filter_by!r}; write [{filter_by!r}]"
        raise OptionError(message)
    if batch_size < 1:
        message = f"model_inference_batch_size must be 1 or more, got {batch_size}"
        raise OptionError(message)
