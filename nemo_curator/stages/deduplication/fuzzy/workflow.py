"""`FuzzyDeduplicationWorkflow`: finds, and removes if asked to, documents with nearly the same text, in any amount of them."""

from __future__ import annotations

import logging
import posixpath
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from nemo_curator.backends.base import BaseExecutor
from nemo_curator.errors import OptionError
from nemo_curator.pipeline import WorkflowBase, WorkflowRunResult
from nemo_curator.stages.deduplication.columns import arrow_functions
from nemo_curator.stages.deduplication.fuzzy.buckets_to_edges import BucketsToEdgesStage
from nemo_curator.stages.deduplication.fuzzy.detection import describe_detection
from nemo_curator.stages.deduplication.fuzzy.groups import (
    GROUP,
    ConnectedComponentsStage,
    FuzzyDuplicateIdentification,
    parts_of,
)
from nemo_curator.stages.deduplication.fuzzy.lsh import BandHashStage, LSHStage
from nemo_curator.stages.deduplication.fuzzy.minhash import MinHashStage
from nemo_curator.stages.deduplication.fuzzy.verification import DUPLICATE_OF, CollectGroupsStage, VerifyGroupsStage
from nemo_curator.stages.deduplication.parts import GivenTasksStage, PartFolder, part_tasks
from nemo_curator.stages.deduplication.steps_workflow import DedupInput, Steps
from nemo_curator.tasks import FileGroupTask
from nemo_curator.utils.file_listing import METADATA_DIRNAME

if TYPE_CHECKING:
    import pyarrow as pa

    from nemo_curator.stages.deduplication.report import Chart

__all__ = ["FuzzyDeduplicationWorkflow"]

_log = logging.getLogger(__name__)

_GENERATOR = "fuzzy_id_generator.json"
_CONNECTED = ("connected_components", "connected_components_pipeline_time")
# A row of a shuffle takes some 100 bytes while it is sorted, so a part takes about 400 MB.
_ROWS_IN_PART = 4_000_000
_DOCUMENTS_IN_PART = 50_000


