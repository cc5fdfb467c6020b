"""`ApplyRules`: rule sets and cleaners, in order, in one pass over every document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nemo_curator.errors import OptionError
from nemo_curator.stages.text.recipes.rules import Cleaner, RuleSet
from nemo_curator.stages.text.recipes.view import TextView
from nemo_curator.stages.text.utils.excluding import ExcludingStage
from nemo_curator.stages.text.utils.rows import Rows
from nemo_curator.tasks import DocumentBatch

if TYPE_CHECKING:
    from nemo_curator.stages.text.io.writer.base import BaseWriter

__all__ = ["ApplyRules"]


class ApplyRules(ExcludingStage):
    """Drops the documents that break a rule and writes back what cleaners leave of the others.

    Words, lines and paragraphs of a document are worked out once for all rule sets, and again only after a cleaner has changed the text.
    A dropped document is counted under the first rule that it breaks, and meets no further one. A missing text counts as an empty one.

    Args:
        steps: Rule sets and cleaners; a cleaner changes what the steps after it see.
        text_field: Column of the text.
        name: Name of the stage.
        exclusions: Folder for the documents that are dropped, with the text as it came and the rule in a column ``drop_reason``, as JSON
            Lines; or a `ParquetWriter` or `JsonlWriter` for them; `None` to forget them.

    Raises:
        OptionError: No steps, something else among them, or steps for different languages.
    """

    outputs_are_complete = True

    def __init__(
        self,
        steps: Sequence[RuleSet | Cleaner],
        text_field: str = "text",
        name: str = "apply_rules",
        exclusions: str | BaseWriter | None = None,
    ) -> None:
        self.steps = list(steps)
        self.text_field = text_field
        self.name = name
        self._lang = _language(self.steps, name)
        self._exclude_to(exclusions)

    def inputs(self) -> tuple[list[str], list[str]]:
        """Return the column of text."""
        return ["data"], [self.text_field]

    def outputs(self) -> tuple[list[str], list[str]]:
        """Return the column of text, which cleaners change."""
        return ["data"], [self.text_field]

    def process(self, task: DocumentBatch) -> DocumentBatch:
        """Return the batch with the documents that break no rule; an empty batch where there are none."""
        rows = Rows(task)
        excluded: dict[int, str] = {}
        judged = [self.apply(text) for text in rows.texts(self.text_field, self.name)] if len(rows) else []
        before = rows.column(self.text_field) if judged else []
        kept = [
            value if left == (value or "") else left
            for value, (reason, left) in zip(before, judged, strict=True)
            if not reason
        ]
        self._drop(rows, [reason or None for reason, _ in judged], excluded)
        if kept and kept != rows.column(self.text_field):
            rows.set_column(self.text_field, kept)
        self._write_excluded(task, excluded)
        return rows.to_batch()

    def judge(self, text: str) -> str:
        """Return the name of the first rule that a text breaks; the empty string if it would be kept. For a look without a pipeline."""
        return self.apply(text)[0]

    def apply(self, text: str) -> tuple[str, str]:
        """Return the same, and what cleaners have left of the text by then."""
        view = TextView.in_language(text, self._lang)
        for step in self.steps:
            if isinstance(step, Cleaner):
                view = view.of(step.clean(view.text))
            elif reason := step.judge(view):
                return reason, view.text
        return "", view.text


def _language(steps: Sequence[Any], name: str) -> str:
    others = [step for step in steps if not isinstance(step, (RuleSet, Cleaner))]
    if others or not steps:
        message = (
            f"stage {name!r}: steps must be rule sets and cleaners, such as GopherQuality(); got {others or 'none'}"
        )
        raise OptionError(message)
    languages = sorted({step.lang for step in steps if hasattr(step, "lang")})
    if len(languages) > 1:
        message = (
            f"stage {name!r}: the steps are for different languages: {', '.join(languages)}. Use one stage for each"
        )
        raise OptionError(message)
    return languages[0] if languages else "en"
