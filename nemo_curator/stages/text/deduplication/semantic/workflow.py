"""`TextSemanticDeduplicationWorkflow`: finds, and removes if asked to, documents that mean nearly the same."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Any

from nemo_curator.backends.base import BaseExecutor
from nemo_curator.errors import OptionError
from nemo_curator.pipeline import WorkflowBase, WorkflowRunResult
from nemo_curator.stages.deduplication.id_generator import CURATOR_DEDUP_ID_STR
from nemo_curator.stages.deduplication.parts import PartFolder
from nemo_curator.stages.deduplication.removal_step_workflow import remove_duplicates
from nemo_curator.stages.deduplication.report import Chart
from nemo_curator.stages.deduplication.semantic.ranking import RankingStrategy
from nemo_curator.stages.deduplication.semantic.workflow import SemanticDeduplicationWorkflow
from nemo_curator.stages.deduplication.steps_workflow import DedupInput, Steps, check_filetype, reader_stage
from nemo_curator.stages.text.embedders import EmbeddingCreatorStage
from nemo_curator.stages.text.io.writer import ParquetWriter
from nemo_curator.tasks import FileGroupTask

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["TextSemanticDeduplicationWorkflow"]

_BLOCK = "64MiB"


class TextSemanticDeduplicationWorkflow(WorkflowBase):
    """Embed texts, find those whose embeddings are nearly the same with `SemanticDeduplicationWorkflow`, and write the others.

    A blank or missing text has no embedding and stays.

    What it writes: ``<cache>/embeddings/*.parquet``, what `SemanticDeduplicationWorkflow` writes in ``<cache>/semantic_dedup`` and
    ``<output>/duplicates``, ``<output>/semantic_id_generator.json`` with `use_id_generator`, and ``<output>/deduplicated`` with
    `perform_removal`.

    Args:
        input_path: What to read: a path, or a list.
        output_path: Folder for the result, or a URL.
        cache_path: Folder for what is on the way, or a URL; `output_path` when not given.
        perform_removal: Write the documents that stay, too.
        text_field: Column of the text.
        embedding_field: Column for the embeddings.
        model_identifier: The model, as for `EmbeddingCreatorStage`: ``use-m3``, which a package ships, a path that ends in ``.onnx``, or a
            folder or a name on the hub.
        embedding_max_chars: How much of a text the model gets.
        embedding_pretokenize: Has no meaning here.
        embedding_vllm_init_kwargs: Not possible: models run on ONNX, NumPy or torch.
        hf_token: Token of the hub.
        model_cache_dir: Where the hub's downloads are kept.
        n_clusters: Clusters.
        id_field: Column of the ids, which must be unique.
        embedding_dim: How many dimensions embeddings must have.
        metadata_fields: Columns to keep beside the embeddings, to rank by.
        distance_metric: See `SemanticDeduplicationWorkflow`, and so for the following.
        which_to_keep: See above.
        eps: See above; `None` finds no duplicates.
        kmeans_max_iter: See above.
        kmeans_tol: See above.
        kmeans_random_state: See above.
        kmeans_init: See above.
        kmeans_n_init: See above.
        kmeans_oversampling_factor: See above.
        kmeans_max_samples_per_batch: See above.
        ranking_strategy: See above.
        pairwise_batch_size: See above.
        use_id_generator: Number the documents, in the column `id_field`, which they then do not have.
        id_generator_state_file: Where to note these numbers, in place of ``semantic_id_generator.json``.
        input_filetype: ``"parquet"`` or ``"jsonl"``.
        input_file_extensions: What file names must end in.
        input_files_per_partition: Files in a task.
        input_blocksize: Bytes in a task.
        output_filetype: ``"parquet"`` or ``"jsonl"``, of the documents that stay.
        output_file_extension: What names of their files end in.
        output_fields: Columns to write; `None` for all.
        read_kwargs: Options of the reader, and ``storage_options`` of the input.
        cache_kwargs: ``storage_options`` of the cache.
        write_kwargs: ``storage_options`` of the output, and options of its writer.
        verbose: Has no meaning here.
        clear_output: See `SemanticDeduplicationWorkflow`.
        fit_data_fraction: See `SemanticDeduplicationWorkflow`.

    Raises:
        OptionError: A value that is not possible.
    """

    def __init__(
        self,
        input_path: str | list[str],
        output_path: str,
        cache_path: str | None = None,
        perform_removal: bool = True,
        text_field: str = "text",
        embedding_field: str = "embeddings",
        model_identifier: str = "use-m3",
        embedding_max_chars: int | None = None,
        embedding_pretokenize: bool = False,
        embedding_vllm_init_kwargs: dict[str, Any] | None = None,
        hf_token: str | None = None,
        model_cache_dir: str | None = None,
        n_clusters: int = 100,
        id_field: str = CURATOR_DEDUP_ID_STR,
        embedding_dim: int | None = None,
        metadata_fields: list[str] | None = None,
        distance_metric: str = "cosine",
        which_to_keep: str = "hard",
        eps: float | None = 0.01,
        kmeans_max_iter: int = 300,
        kmeans_tol: float = 1e-4,
        kmeans_random_state: int = 42,
        kmeans_init: str | Any = "k-means||",
        kmeans_n_init: int = 1,
        kmeans_oversampling_factor: float = 2.0,
        kmeans_max_samples_per_batch: int = 32768,
        ranking_strategy: RankingStrategy | None = None,
        pairwise_batch_size: int = 1024,
        use_id_generator: bool = False,
        id_generator_state_file: str | None = None,
        input_filetype: str = "parquet",
        input_file_extensions: list[str] | None = None,
        input_files_per_partition: int | None = None,
        input_blocksize: int | str | None = None,
        output_filetype: str = "parquet",
        output_file_extension: str | None = None,
        output_fields: list[str] | None = None,
        read_kwargs: dict[str, Any] | None = None,
        cache_kwargs: dict[str, Any] | None = None,
        write_kwargs: dict[str, Any] | None = None,
        verbose: bool = True,
        clear_output: bool = True,
        fit_data_fraction: float | None = None,
    ) -> None:
        check_filetype("output_filetype", output_filetype)
        if embedding_vllm_init_kwargs:
            message = "embedding_vllm_init_kwargs is not possible: vLLM is not used here. Leave it out; model_identifier says what runs the model"
            raise OptionError(message)
        if perform_removal and eps is None:
            message = "perform_removal=True needs eps: how far from the same texts may be to count as duplicates"
            raise OptionError(message)
        if use_id_generator and id_field != CURATOR_DEDUP_ID_STR:
            message = f"use_id_generator=True numbers documents in the column {CURATOR_DEDUP_ID_STR!r}: leave id_field out, or name ids that are there"
            raise OptionError(message)
        if input_files_per_partition is not None and input_blocksize is not None:
            message = "give input_files_per_partition or input_blocksize, not both"
            raise OptionError(message)
        self.output_path, self.cache_path = output_path, cache_path or output_path
        self.perform_removal = perform_removal
        self.id_field = id_field
        self.fields = [text_field, *(field for field in metadata_fields or [] if field not in (text_field, id_field))]
        self.input = DedupInput(
            input_path,
            input_filetype,
            input_blocksize or _BLOCK,
            input_file_extensions,
            dict(read_kwargs or {}),
            text_field,
            None if use_id_generator else id_field,
            input_files_per_partition,
        )
        self.input.check_apart(self.cache_path, output_path)
        self.id_generator_path = id_generator_state_file or posixpath.join(output_path, "semantic_id_generator.json")
        self.output_options = dict(write_kwargs or {})
        self.storage_options: dict[str, Any] | None = self.output_options.pop("storage_options", None)
        self.writing = {
            "filetype": output_filetype,
            "file_extension": output_file_extension or output_filetype,
            "fields": output_fields,
            "write_kwargs": self.output_options,
        }
        cache: dict[str, Any] = dict(cache_kwargs or {})
        embeddings = posixpath.join(self.cache_path, "embeddings")
        self.embedder = EmbeddingCreatorStage(
            model_identifier=model_identifier,
            text_field=text_field,
            embedding_field=embedding_field,
            cache_dir=model_cache_dir,
            max_chars=embedding_max_chars,
            hf_token=hf_token,
        )
        kept = [field for field in self.fields if field != text_field or text_field in (metadata_fields or [])]
        self.writer = ParquetWriter(
            embeddings, write_kwargs=cache, fields=[id_field, embedding_field, *kept], mode="overwrite"
        )
        self.semantic = SemanticDeduplicationWorkflow(
            embeddings,
            output_path,
            n_clusters,
            posixpath.join(self.cache_path, "semantic_dedup"),
            id_field=id_field,
            embedding_field=embedding_field,
            embedding_dim=embedding_dim,
            metadata_fields=metadata_fields,
            max_iter=kmeans_max_iter,
            tol=kmeans_tol,
            random_state=kmeans_random_state,
            init=kmeans_init,
            n_init=kmeans_n_init,
            oversampling_factor=kmeans_oversampling_factor,
            max_samples_per_batch=kmeans_max_samples_per_batch,
            fit_data_fraction=fit_data_fraction,
            distance_metric=distance_metric,
            which_to_keep=which_to_keep,
            ranking_strategy=ranking_strategy,
            pairwise_batch_size=pairwise_batch_size,
            eps=eps,
            read_kwargs=cache,
            cache_kwargs=cache,
            write_kwargs={"storage_options": self.storage_options} if self.storage_options else {},
            clear_output=clear_output,
        )

    def run(self, executor: BaseExecutor | None = None, checkpoint_path: str | None = None) -> WorkflowRunResult:
        """Find duplicates; remove them if that was asked for.

        Args:
            executor: Where to run; as for `Pipeline.run` when not given.
            checkpoint_path: A folder in which every step notes how far it is: a run that was killed goes on there.

        Returns:
            Tasks of the pipelines ``input_filegroups``, ``embedding``, ``kmeans``, ``pairwise`` and, if asked for, ``removal``; the metadata
            ``embedding_time``, ``kmeans_time``, ``pairwise_time``, ``removal_time``, ``total_time`` (seconds), ``num_duplicates`` and
            ``id_generator_path``.

        Raises:
            DataError: Texts that are not text; ids that are missing, of different kinds, or there twice.
            CuratorError: The run could not start, or ended early.
        """
        with Steps("text_semantic_deduplication", executor, checkpoint_path) as steps:
            groups = self.input.groups(steps, None)
            numbered = self.input.id_field is None
            generator = None
            if numbered:
                generator = self.input.note_ids(groups, self.id_generator_path, self.storage_options)
            self._embed(steps, groups, numbered)
            inner = None if checkpoint_path is None else posixpath.join(checkpoint_path, "semantic")
            result = self.semantic.run(steps.executor, checkpoint_path=inner)
            for name in ("kmeans", "pairwise"):
                steps.result.add_pipeline_tasks(name, result.pipeline_tasks.get(name, []))
            found: dict[str, Any] = {
                name: result.get_metadata(name) for name in ("kmeans_time", "pairwise_time", "num_duplicates")
            }
            if self.perform_removal:
                self._remove(steps, groups)
            return steps.done(**found, id_generator_path=generator)

    @property
    def sampled_field(self) -> str | None:
        """The column that a report shows samples of."""
        return self.input.text_field

    def kept_instead(self) -> pa.Table:
        """Return what a run has found, see `SemanticDeduplicationWorkflow.kept_instead`."""
        return self.semantic.kept_instead()

    def charts(self) -> list[Chart]:
        """Return what a report shows beside, see `SemanticDeduplicationWorkflow.charts`."""
        return self.semantic.charts()

    def _embed(self, steps: Steps, groups: list[FileGroupTask], numbered: bool) -> None:
        fields = self.fields if numbered else [*self.fields, self.id_field]
        reader = reader_stage(self.input.filetype, fields, self.input.read_kwargs, generate=numbered)
        source = self.input.source(groups)
        steps.run("embedding", source, reader, self.embedder, self.writer, of="embedding", timed="embedding_time")

    def _remove(self, steps: Steps, groups: list[FileGroupTask]) -> None:
        duplicates = PartFolder.at(self.output_path, "duplicates", storage_options=self.storage_options)
        remove_duplicates(
            steps,
            self.input,
            groups,
            duplicates,
            self.output_path,
            self.storage_options,
            duplicate_id_field="id",
            **self.writing,
        )