class FuzzyDeduplicationWorkflow(WorkflowBase):
    """MinHash, locality-sensitive hashing and connected components: the documents of a component are taken for duplicates, and one of them stays.

    Which pairs are found is a matter of chance that `detection_probability` tells; it is logged before the run. With the seed it
    is the same chance in every run, on every backend, with any number of workers, and however the input is grouped.

    What it writes, in `cache_path`:

    * ``MinHashStage/<task id>.parquet``: ``_curator_dedup_id``, ``_minhash_signature``.
    * ``LSHStage/band_<a>-band_<b>/part.<N>.parquet``, for bands from a to before b: ``_bucket_id`` and the list of ids, of two and more.
    * ``BucketsToEdgesStage/<task id>.parquet``: ``_curator_dedup_id_x``, ``_curator_dedup_id_y``.
    * ``ConnectedComponentsStage/<task id>.parquet``: ``_curator_dedup_id``, ``_duplicate_group_id``, the id of the document that stays.

    And in `output_path`:

    * ``FuzzyDuplicateIds/part.<N>.parquet``: the ids to remove, sorted.
    * ``FuzzyDuplicateOf/part.<N>.parquet``, with `verify_jaccard`: the same ids, each with that of the document that stays,
      ``_duplicate_of``, and how similar the two are, ``_jaccard``.
    * ``fuzzy_id_generator.json``: the ids that documents were given.
    * ``deduplicated/``: the documents that stay, with `perform_removal`.

    Args:
        cache_path: Folder for what is on the way, or a URL.
        output_path: Folder for the result, or a URL.
        input_path: What to read: a path, or a list; not needed when `run` is given tasks.
        input_filetype: ``"parquet"`` or ``"jsonl"``.
        input_blocksize: Bytes in a task.
        input_file_extensions: What file names must end in.
        read_kwargs: Options of the reader, and ``storage_options`` of the input.
        cache_kwargs: ``storage_options`` of the cache.
        write_kwargs: ``storage_options`` of the output.
        text_field: Column of the text.
        perform_removal: Write the documents that stay, too.
        seed: Of the hash functions.
        char_ngrams: Characters in an n-gram; fewer than 20 make false positives.
        num_bands: Bands of a signature.
        minhashes_per_band: Numbers in a band.
        use_64_bit_hash: Hash n-grams to 64 bits instead of 32, of which some of millions are the same by chance. That moves an estimate by
            less than its own error, and takes five to eight times as long and twice the space.
        bands_per_iteration: Bands that are brought together at a time: more need more space on disk, fewer more passes.
        lsh_num_output_partitions: Into how many parts the digests of these are divided; by the number of documents when not given.
        lsh_rmm_pool_size: For GPUs; not looked at, and so are the next three.
        lsh_spill_memory_limit: See `lsh_rmm_pool_size`.
        env_vars: See `lsh_rmm_pool_size`.
        use_async_memory: See `lsh_rmm_pool_size`.
        normalize_text: Compare texts in lower case, with every run of white space as one space and none at the ends.
        verify_jaccard: Read the texts of every group again, and remove only documents whose Jaccard similarity with one that stays is at
            least this, above 0 and up to 1. Not when not given.

    Raises:
        OptionError: A value that is not possible.
    """

    def __init__(
        self,
        cache_path: str,
        output_path: str,
        input_path: str | list[str] | None = None,
        input_filetype: str = "parquet",
        input_blocksize: int | str | None = "256MiB",
        input_file_extensions: list[str] | None = None,
        read_kwargs: dict[str, Any] | None = None,
        cache_kwargs: dict[str, Any] | None = None,
        write_kwargs: dict[str, Any] | None = None,
        text_field: str = "text",
        perform_removal: bool = False,
        seed: int = 42,
        char_ngrams: int = 24,
        num_bands: int = 20,
        minhashes_per_band: int = 13,
        use_64_bit_hash: bool = False,
        bands_per_iteration: int = 5,
        lsh_num_output_partitions: int | None = None,
        lsh_rmm_pool_size: int | str | None = "auto",
        lsh_spill_memory_limit: int | str | None = "auto",
        env_vars: dict[str, Any] | None = None,
        use_async_memory: bool = True,
        normalize_text: bool = False,
        verify_jaccard: float | None = None,
    ) -> None:
        if num_bands < 1 or minhashes_per_band < 1:
            message = f"num_bands and minhashes_per_band must be at least 1, got {num_bands} and {minhashes_per_band}"
            raise OptionError(message)
        if not 1 <= bands_per_iteration <= num_bands:
            message = f"bands_per_iteration must be from 1 to num_bands, {num_bands}; got {bands_per_iteration}"
            raise OptionError(message)
        if lsh_num_output_partitions is not None and lsh_num_output_partitions < 1:
            message = f"lsh_num_output_partitions must be at least 1, got {lsh_num_output_partitions}"
            raise OptionError(message)
        if verify_jaccard is not None and not 0 < verify_jaccard <= 1:
            message = f"verify_jaccard must be above 0 and at most 1, got {verify_jaccard}"
            raise OptionError(message)
        self.cache_path = cache_path
        self.output_path = output_path
        self.verify_jaccard = verify_jaccard
        self.input = DedupInput(
            input_path, input_filetype, input_blocksize, input_file_extensions, dict(read_kwargs or {}), text_field
        )
        self.input.check_apart(cache_path, output_path)
        self.cache_options: dict[str, Any] | None = (cache_kwargs or {}).get("storage_options")
        self.output_options: dict[str, Any] | None = (write_kwargs or {}).get("storage_options")
        self.perform_removal = perform_removal
        self.num_bands = num_bands
        self.rows = minhashes_per_band
        self.bands_per_iteration = bands_per_iteration
        self.parts = lsh_num_output_partitions
        self.minhash = MinHashStage(
            self._cache("MinHashStage").path,
            text_field,
            char_ngrams=char_ngrams,
            num_hashes=num_bands * minhashes_per_band,
            seed=seed,
            normalize_text=normalize_text,
            use_64_bit_hash=use_64_bit_hash,
            storage_options=self.cache_options,
        )

    def run(
        self,
        initial_tasks: Iterable[FileGroupTask] | None = None,
        executor: BaseExecutor | None = None,
        checkpoint_path: str | None = None,
    ) -> WorkflowRunResult:
        """Find duplicates; remove them if that was asked for.

        Args:
            initial_tasks: Groups of files to read instead of `input_path`.
            executor: Where to run; as for `Pipeline.run` when not given.
            checkpoint_path: A folder in which every step notes how far it is: a run that was killed goes on there.

        Returns:
            Tasks of the pipelines ``minhash``, ``lsh``, ``connected_components`` and, if asked for, ``removal``; the metadata
            ``minhash_time``, ``lsh_time``, ``connected_components_pipeline_time``, ``total_time`` (seconds), ``num_duplicates`` and
            ``id_generator_path``.

        Raises:
            OptionError: There is neither a path nor tasks.
            DataError: Texts that are not text.
            CuratorError: The run could not start, or ended early.
        """
        _log.info("%s", describe_detection(self.num_bands, self.rows))
        with Steps("fuzzy_deduplication", executor, checkpoint_path) as steps:
            groups = self.input.groups(steps, initial_tasks)
            generator = self.input.note_ids(groups, posixpath.join(self.output_path, _GENERATOR), self.output_options)
            source, reader = self.input.source(groups), self.input.reader()
            steps.run("minhash", source, reader, self.minhash, of="minhash", timed="minhash_time")
            buckets = self._buckets(steps)
            components = self._connect(steps, buckets)
            found = (
                self._identify(steps, components)
                if self.verify_jaccard is None
                else self._verify(steps, groups, components, self.verify_jaccard)
            )
            if self.perform_removal:
                from nemo_curator.stages.deduplication.removal_step_workflow import remove_duplicates

                remove_duplicates(steps, self.input, groups, found, self.output_path, self.output_options)
            return steps.done(num_duplicates=found.rows(), id_generator_path=generator)

    def kept_instead(self) -> pa.Table:
        """Return what a run has found: what goes, ``id``, and what stays in its place, ``kept``.

        Raises:
            InputError: No run has come to its end.
        """
        if self.verify_jaccard is not None:
            folder = PartFolder.at(self.output_path, "FuzzyDuplicateOf", storage_options=self.output_options)
            return folder.table([self.minhash.id_field, DUPLICATE_OF], ["id", "kept"])
        members = self._cache("ConnectedComponentsStage").table([self.minhash.id_field, GROUP], ["id", "kept"])
        return members.filter(arrow_functions().not_equal(members["id"], members["kept"]))

    @property
    def sampled_field(self) -> str | None:
        """The column that a report shows samples of."""
        return self.input.text_field

    def charts(self) -> list[Chart]:
        """Return what a report shows beside: nothing."""
        return []

    def _cache(self, *inner: str) -> PartFolder:
        return PartFolder.at(self.cache_path, *inner, storage_options=self.cache_options)

    def _buckets(self, steps: Steps) -> list[FileGroupTask]:
        """Return the files of buckets, of all bands."""
        files: list[FileGroupTask] = []
        signatures = self.minhash.folder
        source = signatures.tasks_of_all()
        parts = self.parts or max(1, -(-signatures.rows() * self.bands_per_iteration // _ROWS_IN_PART))
        for first in range(0, self.num_bands, self.bands_per_iteration):
            bands = (first, min(first + self.bands_per_iteration, self.num_bands))
            name = f"band_{bands[0]}-band_{bands[1]}"
            shuffled, folder = self._cache(METADATA_DIRNAME, "lsh_shuffle", name), self._cache("LSHStage", name)
            hashing = BandHashStage(
                signatures.path, shuffled.path, parts, bands, self.rows, storage_options=self.cache_options
            )
            steps.run(f"hash_{name}", source, hashing, of="lsh", timed="lsh_time")
            stage = LSHStage(shuffled.path, folder.path, storage_options=self.cache_options)
            steps.run(f"lsh_{name}", part_tasks(shuffled.state(), parts), stage, of="lsh", timed="lsh_time")
            steps.discard(shuffled)
            files += [folder.task(file.removesuffix(".parquet")) for file in folder.names()]
        return files

    def _connect(self, steps: Steps, buckets: list[FileGroupTask]) -> PartFolder:
        of, timed = _CONNECTED
        edges, components = self._cache("BucketsToEdgesStage"), self._cache("ConnectedComponentsStage")
        options = {"storage_options": self.cache_options}
        pairing = BucketsToEdgesStage(edges.path, read_kwargs=options, write_kwargs=options)
        steps.run(
            "buckets_to_edges",
            GivenTasksStage(buckets, storage_options=self.cache_options),
            pairing,
            of=of,
            timed=timed,
        )
        connecting = ConnectedComponentsStage(edges.path, components.path, storage_options=self.cache_options)
        steps.run("connected_components", part_tasks(edges.state(), 1), connecting, of=of, timed=timed)
        return components

    def _identify(self, steps: Steps, components: PartFolder) -> PartFolder:
        of, timed = _CONNECTED
        found = PartFolder.at(self.output_path, "FuzzyDuplicateIds", storage_options=self.output_options)
        naming = FuzzyDuplicateIdentification(
            components.path, found.path, storage_options=self.cache_options, output_storage_options=self.output_options
        )
        source = part_tasks(components.state(), parts_of(components.rows()))
        steps.run("identification", source, naming, of=of, timed=timed)
        return found

    def _verify(
        self, steps: Steps, groups: list[FileGroupTask], components: PartFolder, threshold: float
    ) -> PartFolder:
        of, timed = _CONNECTED
        collected = self._cache(METADATA_DIRNAME, "fuzzy_groups")
        found, kept = (
            PartFolder.at(self.output_path, name, storage_options=self.output_options)
            for name in ("FuzzyDuplicateIds", "FuzzyDuplicateOf")
        )
        parts = max(1, -(-components.rows() // _DOCUMENTS_IN_PART))
        collecting = CollectGroupsStage(
            components.path,
            components.state(),
            collected.path,
            parts,
            self.input.text_field,
            self.minhash.normalize_text,
            storage_options=self.cache_options,
        )
        steps.run("collect_groups", self.input.source(groups), self.input.reader(), collecting, of=None, timed=timed)
        verifying = VerifyGroupsStage(
            collected.path,
            found.path,
            kept.path,
            threshold,
            self.minhash.char_ngrams,
            storage_options=self.cache_options,
            output_storage_options=self.output_options,
        )
        steps.run("verification", part_tasks(collected.state(), parts), verifying, of=of, timed=timed)
        steps.discard(collected)
        return found
