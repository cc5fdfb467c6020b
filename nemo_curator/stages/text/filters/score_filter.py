"""`Score`, `Filter` and `ScoreFilter`: filters and plain functions as stages."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from nemo_curator.stages.text.filters.base import DocumentFilter
from nemo_curator.stages.text.utils.arguments import name_of, one_per_function
from nemo_curator.stages.text.utils.excluding import ExcludingStage
from nemo_curator.stages.text.utils.rows import Rows
from nemo_curator.stages.worker_info import NodeInfo, WorkerMetadata
from nemo_curator.tasks import DocumentBatch

if TYPE_CHECKING:
    from nemo_curator.stages.text.io.writer.base import BaseWriter

__all__ = ["Filter", "Score", "ScoreFilter"]

_log = logging.getLogger(__name__)

_MODEL_HOOKS = ("load_model", "load_tokenizer")


class _FilterStage(ExcludingStage):
    """What the three stages share: models are prepared, a stage is named after its functions, drops are counted."""

    outputs_are_complete = True

    _functions: list[Any]

    def setup_on_node(self, node_info: NodeInfo | None = None, worker_metadata: WorkerMetadata | None = None) -> None:
        """Let every filter fetch its model."""
        self._call_hooks("model_check_or_download")

    def setup(self, worker_metadata: WorkerMetadata | None = None) -> None:
        """Let every filter load its model and tokenizer."""
        self._call_hooks(*_MODEL_HOOKS)

    def ray_stage_spec(self) -> dict[str, Any]:
        """Ask for long-lived workers if a filter loads something into them."""
        has_model = any(_defines(function, hook) for function in self._functions for hook in _MODEL_HOOKS)
        return {**super().ray_stage_spec(), "is_actor_stage": has_model}

    def _call_hooks(self, *hooks: str) -> None:
        for function in self._functions:
            for hook in hooks:
                if _defines(function, hook):
                    getattr(function, hook)()

    def _keep(
        self,
        rows: Rows,
        function: Any,
        scores: Sequence[Any],
        invert: bool,
        excluded: dict[int, str],
        text_field: str | None = None,
    ) -> Counter[str]:
        """Keep the rows that pass; return how many characters the others had, by reason, if there is a text to measure."""
        keep = getattr(function, "keep_document", function)
        inverted = f"not_{_reason(function, None)}" if invert else None
        reasons = [
            None if bool(keep(score)) is not invert else inverted or _reason(function, score) for score in scores
        ]
        characters: Counter[str] = Counter()
        if text_field is not None and any(reasons):
            for text, reason in zip(rows.column(text_field), reasons, strict=True):
                if reason is not None:
                    characters[reason] += len(text) if isinstance(text, str) else 0
        self._drop(rows, reasons, excluded)
        return characters

    def _log_counts(self, before: int, after: int) -> None:
        _log.info("stage %s kept %d of %d documents", self.name, after, before)


class Score(_FilterStage):
    """Writes scores into a column and keeps every row.

    A `DocumentFilter` scores a missing text as the empty text; a plain function is given `None` for it.

    Args:
        score_fn: A `DocumentFilter`, a function of the text, or a list of those.
        score_field: Column for the score; a list of columns for several functions.
        text_field: Column of the text, or a list with one for each function.
        name: Name of the stage; by default that of the filter, ``score_fn`` for a function.
    """

    def __init__(
        self,
        score_fn: DocumentFilter | Callable[[Any], Any] | list[DocumentFilter | Callable[[Any], Any]],
        score_field: str | list[str],
        text_field: str | list[str] = "text",
        name: str | None = None,
    ) -> None:
        self.score_fn = self._functions = _as_functions(score_fn, "score_fn", "score_document")
        count = len(self.score_fn)
        self.score_field: list[str] = one_per_function(score_field, count, what="score_field", kind=str, shared=False)
        self.text_field: list[str] = one_per_function(text_field, count, what="text_field", kind=str)
        self.name = name or _stage_name(score_fn, "score")

    def inputs(self) -> tuple[list[str], list[str]]:
        """Return the columns of text."""
        return ["data"], _not_made_before(self.text_field, self.score_field)

    def outputs(self) -> tuple[list[str], list[str]]:
        """Return the columns of scores."""
        return ["data"], list(dict.fromkeys(self.score_field))

    def process(self, task: DocumentBatch) -> DocumentBatch:
        """Return the batch with the scores."""
        rows = Rows(task)
        for function, text_field, score_field in zip(self.score_fn, self.text_field, self.score_field, strict=True):
            rows.set_column(score_field, _scores(rows, function, text_field, self.name))
        return rows.to_batch()


class Filter(_FilterStage):
    """Keeps the rows whose score passes. A batch of which nothing is left stays as an empty batch.

    Args:
        filter_fn: A `DocumentFilter`, whose `keep_document` is asked, a function of the score, or a list of those, applied
            in order.
        filter_field: Column of the score; a list of columns for several functions.
        invert: Keep what would be dropped, and the other way round; or a list with one for each function.
        name: Name of the stage; by default that of the filter, ``filter_fn`` for a function.
        verbose: Log how many rows came and stayed.
        exclusions: Folder for the documents that are dropped, with the reason in a column ``drop_reason``, as JSON Lines; or a
            `ParquetWriter` or `JsonlWriter` for them; `None` to forget them.
    """

    def __init__(
        self,
        filter_fn: DocumentFilter | Callable[[Any], bool] | list[DocumentFilter | Callable[[Any], bool]],
        filter_field: str | list[str],
        invert: bool | list[bool] = False,
        name: str | None = None,
        verbose: bool = False,
        exclusions: str | BaseWriter | None = None,
    ) -> None:
        self.filter_fn = self._functions = _as_functions(filter_fn, "filter_fn", "keep_document")
        count = len(self.filter_fn)
        self.filter_field: list[str] = one_per_function(
            filter_field, count, what="filter_field", kind=str, shared=False
        )
        self.invert: list[bool] = one_per_function(invert, count, what="invert", kind=bool)
        self.name = name or _stage_name(filter_fn, "filter")
        self.verbose = verbose
        self._exclude_to(exclusions)

    def inputs(self) -> tuple[list[str], list[str]]:
        """Return the columns of scores."""
        return ["data"], sorted(set(self.filter_field))

    def outputs(self) -> tuple[list[str], list[str]]:
        """No new columns."""
        return ["data"], []

    def setup_on_node(self, node_info: NodeInfo | None = None, worker_metadata: WorkerMetadata | None = None) -> None:
        """Nothing: the scores are there, so no model is needed."""

    def setup(self, worker_metadata: WorkerMetadata | None = None) -> None:
        """Nothing: the scores are there, so no model is needed."""

    def ray_stage_spec(self) -> dict[str, Any]:
        """No worker state."""
        return {**super().ray_stage_spec(), "is_actor_stage": False}

    def process(self, task: DocumentBatch) -> DocumentBatch:
        """Return the batch with the rows that pass every function."""
        rows = Rows(task)
        excluded: dict[int, str] = {}
        for function, field, invert in zip(self.filter_fn, self.filter_field, self.invert, strict=True):
            self._keep(rows, function, rows.column(field), invert, excluded)
        self._write_excluded(task, excluded)
        if self.verbose:
            self._log_counts(task.num_items, len(rows))
        return rows.to_batch()


class ScoreFilter(_FilterStage):
    """Scores, and keeps the rows whose score passes. A batch of which nothing is left stays as an empty batch.

    Several filters apply in order, and a row that one of them drops is not scored by the next. A missing text is scored as
    the empty text. Every dropped row is counted under the reason that the filter gives (its name, by default), or under
    ``not_<name>`` where the filter is inverted; the characters of what goes are logged as the metric ``dropped_characters_<reason>``.

    Args:
        filter_obj: A `DocumentFilter`, an object with `score_document` and `keep_document`, or a list of those.
        text_field: Column of the text, or a list with one for each filter.
        score_field: Column that keeps the score; `None` to forget it; a list of those for several filters.
        invert: Keep what would be dropped, and the other way round; or a list with one for each filter.
        name: Name of the stage; by default that of the filter.
        verbose: Log how many rows came and stayed.
        exclusions: Folder for the documents that are dropped, with the reason in a column ``drop_reason``, as JSON Lines; or a
            `ParquetWriter` or `JsonlWriter` for them; `None` to forget them.
    """

    def __init__(
        self,
        filter_obj: DocumentFilter | list[DocumentFilter],
        text_field: str | list[str] = "text",
        score_field: str | list[str | None] | None = None,
        invert: bool | list[bool] = False,
        name: str | None = None,
        verbose: bool = False,
        exclusions: str | BaseWriter | None = None,
    ) -> None:
        self.filter_obj: list[DocumentFilter]
        self.filter_obj = self._functions = _as_functions(
            filter_obj, "filter_obj", "score_document", "keep_document", or_callable=False
        )
        count = len(self.filter_obj)
        self.text_field: list[str] = one_per_function(text_field, count, what="text_field", kind=str)
        self.score_field: list[str | None] = one_per_function(
            score_field, count, what="score_field", kind=str, shared=False, optional=True
        )
        self.invert: list[bool] = one_per_function(invert, count, what="invert", kind=bool)
        self.name = name or _stage_name(filter_obj, "score_filter")
        self.verbose = verbose
        self._exclude_to(exclusions)

    def inputs(self) -> tuple[list[str], list[str]]:
        """Return the columns of text."""
        return ["data"], _not_made_before(self.text_field, self.score_field)

    def outputs(self) -> tuple[list[str], list[str]]:
        """Return the columns of scores."""
        return ["data"], list(dict.fromkeys(field for field in self.score_field if field is not None))

    def process(self, task: DocumentBatch) -> DocumentBatch:
        """Return the batch with the rows that pass every filter, and their scores."""
        rows = Rows(task)
        excluded: dict[int, str] = {}
        characters: Counter[str] = Counter()
        steps = zip(self.filter_obj, self.text_field, self.score_field, self.invert, strict=True)
        for function, text_field, score_field, invert in steps:
            scores = _scores(rows, function, text_field, self.name)
            if score_field is not None:
                rows.set_column(score_field, scores)
            characters += self._keep(rows, function, scores, invert, excluded, text_field)
        self._write_excluded(task, excluded)
        self._log_metrics({f"dropped_characters_{reason}": count for reason, count in characters.items()})
        if self.verbose:
            self._log_counts(task.num_items, len(rows))
        return rows.to_batch()


def _scores(rows: Rows, function: Any, text_field: str, stage: str) -> list[Any]:
    if not len(rows):
        return []
    score = getattr(function, "score_document", None)
    if score is None:
        return [function(value) for value in rows.column(text_field)]
    with rows.as_texts(text_field, stage):
        if not isinstance(function, DocumentFilter):
            return [score(text) for text in rows.filled(text_field)]
        scores = function.score_many(rows.filled(text_field))
        return scores.tolist() if hasattr(scores, "tolist") else list(scores)  # pyright: ignore[reportAttributeAccessIssue]


def _reason(function: Any, score: Any) -> str:
    if isinstance(function, DocumentFilter) and score is not None:
        return function.drop_reason(score)
    return name_of(function, "filter_fn")


def _as_functions(value: Any, what: str, *methods: str, or_callable: bool = True) -> list[Any]:
    functions: list[Any] = list(value) if isinstance(value, list) else [value]
    if not functions:
        message = f"{what} is an empty list"
        raise ValueError(message)
    wanted = f"a DocumentFilter or an object with {' and '.join(methods)}" + (", or a function" if or_callable else "")
    for each in functions:
        has_methods = all(callable(getattr(each, method, None)) for method in methods)
        forgot_parentheses = has_methods and isinstance(each, type)
        if forgot_parentheses or not (has_methods or (or_callable and callable(each))):
            message = f"{what} must be {wanted}, or a list of those; got {each!r}"
            raise TypeError(message)
    return functions


def _stage_name(value: Any, kind: str) -> str:
    if not isinstance(value, list):
        return name_of(value, f"{kind}_fn") if hasattr(value, "keep_document") else f"{kind}_fn"
    names = [name_of(each, f"{kind}_fn") for each in value]
    return names[0] if len(names) == 1 else f"{kind}_chain_of_{'_'.join(names)}"


def _not_made_before(wanted: Sequence[str], made: Sequence[str | None]) -> list[str]:
    """Return the columns that the stage needs from outside: a later step may read what an earlier one wrote."""
    return sorted({field for at, field in enumerate(wanted) if field not in made[:at]})


def _defines(function: object, hook: str) -> bool:
    """Say whether that hook does something: overridden in a `DocumentFilter`, there at all in another object."""
    method = getattr(type(function), hook, None) or getattr(function, hook, None)
    return callable(method) and method is not getattr(DocumentFilter, hook)
