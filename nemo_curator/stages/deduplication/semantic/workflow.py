"""`SemanticDeduplicationWorkflow`: finds what has nearly the same embedding, in any amount of data, whatever was embedded."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from nemo_curator.backends.base import BaseExecutor
from nemo_curator.errors import OptionError
from nemo_curator.pipeline import WorkflowBase, WorkflowRunResult
from nemo_curator.stages.deduplication.parts import GivenTasksStage, PartFolder, part_tasks
from nemo_curator.stages.deduplication.report import Chart
from nemo_curator.stages.deduplication.semantic.clusters import (
    COSINE_DISTANCE,
    L2_DISTANCE,
    AssignClustersStage,
    WriteClustersStage,
)
from nemo_curator.stages.deduplication.semantic.fitting import VectorFiles
from nemo_curator.stages.deduplication.semantic.fitting_workflow import fitted_centroids
from nemo_curator.stages.deduplication.semantic.identify_duplicates import IdentifyDuplicatesStage, check_eps
from nemo_curator.stages.deduplication.semantic.kmeans import KMeans
from nemo_curator.stages.deduplication.semantic.pairwise import PairwiseStage, ranking_for, score_counts, staying
from nemo_curator.stages.deduplication.semantic.pairwise_io import ClusterWiseFilePartitioningStage
from nemo_curator.stages.deduplication.semantic.prepare import PrepareVectorsStage, UniqueIdsStage
from nemo_curator.stages.deduplication.semantic.ranking import RankingStrategy
from nemo_curator.stages.deduplication.semantic.vectors import KEY
from nemo_curator.stages.deduplication.steps_workflow import DedupInput, Steps, reader_stage
from nemo_curator.tasks import FileGroupTask
from nemo_curator.utils.byte_sizes import parse_bytes_string_to_int
from nemo_curator.utils.file_listing import METADATA_DIRNAME

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["SemanticDeduplicationWorkflow"]

_BLOCK = "128MiB"
_PART_BYTES, _FEWEST_PARTS = 256 << 20, 16
_IDS_IN_PART = 4_000_000
_ROWS_IN_FILE = 4_000_000


class SemanticDeduplicationWorkflow(WorkflowBase):
    """K-means on embeddings, and in every cluster the comparison of all pairs: what is too similar to something ranked before it can go.

    It does not matter what was embedded: texts, images, videos, sounds. Embeddings are brought to length 1. Rows that cannot be compared
    (no embedding, NaN or infinity in it, zeros only) are left out and counted; they are never duplicates. The same comes out, to the last
    bit, on every backend, with any number of workers, and however the input is divided into files. Two that are alike but fall into
    different clusters are not found: fewer clusters find more and take longer.

    What it writes, in `cache_path`:

    * ``kmeans_results/centroid=<k>/vectors.parquet``: ids, embeddings, `metadata_fields`, ``l2_dist_to_cent``, ``cosine_dist_to_cent``.
    * ``kmeans_results/kmeans_centroids.npy``.
    * ``pairwise_results/cluster_<k>.parquet``: ``id``, ``max_id`` (the most similar that is ranked before), ``cosine_sim_score``; by rank.

    And in `output_path`, with `eps`:

    * ``duplicates/<hash>.parquet``: ``id`` of what is to be removed, sorted.

    Args:
        input_path: Files with ids and embeddings: a path, or a list.
        output_path: Folder for the result, or a URL.
        n_clusters: Clusters.
        cache_path: Folder for what is on the way, or a URL; `output_path` when not given.
        id_field: Column of the ids, whole numbers or text, unique.
        embedding_field: Column of the embeddings, lists of numbers.
        embedding_dim: How many dimensions there must be; any number, the same for all, when not given.
        metadata_fields: Columns to keep beside the embeddings, to rank by.
        input_filetype: ``"parquet"`` or ``"jsonl"``.
        input_file_extensions: What file names must end in.
        max_iter: Iterations of k-means, at most.
        tol: K-means ends when the centroids' squared moves add up to no more than this share of the vectors' mean variance.
        random_state: Seed of all that is chance.
        init: ``"k-means||"``, ``"random"``, or an array of first centroids, shape (n_clusters, d).
        n_init: How often k-means begins anew, to keep the best.
        oversampling_factor: For ``k-means||``: how many times `n_clusters` vectors are drawn in a round.
        max_samples_per_batch: Vectors to compute with at a time, at most; fewer where they are long or clusters many.
        fit_data_fraction: The share of vectors that k-means looks at, above 0 and up to 1; all of them when not given.
        distance_metric: ``"cosine"`` or ``"l2"``: by which distance from the centroid members are ranked.
        which_to_keep: ``"hard"`` ranks what is far from its centroid first, ``"easy"`` what is near, ``"random"`` shuffles.
        ranking_strategy: Another ranking, in place of the two before.
        pairwise_batch_size: So many by so many similarities are in memory at a time.
        eps: What is at least ``1 - eps`` similar to something ranked before it is a duplicate. Without it none are named.
        _duplicates_num_row_groups_hint: Row groups of the files of ids.
        read_kwargs: Options of the reader, and ``storage_options`` of the input.
        cache_kwargs: ``storage_options`` of the cache.
        write_kwargs: ``storage_options`` of the output.
        clear_output: Remove what an earlier run has written first; not where a checkpoint is gone on with.
        verbose: Has no meaning here: progress is logged, and shown by the executor.
        input_blocksize: Bytes in a task.
        fit_memory: K-means is done by one worker, in memory, if the vectors it looks at take no more than this (four bytes a dimension);
            else every pass goes through the files, divided among all workers. It makes no difference to what comes out.

    Raises:
        OptionError: A value that is not possible.
    """

    def __init__(
        self,
        input_path: str | list[str],
        output_path: str,
        n_clusters: int,
        cache_path: str | None = None,
        id_field: str = "id",
        embedding_field: str = "embeddings",
        embedding_dim: int | None = None,
        metadata_fields: list[str] | None = None,
        input_filetype: str = "parquet",
        input_file_extensions: list[str] | None = None,
        max_iter: int = 300,
        tol: float = 1e-4,
        random_state: int = 42,
        init: str | Any = "k-means||",
        n_init: int = 1,
        oversampling_factor: float = 2.0,
        max_samples_per_batch: int = 32768,
        fit_data_fraction: float | None = None,
        distance_metric: str = "cosine",
        which_to_keep: str = "hard",
        ranking_strategy: RankingStrategy | None = None,
        pairwise_batch_size: int = 1024,
        eps: float | None = None,
        _duplicates_num_row_groups_hint: int | None = None,
        read_kwargs: dict[str, Any] | None = None,
        cache_kwargs: dict[str, Any] | None = None,
        write_kwargs: dict[str, Any] | None = None,
        clear_output: bool = True,
        verbose: bool = True,
        input_blocksize: int | str | None = _BLOCK,
        fit_memory: int | str = "1GiB",
    ) -> None:
        self.how = KMeans(n_clusters, max_iter, tol, random_state, init, n_init, oversampling_factor)
        self.how.check()
        _check_numbers(max_samples_per_batch, fit_data_fraction, embedding_dim)
        if eps is not None:
            check_eps(eps)
        self.ranking = ranking_strategy or ranking_for(which_to_keep, distance_metric, random_state)
        self.id_field = id_field
        self.embedding_field = embedding_field
        self.embedding_dim = embedding_dim
        self.metadata_fields = _checked_fields(id_field, embedding_field, metadata_fields or [], self.ranking)
        self.input = DedupInput(
            input_path,
            input_filetype,
            input_blocksize,
            input_file_extensions,
            dict(read_kwargs or {}),
            embedding_field,
            id_field,
        )
        self.output_path = output_path
        self.cache_path = cache_path or output_path
        self.input.check_apart(self.cache_path, output_path)
        self.cache_options: dict[str, Any] | None = (cache_kwargs or {}).get("storage_options")
        self.output_options: dict[str, Any] | None = (write_kwargs or {}).get("storage_options")
        self.max_samples_per_batch = max_samples_per_batch
        self.fit_data_fraction = fit_data_fraction
        self.fit_memory = parse_bytes_string_to_int(fit_memory)
        self.eps = eps
        self.clear_output = clear_output
        self.row_groups_hint = _duplicates_num_row_groups_hint
        # Its checks come before anything is read.
        self.pairwise = PairwiseStage(
            self._cache("pairwise_results").path,
            self.ranking,
            id_field,
            embedding_field,
            pairwise_batch_size,
            self.cache_options,
            self.cache_options,
        )

    def run(
        self,
        kmeans_executor: BaseExecutor | None = None,
        pairwise_executor: BaseExecutor | None = None,
        checkpoint_path: str | None = None,
    ) -> WorkflowRunResult:
        """Find duplicates.

        Args:
            kmeans_executor: Where to run k-means; as for `Pipeline.run` when not given.
            pairwise_executor: Where to compare pairs and name duplicates; where k-means ran when not given.
            checkpoint_path: A folder in which every step notes how far it is: a run that was killed goes on there.

        Returns:
            Tasks of the pipelines ``input_filegroups``, ``kmeans`` and ``pairwise``; the metadata ``kmeans_time``, ``pairwise_time``, ``total_time`` (seconds)
            and ``num_duplicates`` (0 without `eps`).

        Raises:
            DataError: Embeddings are no lists of numbers, or of different lengths; ids are missing, of different kinds, or there twice.
            CuratorError: The run could not start, or ended early.
        """
        with Steps("semantic_deduplication", kmeans_executor, checkpoint_path) as steps:
            clusters, similar = self._cache("kmeans_results"), self.pairwise.folder
            found = PartFolder.at(self.output_path, "duplicates", storage_options=self.output_options)
            if self.clear_output and checkpoint_path is None:
                for folder in (clusters, similar, found):
                    folder.remove()
            vectors = self._prepare(steps)
            if vectors.folder.rows():
                self._cluster(steps, vectors, clusters)
            steps.discard(vectors.folder)
            steps.executor = pairwise_executor or steps.executor
            of, timed = "pairwise", "pairwise_time"
            source = ClusterWiseFilePartitioningStage(clusters.path, self.cache_options)
            if clusters.listed():
                steps.run("pairwise", source, self.pairwise, of=of, timed=timed)
            number = 0
            if self.eps is not None:
                self._identify(steps, similar, found, self.eps)
                number = found.rows()
            return steps.done(num_duplicates=number)

    @property
    def sampled_field(self) -> str | None:
        """The column that a report shows samples of: none, as embeddings say nothing to a person."""
        return None

    def kept_instead(self) -> pa.Table:
        """Return what a run has found: what goes, ``id``, and what stays in its place, ``kept``.

        What something is most similar to may itself go, for something that it is similar to; it is then that which stays.

        Raises:
            InputError: No run has come to its end.
        """
        import pyarrow as pa

        tables = [staying(table, 1 - (self.eps or 0)) for table in self._similar()] if self.eps is not None else []
        return (
            pa.concat_tables(tables)
            if tables
            else pa.table({"id": pa.array([], pa.int64()), "kept": pa.array([], pa.int64())})
        )

    def charts(self) -> list[Chart]:
        """Return what a report shows beside: how large clusters are, and how similar the most similar of them."""
        sizes: dict[int, int] = {}
        scores = [0] * 20
        for table in self._similar():
            sizes[table.num_rows] = sizes.get(table.num_rows, 0) + 1
            for place, number in enumerate(score_counts(table, len(scores))):
                scores[place] += number
        bars = [(f"{at / 20:.2f} to {(at + 1) / 20:.2f}", float(number)) for at, number in enumerate(scores)]
        wide = [(f"{low:,} to {2 * low - 1:,}", float(number)) for low, number in sorted(_by_powers(sizes).items())]
        return [
            Chart("Clusters by number of members", wide),
            Chart("Members by similarity to the most similar that is ranked before", bars),
        ]

    def _similar(self) -> Iterator[pa.Table]:
        for name in self.pairwise.folder.names():
            with self.pairwise.folder.reading(name) as file:
                yield file.read()

    def _cache(self, *inner: str) -> PartFolder:
        return PartFolder.at(self.cache_path, *inner, storage_options=self.cache_options)

    def _hidden(self, name: str) -> PartFolder:
        return self._cache(METADATA_DIRNAME, f"semantic_{name}")

    def _prepare(self, steps: Steps) -> VectorFiles:
        """Write the vectors, and see that no id is there twice."""
        groups = self.input.groups(steps, None)
        vectors, ids = self._hidden("vectors"), self._hidden("ids")
        fields = [self.id_field, self.embedding_field, *self.metadata_fields]
        reader = reader_stage(self.input.filetype, fields, self.input.read_kwargs)
        # There is no knowing yet how many rows there are; a part of ids is small beside the vectors of a task.
        parts = max(1, len(groups) // 4)
        preparing = PrepareVectorsStage(
            vectors.path,
            ids.path,
            parts,
            self.id_field,
            self.embedding_field,
            self.metadata_fields,
            self.embedding_dim,
            self.cache_options,
        )
        timed = "kmeans_time"
        steps.run("prepare_vectors", self.input.source(groups), reader, preparing, of=None, timed=timed)
        unique = UniqueIdsStage(ids.path, self.id_field, self.cache_options)
        steps.run("unique_ids", part_tasks(ids.state(), parts), unique, of=None, timed=timed)
        steps.discard(ids)
        return VectorFiles(
            vectors, self.embedding_field, self.max_samples_per_batch, self.fit_data_fraction, self.how.random_state
        )

    def _cluster(self, steps: Steps, files: VectorFiles, clusters: PartFolder) -> None:
        timed = "kmeans_time"
        centroids = fitted_centroids(steps, files, self.how, clusters, self.fit_memory, timed)
        vectors, assigned = files.folder, self._hidden("assigned")
        size = vectors.rows() * files.dimensions() * 4
        parts = min(len(centroids), max(_FEWEST_PARTS, -(-size // _PART_BYTES)))
        assigning = AssignClustersStage(
            vectors.path,
            assigned.path,
            clusters.path,
            hashlib.sha256(centroids.tobytes()).hexdigest(),
            parts,
            self.embedding_field,
            self.max_samples_per_batch,
            self.cache_options,
        )
        source = vectors.tasks_of_all()
        steps.run("assign_clusters", source, assigning, of=None, timed=timed)
        writing = WriteClustersStage(
            assigned.path, clusters.path, len(centroids), self.id_field, storage_options=self.cache_options
        )
        steps.run("write_clusters", part_tasks(assigned.state(), parts), writing, of="kmeans", timed=timed)
        steps.discard(assigned)

    def _identify(self, steps: Steps, similar: PartFolder, found: PartFolder, eps: float) -> None:
        there = similar.entries() if similar.listed() else {}
        groups: list[list[str]] = [[]]
        rows = 0
        for name in sorted(there):
            if rows >= _ROWS_IN_FILE:
                groups.append([])
                rows = 0
            groups[-1].append(f"{similar.path}/{name}")
            rows += there[name]["rows"]
        tasks: list[FileGroupTask] = [FileGroupTask("pairwise", group) for group in groups if group]
        # A task is a file of the output, so that which clusters share one does not depend on who was faster.
        naming = IdentifyDuplicatesStage(
            found.path, eps, self.cache_options, self.output_options, self.row_groups_hint
        ).with_(batch_size=1)
        steps.run(
            "identify_duplicates",
            GivenTasksStage(tasks, storage_options=self.cache_options),
            naming,
            of="pairwise",
            timed="pairwise_time",
        )


def _by_powers(sizes: dict[int, int]) -> dict[int, int]:
    """Return how many there are of sizes from every power of two on."""
    found: dict[int, int] = {}
    for size, number in sizes.items():
        low = 1 << (size.bit_length() - 1)
        found[low] = found.get(low, 0) + number
    return found


def _check_numbers(max_samples_per_batch: int, fit_data_fraction: float | None, embedding_dim: int | None) -> None:
    if max_samples_per_batch < 1:
        message = f"max_samples_per_batch must be at least 1, got {max_samples_per_batch}"
        raise OptionError(message)
    if fit_data_fraction is not None and not 0 < fit_data_fraction <= 1:
        message = f"fit_data_fraction must be above 0 and at most 1, got {fit_data_fraction}"
        raise OptionError(message)
    if embedding_dim is not None and embedding_dim < 1:
        message = f"embedding_dim must be at least 1, got {embedding_dim}"
        raise OptionError(message)


def _checked_fields(ids: str, embeddings: str, metadata: Sequence[str], ranking: RankingStrategy) -> list[str]:
    """Return the columns to keep beside, each once.

    Raises:
        OptionError: A name that has another meaning, or a column to rank by that is not kept.
    """
    fields = [name for name in dict.fromkeys(metadata) if name not in (ids, embeddings)]
    taken = [name for name in (*fields, ids, embeddings) if name in (L2_DISTANCE, COSINE_DISTANCE, KEY, "_centroid")]
    if taken or ids == embeddings:
        message = f"the columns {', '.join(taken) or ids} have a meaning of their own here; rename them in the input"
        raise OptionError(message)
    unknown = [name for name in ranking.metadata_cols if name not in (*fields, ids, L2_DISTANCE, COSINE_DISTANCE)]
    if unknown:
        message = f"the ranking is by {', '.join(unknown)}, which is not in metadata_fields: name it there too, so that it is kept"
        raise OptionError(message)
    return fields
