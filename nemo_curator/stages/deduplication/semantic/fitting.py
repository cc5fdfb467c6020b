"""The stages of k-means: one that does all of it in one worker, and one that does one pass over the files of a task."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nemo_curator.errors import DataError
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.deduplication.parts import PartFolder, PartTask
from nemo_curator.stages.deduplication.semantic.kmeans import KMeans, Scan, block_rows, fit
from nemo_curator.stages.deduplication.semantic.vectors import KEY, matrix_of, uniform
from nemo_curator.tasks import FileGroupTask, Task

if TYPE_CHECKING:
    from nemo_curator.stages.deduplication.semantic.vectors import Keys, Matrix, Vectors

__all__ = ["CENTROIDS", "AnswerTask", "FitStage", "ScanStage", "VectorFiles", "load_centroids"]

CENTROIDS = "kmeans_centroids.npy"
_FRACTION_SEED = 0xF17


@dataclass(repr=False)
class AnswerTask(Task[Any]):
    """What a worker found: `data` is the answer to a scan, or centroids with the number of iterations."""

    data: Any = field(default=None)

    @property
    def num_items(self) -> int:
        """Always 1."""
        return 1

    def validate(self) -> bool:
        """Any answer is fine."""
        return True


@dataclass(frozen=True)
class VectorFiles:
    """Files of `PrepareVectorsStage`, and which of their vectors take part.

    Attributes:
        folder: Where they are.
        field: Column of the vectors.
        most_rows: Vectors to compute with at a time, at most.
        fraction: The share that takes part, chosen by id; `None` for all.
        seed: Of that choice.
    """

    folder: PartFolder
    field: str
    most_rows: int
    fraction: float | None = None
    seed: int = 0

    def dimensions(self) -> int:
        """Return how many dimensions the vectors have; 0 if there are no files.

        Raises:
            DataError: Files have different ones.
        """
        known: dict[int, str] = {}
        for name in self.folder.names():
            with self.folder.reading(name) as file:
                known.setdefault(file.schema_arrow.field(self.field).type.list_size, name)
        if len(known) > 1:
            said = " and ".join(str(size) for size in sorted(known))
            message = (
                f"embeddings in column {self.field!r} have {said} dimensions in different files. They can only be compared if one model made "
                "all of them: embed again, or give embedding_dim, which names the file at fault"
            )
            raise DataError(message)
        return next(iter(known), 0)

    def blocks(self, names: Sequence[str], rows: int) -> Iterator[tuple[Vectors, Keys]]:
        """Yield the vectors, shape (n, d), and keys, shape (n,), of files, so many at a time."""
        for name in names:
            with self.folder.reading(name) as file:
                for batch in file.iter_batches(batch_size=rows, columns=[KEY, self.field]):
                    x, keys = matrix_of(batch[self.field]), batch[KEY].to_numpy()
                    if self.fraction is not None:
                        taken = uniform(keys, self.seed, _FRACTION_SEED) < self.fraction
                        x, keys = x[taken], keys[taken]
                    yield x, keys

    def answer(self, scan: Scan[Any], names: Sequence[str], dimensions: int) -> Any:
        """Return the answer for some files, of which a block at a time is in memory."""
        rows = block_rows(self.most_rows, scan.clusters, dimensions)
        return _answer(scan, self.blocks(names, rows), dimensions)


def _answer(scan: Scan[Any], blocks: Iterator[tuple[Vectors, Keys]], dimensions: int) -> Any:
    import numpy as np

    found = scan.over(np.zeros((0, dimensions)), np.zeros(0, np.uint64))
    for x, keys in blocks:
        found = scan.merged([found, scan.over(x.astype(np.float64), keys)])
    return found


class ScanStage(ProcessingStage[FileGroupTask, AnswerTask]):
    """Answers a question about the vectors in the files of a task."""

    def __init__(self, files: VectorFiles, scan: Scan[Any], dimensions: int, name: str = "kmeans_pass") -> None:
        self.files = files
        self.scan = scan
        self.dimensions = dimensions
        self.name = name

    def process(self, task: FileGroupTask) -> AnswerTask:
        """Return the answer."""
        names = [str(path).rsplit("/", 1)[-1] for path in task.data]
        return AnswerTask(task.dataset_name, self.files.answer(self.scan, names, self.dimensions))


class FitStage(ProcessingStage[PartTask, AnswerTask]):
    """Finds the centroids in one worker, which holds all vectors that take part: four bytes a dimension of each."""

    def __init__(self, files: VectorFiles, how: KMeans, dimensions: int, name: str = "kmeans_fit") -> None:
        self.files = files
        self.how = how
        self.dimensions = dimensions
        self.name = name

    def num_workers(self) -> int | None:
        """Return 1: there is one task."""
        return 1

    def process(self, task: PartTask) -> AnswerTask:
        """Return the centroids, and the number of iterations."""
        # As they were read: how they are cut makes no difference, and putting them together would take them twice.
        parts = [
            (x.copy(), keys.copy()) for x, keys in self.files.blocks(self.files.folder.names(), self.files.most_rows)
        ]

        def scan(asked: Scan[Any]) -> Any:
            rows = block_rows(self.files.most_rows, asked.clusters, self.dimensions)
            blocks = ((x[at : at + rows], keys[at : at + rows]) for x, keys in parts for at in range(0, len(x), rows))
            return _answer(asked, blocks, self.dimensions)

        return AnswerTask(task.dataset_name, fit(scan, self.how))


def load_centroids(kept: PartFolder) -> Matrix:
    """Return the centroids that a fit has kept, shape (k, d).

    Raises:
        DataError: They are gone or damaged.
    """
    import numpy as np

    content = kept.get(CENTROIDS)
    try:
        if content is not None:
            return np.load(io.BytesIO(content), allow_pickle=False)
    except (ValueError, EOFError):
        content = None
    message = f"{kept.path}/{CENTROIDS} is gone or damaged. Start again, without a checkpoint, to make it anew"
    raise DataError(message)
