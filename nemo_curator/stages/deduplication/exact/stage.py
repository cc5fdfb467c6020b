"""`ExactDuplicatesRemovalStage`: keeps one of every set of equal texts."""

from __future__ import annotations

from hashlib import blake2b

from nemo_curator.stages.base import ProcessingStage, Topology
from nemo_curator.stages.text.utils.rows import Rows
from nemo_curator.tasks import DocumentBatch

__all__ = ["ExactDuplicatesRemovalStage"]

_DIGEST_BYTES = 16


class ExactDuplicatesRemovalStage(ProcessingStage[DocumentBatch, DocumentBatch]):
    """Removes documents whose text came before, anywhere in the stream.

    For what fits one worker: the stage sees all batches at once and remembers a digest of 16 bytes for every text, about
    100 bytes of memory each. Larger data sets need a workflow that works out of memory.

    Of equal texts the first is kept, in the order of tasks, then of rows. Empty texts are equal; a missing text equals no
    other and is kept. Tasks of which nothing is left stay as empty batches. What is removed is counted as
    ``exact_duplicate``.

    Args:
        text_field: Column of the text.
        normalize_text: Compare without regard to case and to the amount of white space.
        name: Name of the stage.
    """

    topology = Topology.BARRIER
    outputs_are_complete = True
    # What is kept depends on everything that came, so nothing that came can be finished on its own.
    is_resumable = False

    def __init__(
        self, text_field: str = "text", normalize_text: bool = False, name: str = "exact_duplicates_removal"
    ) -> None:
        self.text_field = text_field
        self.normalize_text = normalize_text
        self.name = name

    def inputs(self) -> tuple[list[str], list[str]]:
        """Return the column of text."""
        return ["data"], [self.text_field]

    def outputs(self) -> tuple[list[str], list[str]]:
        """No new columns."""
        return ["data"], []

    def process(self, task: DocumentBatch) -> DocumentBatch:
        """Return what is left of a single batch."""
        return self.process_batch([task])[0]

    def process_batch(self, tasks: list[DocumentBatch]) -> list[DocumentBatch]:
        """Return what is left of every batch, in the same order."""
        seen: set[bytes] = set()
        return [self._first_occurrences(task, seen) for task in tasks]

    def _first_occurrences(self, task: DocumentBatch, seen: set[bytes]) -> DocumentBatch:
        rows = Rows(task)
        mask: list[bool] = []
        for text in rows.column(self.text_field):
            if text is None:
                mask.append(True)
                continue
            digest = self._digest(text)
            mask.append(digest not in seen)
            seen.add(digest)
        rows.keep(mask)
        self.record_drops("exact_duplicate", mask.count(False))
        return rows.to_batch()

    def _digest(self, text: str) -> bytes:
        if self.normalize_text:
            text = " ".join(text.lower().split())
        return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_DIGEST_BYTES).digest()
