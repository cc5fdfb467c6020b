"""`IdentifyDuplicatesStage`: names what is so similar to something ranked before it that it can go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nemo_curator.errors import DataError, OptionError
from nemo_curator.stages.deduplication.columns import arrow_functions
from nemo_curator.stages.deduplication.parts import PartFolder, PartWriter
from nemo_curator.stages.deduplication.semantic.pairwise import SCORE
from nemo_curator.tasks import FileGroupTask
from nemo_curator.utils.hash_utils import get_deterministic_hash

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["IdentifyDuplicatesStage", "check_eps"]

_GROUPS = 10


def check_eps(eps: float) -> None:
    """Raise `OptionError` unless ``1 - eps`` is a cosine similarity above 0, which is that of what has nothing in common."""
    if not 0 <= eps < 1:
        message = (
            f"eps must be at least 0 and below 1, got {eps}: what is at least 1 - eps similar to another is a duplicate"
        )
        raise OptionError(message)


class IdentifyDuplicatesStage(PartWriter[FileGroupTask]):
    """Write, for the clusters of a batch, a file with the ids whose ``cosine_sim_score`` is at least ``1 - eps``, sorted.

    Several tasks become one, whose ``_metadata["num_removed"]`` is the number of ids; none, if there are no ids.

    Args:
        output_path: The folder for the files.
        eps: How far from the same.
        storage_options: For the filesystem of what `PairwiseStage` has written.
        output_storage_options: For the filesystem of the output.
        num_row_groups_hint: Row groups of a file, about; 10 when not given, so that who looks for a range of ids reads little else.
        name: Name of the stage.

    Raises:
        OptionError: `eps` is not from 0 to below 1.
    """

    batch_size = 10

    def __init__(
        self,
        output_path: str,
        eps: float,
        storage_options: dict[str, Any] | None = None,
        output_storage_options: dict[str, Any] | None = None,
        num_row_groups_hint: int | None = None,
        name: str = "identify_duplicates",
    ) -> None:
        check_eps(eps)
        self.folder = PartFolder.at(output_path, storage_options=output_storage_options)
        self.eps = eps
        self.storage_options = storage_options
        self.num_row_groups_hint = num_row_groups_hint
        self.name = name

    def process(self, task: FileGroupTask) -> FileGroupTask:
        """Not possible: it makes one task of several.

        Raises:
            NotImplementedError: Always.
        """
        message = f"stage {self.name!r} works on batches: call process_batch"
        raise NotImplementedError(message)

    def process_batch(self, tasks: list[FileGroupTask]) -> list[FileGroupTask]:
        """Write the ids of a batch; nothing if there are none.

        Raises:
            DataError: Ids are numbers in one file and text in another.
        """
        import pyarrow as pa

        paths = sorted(str(path) for task in tasks for path in task.data)
        try:
            found = pa.concat_tables([self._found(path) for path in paths])
        except pa.ArrowInvalid as error:
            message = f"stage {self.name!r}: ids are of different kinds in the clusters: {error}. Make them one kind in all files"
            raise DataError(message) from error
        if not found.num_rows:
            return []
        self.record_drops("semantic_duplicate", found.num_rows)
        size = max(1, -(-found.num_rows // (self.num_row_groups_hint or _GROUPS)))
        # Of the names alone: the same data in another folder makes files of the same name.
        name = get_deterministic_hash([path.rsplit("/", 1)[-1] for path in paths])
        written = self.folder.write(name, found.sort_by("id"), self, row_group_size=size)
        return [FileGroupTask(written.dataset_name, written.data, _metadata={"num_removed": found.num_rows})]

    def _found(self, path: str) -> pa.Table:
        pc = arrow_functions()

        folder, name = path.rsplit("/", 1)
        with PartFolder.at(folder, storage_options=self.storage_options).reading(name) as file:
            table = file.read(columns=["id", SCORE])
        return table.filter(pc.greater_equal(table[SCORE], 1 - self.eps)).select(["id"])
