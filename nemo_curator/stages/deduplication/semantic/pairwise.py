"""`PairwiseStage`: for every member of a cluster, the most similar of those that are ranked before it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nemo_curator.errors import DataError, OptionError, require
from nemo_curator.stages.deduplication.columns import arrow_functions
from nemo_curator.stages.deduplication.parts import PartFolder, PartWriter
from nemo_curator.stages.deduplication.semantic.clusters import COSINE_DISTANCE, L2_DISTANCE
from nemo_curator.stages.deduplication.semantic.ranking import RankingStrategy
from nemo_curator.stages.deduplication.semantic.vectors import unit_vectors
from nemo_curator.tasks import FileGroupTask

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    from nemo_curator.stages.deduplication.semantic.vectors import Matrix, Vectors

__all__ = ["KEEP", "METRICS", "MOST_SIMILAR", "SCORE", "PairwiseStage", "most_similar_before", "ranking_for"]

MOST_SIMILAR, SCORE = "max_id", "cosine_sim_score"
METRICS = {"cosine": COSINE_DISTANCE, "l2": L2_DISTANCE}
KEEP = ("hard", "easy", "random")


def ranking_for(which_to_keep: str, distance_metric: str, seed: int = 42) -> RankingStrategy:
    """Return the strategy of a word: ``hard`` ranks what is far from its centroid first, ``easy`` what is near, ``random`` shuffles.

    Raises:
        OptionError: Unknown words.
    """
    for option, value, known in (
        ("which_to_keep", which_to_keep, KEEP),
        ("distance_metric", distance_metric, tuple(METRICS)),
    ):
        if value not in known:
            message = f"{option} must be one of {', '.join(map(repr, known))}; got {value!r}"
            raise OptionError(message)
    if which_to_keep == "random":
        return RankingStrategy.random(seed)
    return RankingStrategy.metadata_based([METRICS[distance_metric]], ascending=which_to_keep == "easy")


def most_similar_before(vectors: Vectors, rows_at_once: int) -> tuple[Matrix, npt.NDArray[np.int64]]:
    """Return, for every vector, the highest cosine similarity with one before it, and which that is; for the first, 0 and itself.

    Of several that are equally similar it is the first. The result does not depend on `rows_at_once`, to the last bit: see `vectors`.

    Args:
        vectors: Of length 1, on the grid, shape (n, d), in the order of their ranks.
        rows_at_once: So many by so many similarities are in memory at a time.
    """
    import numpy as np

    number = len(vectors)
    best, at = np.full(number, -np.inf), np.zeros(number, np.int64)
    squares = np.concatenate(
        [np.square(vectors[s : s + 4096].astype(np.float64)).sum(axis=1) for s in range(0, number, 4096)] or [[]]
    )
    for start in range(0, number, rows_at_once):
        rows = slice(start, start + rows_at_once)
        x = vectors[rows].astype(np.float64)
        for first in range(0, start + 1, rows_at_once):
            columns = slice(first, first + rows_at_once)
            found = x @ vectors[columns].astype(np.float64).T
            # The root of the product, not the product of roots: of a vector with itself this is 1 exactly.
            found /= np.sqrt(squares[rows, None] * squares[None, columns])
            if first == start:
                found[np.triu_indices(len(x))] = -np.inf
            where = np.argmax(found, axis=1)
            value = found[np.arange(len(x)), where]
            better = value > best[rows]
            best[rows][better], at[rows][better] = value[better], where[better] + first
    best[:1] = 0
    return np.minimum(best, 1), at


class PairwiseStage(PartWriter[FileGroupTask]):
    """Write, for a cluster, ``cluster_<k>.parquet`` with ``id``, ``max_id`` and ``cosine_sim_score``, in the order of ranks.

    ``max_id`` is the most similar of those that are ranked before, and the score their cosine similarity, from -1 to 1. The first, and what is
    alone in its cluster, has itself and 0. Time grows with the square of the largest cluster; memory is four bytes a dimension of each of its vectors.

    Args:
        output_path: The folder for the files.
        ranking_strategy: In which order members are ranked.
        id_field: Column of the ids.
        embedding_field: Column of the embeddings.
        pairwise_batch_size: So many by so many similarities are computed at a time.
        storage_options: For the filesystem of the clusters.
        output_storage_options: For the filesystem of the output.
        name: Name of the stage.

    Raises:
        OptionError: A number that is not possible.
    """

    def __init__(
        self,
        output_path: str,
        ranking_strategy: RankingStrategy,
        id_field: str = "id",
        embedding_field: str = "embeddings",
        pairwise_batch_size: int = 1024,
        storage_options: dict[str, Any] | None = None,
        output_storage_options: dict[str, Any] | None = None,
        name: str = "pairwise_similarity",
    ) -> None:
        if pairwise_batch_size < 1:
            message = f"stage {name!r}: pairwise_batch_size must be at least 1, got {pairwise_batch_size}"
            raise OptionError(message)
        self.folder = PartFolder.at(output_path, storage_options=output_storage_options)
        self.ranking_strategy = ranking_strategy
        self.id_field = id_field
        self.embedding_field = embedding_field
        self.pairwise_batch_size = pairwise_batch_size
        self.storage_options = storage_options
        self.name = name

    def check_before_run(self) -> None:
        """Raise `MissingExtra` if the packages that it needs are not installed."""
        for package in ("numpy", "pandas", "pyarrow"):
            require(package, extra="dedup", purpose=f"stage {self.name!r}")

    def process(self, task: FileGroupTask) -> FileGroupTask:
        """Write the similarities of a cluster.

        Raises:
            DataError: Embeddings that cannot be compared.
            OptionError: A column to rank by is missing.
        """
        import numpy as np
        import pyarrow as pa

        cluster = task._metadata["centroid_id"]
        table = self._read(task)
        where = f"stage {self.name!r}: column {self.embedding_field!r} of cluster {cluster}"
        vectors, rows, reasons = unit_vectors(_one(table[self.embedding_field]), where)
        if len(rows) != len(table):
            message = f"{where}: {len(table) - len(rows)} embeddings cannot be compared ({reasons}). Run k-means again, which leaves these out"
            raise DataError(message)
        frame: Any = table.drop_columns([self.embedding_field]).to_pandas()
        frame["_row"] = np.arange(len(table))
        order = self.ranking_strategy.rank_cluster(frame)["_row"].to_numpy()
        scores, most = most_similar_before(vectors[order], self.pairwise_batch_size)
        ids = _one(table[self.id_field]).take(pa.array(order))
        similar = pa.table({"id": ids, MOST_SIMILAR: ids.take(pa.array(most)), SCORE: scores})
        return self.folder.write(f"cluster_{cluster}", similar, self)

    def _read(self, task: FileGroupTask) -> pa.Table:
        import pyarrow as pa

        columns = {self.id_field, self.embedding_field, *self.ranking_strategy.metadata_cols}
        tables: list[pa.Table] = []
        for path in map(str, task.data):
            folder, name = path.rsplit("/", 1)
            with PartFolder.at(folder, storage_options=self.storage_options).reading(name) as file:
                there = [column for column in file.schema_arrow.names if column in columns]
                tables.append(file.read(columns=there))
        return pa.concat_tables(tables)


def _one(column: pa.ChunkedArray) -> pa.Array:
    import pyarrow as pa

    if column.num_chunks == 1:
        return column.chunk(0)
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)


def staying(similar: pa.Table, least: float) -> pa.Table:
    """Return what goes of a cluster, ``id``, and what stays in its place, ``kept``: the end of the chain of those that are most similar.

    Args:
        similar: What `PairwiseStage` has written for the cluster.
        least: The similarity from which on something goes.
    """
    import numpy as np
    import pyarrow as pa

    pc = arrow_functions()
    ids = _one(similar["id"])
    goes = similar[SCORE].to_numpy() >= least
    goes[:1] = False
    place = pc.index_in(_one(similar[MOST_SIMILAR]), value_set=ids).to_numpy()
    root = np.where(goes, place, np.arange(len(ids)))
    while not np.array_equal(root[root], root):
        root = root[root]
    rows = np.flatnonzero(goes)
    return pa.table({"id": ids.take(pa.array(rows)), "kept": ids.take(pa.array(root[rows]))})


def score_counts(similar: pa.Table, bins: int) -> list[int]:
    """Return how many members of a cluster have a score in each of so many even bins from 0 to 1; those below 0 are in the first."""
    import numpy as np

    scores = np.clip(similar[SCORE].to_numpy()[1:], 0, 1)
    return np.histogram(scores, bins, (0, 1))[0].tolist()
