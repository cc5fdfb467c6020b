"""The steps that divide vectors by cluster: every one finds its centroid, and what has the same comes together in a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from nemo_curator.stages.deduplication.parts import PartFolder, PartTask, PartWriter
from nemo_curator.stages.deduplication.semantic.fitting import load_centroids
from nemo_curator.stages.deduplication.semantic.kmeans import block_rows, nearest, squared_lengths
from nemo_curator.stages.deduplication.semantic.vectors import KEY, matrix_of
from nemo_curator.stages.deduplication.shuffle import read_shuffled, write_by_part
from nemo_curator.stages.worker_info import WorkerMetadata
from nemo_curator.tasks import FileGroupTask
from nemo_curator.utils.output_manifest import RunOutput, WrittenFile

if TYPE_CHECKING:
    import pyarrow as pa

    from nemo_curator.stages.deduplication.semantic.vectors import Matrix

__all__ = ["COSINE_DISTANCE", "L2_DISTANCE", "AssignClustersStage", "WriteClustersStage"]

L2_DISTANCE, COSINE_DISTANCE = "l2_dist_to_cent", "cosine_dist_to_cent"
_CLUSTER = "_centroid"
_GROUP_BYTES = 32 << 20


class AssignClustersStage(PartWriter[FileGroupTask]):
    """Write, for a file of vectors, the same rows with the distance to the nearest centroid, sorted by the part that it belongs to.

    Args:
        vectors_path: Where `PrepareVectorsStage` has written.
        output_path: The folder for what is written.
        centroids_path: The folder with the centroids.
        centroids_state: Digest of these: others make another result.
        parts: Into how many parts clusters are divided.
        embedding_field: Column of the vectors.
        max_samples_per_batch: Vectors to compute with at a time, at most.
        storage_options: For the filesystem of URLs.
        name: Name of the stage.
    """

    def __init__(
        self,
        vectors_path: str,
        output_path: str,
        centroids_path: str,
        centroids_state: str,
        parts: int,
        embedding_field: str = "embeddings",
        max_samples_per_batch: int = 32768,
        storage_options: dict[str, Any] | None = None,
        name: str = "assign_clusters",
    ) -> None:
        self.vectors, self.folder, self.kept = (
            PartFolder.at(path, storage_options=storage_options) for path in (vectors_path, output_path, centroids_path)
        )
        self.centroids_state = centroids_state
        self.parts = parts
        self.embedding_field = embedding_field
        self.max_samples_per_batch = max_samples_per_batch
        self.name = name
        self._centroids: Matrix | None = None

    def setup(self, worker_metadata: WorkerMetadata | None = None) -> None:
        """Read the centroids."""
        self._centroids = load_centroids(self.kept)

    def teardown(self) -> None:
        """Forget them."""
        self._centroids = None

    def process(self, task: FileGroupTask) -> FileGroupTask:
        """Write the rows of a file."""
        import numpy as np
        import pyarrow as pa

        if self._centroids is None:
            self.setup()
        assert self._centroids is not None
        name = str(task.data[0]).rsplit("/", 1)[-1]
        rows = block_rows(self.max_samples_per_batch, *self._centroids.shape)
        with self.vectors.reading(name) as file:
            batches = [self._assigned(batch, self._centroids) for batch in file.iter_batches(batch_size=rows)]
        table = pa.Table.from_batches(batches)
        cluster = table[_CLUSTER].to_numpy().astype(np.int64)
        part = cluster * self.parts // len(self._centroids)
        return write_by_part(self.folder, task.task_id or name.removesuffix(".parquet"), table, part, self.parts, self)

    def _assigned(self, batch: pa.RecordBatch, centroids: Matrix) -> pa.RecordBatch:
        import numpy as np
        import pyarrow as pa

        x = matrix_of(batch[self.embedding_field]).astype(np.float64)
        labels, scores = nearest(x, centroids)
        own = centroids[labels]
        squares = squared_lengths(x)
        # Of every centroid once, so that it is the same number for all of its vectors.
        lengths = np.sqrt(squares * (centroids * centroids).sum(axis=1)[labels])
        cosine = 1 - np.einsum("ij,ij->i", x, own) / np.where(lengths > 0, lengths, np.inf)
        distance = np.sqrt(np.maximum(squares - 2 * scores, 0))
        columns = {field: batch[field] for field in batch.schema.names if field != KEY}
        columns |= {L2_DISTANCE: pa.array(distance), COSINE_DISTANCE: pa.array(cosine)}
        return pa.RecordBatch.from_pydict({**columns, _CLUSTER: pa.array(labels.astype(np.int32))})


class WriteClustersStage(PartWriter[PartTask]):
    """Write, for every cluster of a part, ``centroid=<k>/vectors.parquet``, sorted by id.

    Memory is what a part takes: the vectors of its clusters, twice.

    Args:
        assigned_path: Where `AssignClustersStage` has written.
        output_path: The folder for the folders of clusters.
        clusters: How many there are.
        id_field: Column of the ids.
        storage_options: For the filesystem of URLs.
        name: Name of the stage.
    """

    def __init__(
        self,
        assigned_path: str,
        output_path: str,
        clusters: int,
        id_field: str,
        storage_options: dict[str, Any] | None = None,
        name: str = "write_clusters",
    ) -> None:
        self.assigned = PartFolder.at(assigned_path, storage_options=storage_options)
        self.folder = PartFolder.at(output_path, storage_options=storage_options)
        self.clusters = clusters
        self.id_field = id_field
        self.name = name

    def process(self, task: PartTask) -> list[FileGroupTask]:
        """Write the clusters of a part.

        Raises:
            DataError: Ids are numbers in one file and text in another.
        """
        import numpy as np

        table = read_shuffled(self.assigned, self.assigned.names(), task.data, self)
        if not table.num_rows:
            return []
        table = table.sort_by([(_CLUSTER, "ascending"), (self.id_field, "ascending")])
        cluster = table[_CLUSTER].to_numpy()
        numbers, starts = np.unique(cluster, return_index=True)
        stops = np.append(starts[1:], len(cluster))
        rows = table.drop_columns([_CLUSTER])
        size = max(1, _GROUP_BYTES * table.num_rows // max(table.nbytes, 1))
        return [
            self._of(int(number)).write(
                "vectors", rows.slice(start, stop - start), self, row_group_size=size, use_dictionary=False
            )
            for number, start, stop in zip(numbers, starts, stops, strict=True)
        ]

    def _of(self, cluster: int) -> PartFolder:
        return PartFolder.at(self.folder.path, f"centroid={cluster}", storage_options=self.folder.storage_options)

    def commit_output(self, output: RunOutput) -> None:
        """Lay the manifests of all clusters down, and remove those of an earlier run that had more."""
        written: dict[str, list[WrittenFile]] = {}
        for file in output.files:
            written.setdefault(file.path.rsplit("/", 2)[-2], []).append(file)
        for name in sorted(set(self._there()) | written.keys()):
            folder = PartFolder.at(self.folder.path, name, storage_options=self.folder.storage_options)
            files = tuple(written.get(name, ()))
            if files:
                # With its own files alone: of thousands of clusters none shall look through the files of all.
                own = frozenset(file.path for file in files)
                folder.commit(replace(output, files=files, all_paths=own, earlier=(), stale=()))
            else:
                folder.remove()

    def _there(self) -> Sequence[str]:
        return [name for name in self.folder.listed() if name.startswith("centroid=")]
