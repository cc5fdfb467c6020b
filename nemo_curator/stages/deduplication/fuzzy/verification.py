"""The two steps that look at texts again: those of every group brought together, then every pair that counts compared by its n-grams.

What meets in a bucket is similar with a high chance, and what is connected through others may not be similar at all. After this no document is
removed that is not really so similar to one that stays.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from nemo_curator.errors import OptionError
from nemo_curator.stages.deduplication.columns import arrow_functions, id_column, text_column
from nemo_curator.stages.deduplication.fuzzy.groups import GROUP
from nemo_curator.stages.deduplication.fuzzy.signatures import MinHasher
from nemo_curator.stages.deduplication.id_generator import CURATOR_DEDUP_ID_STR
from nemo_curator.stages.deduplication.parts import PartFolder, PartTask, PartWriter
from nemo_curator.stages.deduplication.shuffle import HIGH, LOW, key_columns, read_shuffled, write_shuffled
from nemo_curator.tasks import DocumentBatch, FileGroupTask
from nemo_curator.utils.output_manifest import RunOutput

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    Shingles = npt.NDArray[np.uint64]

__all__ = ["DUPLICATE_OF", "JACCARD", "CollectGroupsStage", "VerifyGroupsStage", "jaccard"]

DUPLICATE_OF, JACCARD = "_duplicate_of", "_jaccard"
_TEXT = "_text"
_ROW_GROUP = 65536
# Texts whose n-grams are in memory at a time, beside those of the documents that stay.
_AT_ONCE = 64


class CollectGroupsStage(PartWriter[DocumentBatch]):
    """Write, for every batch, id, group and text of the documents that are in a group, sorted by the part that the group belongs to.

    Args:
        components_path: Where `ConnectedComponentsStage` has written.
        components_state: Digest of that.
        output_path: The folder for the files.
        parts: Into how many parts groups are divided.
        text_field: Column of the text.
        normalize_text: Make texts lower case, and every run of white space one space.
        id_field: Column of the ids.
        storage_options: For the filesystem of URLs.
        name: Name of the stage.
    """

    def __init__(
        self,
        components_path: str,
        components_state: str,
        output_path: str,
        parts: int,
        text_field: str = "text",
        normalize_text: bool = False,
        id_field: str = CURATOR_DEDUP_ID_STR,
        storage_options: dict[str, Any] | None = None,
        name: str = "collect_groups",
    ) -> None:
        self.components = PartFolder.at(components_path, storage_options=storage_options)
        self.components_state = components_state
        self.folder = PartFolder.at(output_path, storage_options=storage_options)
        self.parts = parts
        self.text_field = text_field
        self.normalize_text = normalize_text
        self.id_field = id_field
        self.name = name

    def inputs(self) -> tuple[list[str], list[str]]:
        """Return the columns of text and ids."""
        return ["data"], [self.text_field, self.id_field]

    def process(self, task: DocumentBatch) -> FileGroupTask | None:
        """Write what a batch has of the groups; nothing if that is nothing."""
        import pyarrow as pa

        pc = arrow_functions()
        ids = id_column(task, self.id_field, self.name)
        if not len(ids):
            return None
        bounds = pc.min_max(ids).as_py()
        members = self._members(bounds["min"], bounds["max"])
        at = pc.index_in(ids, value_set=members[self.id_field].combine_chunks())
        inside = at.is_valid()
        if not pc.any(inside).as_py():
            return None
        texts = text_column(task, self.text_field, self.name, normalize=self.normalize_text).filter(inside)
        groups = members[GROUP].take(at.filter(inside)).combine_chunks()
        digests = (hashlib.blake2b(str(group).encode(), digest_size=16).digest() for group in groups.to_pylist())
        high, low = key_columns(b"".join(digests))
        table = pa.table({HIGH: high, LOW: low, self.id_field: ids.filter(inside), GROUP: groups, _TEXT: texts})
        return write_shuffled(self.folder, task.task_id or task.dataset_name, table, self.parts, self)

    def _members(self, low: int, high: int) -> pa.Table:
        """Return the documents of groups between two ids: the file is sorted by id, so few of its row groups are read."""
        (name,) = self.components.names()
        with self.components.reading(name) as file:
            column = file.schema_arrow.names.index(self.id_field)
            wanted: list[int] = []
            for at in range(file.num_row_groups):
                statistics = file.metadata.row_group(at).column(column).statistics
                if statistics is None or (statistics.min <= high and statistics.max >= low):
                    wanted.append(at)
            return file.read_row_groups(wanted) if wanted else file.schema_arrow.empty_table()


class VerifyGroupsStage(PartWriter[PartTask]):
    """Compare the texts of every group of a part, and name those that are really similar to one that stays.

    In the order of ids: the first of a group stays; each of the others is compared with those that stay so far, and goes if its Jaccard similarity
    with one of them, over the sets of their n-grams, is at least `threshold`; else it stays too. N-grams are compared by hashes of 64 bits.

    Memory is what the texts of a part take, and eight bytes a character of the documents of one group that stay.

    Args:
        collected_path: Where `CollectGroupsStage` has written.
        output_path: The folder for ``part.<N>.parquet`` with the ids of what is to be removed, sorted.
        kept_path: The folder for files that say for each of these which document stays in its place, and how similar it is.
        threshold: Jaccard similarity, from 0 to 1.
        char_ngrams: Characters in an n-gram.
        id_field: Column of the ids.
        storage_options: For the filesystem of the first folder.
        output_storage_options: For the filesystem of the others.
        name: Name of the stage.

    Raises:
        OptionError: The threshold is not above 0 and at most 1.
    """

    def __init__(
        self,
        collected_path: str,
        output_path: str,
        kept_path: str,
        threshold: float,
        char_ngrams: int = 24,
        id_field: str = CURATOR_DEDUP_ID_STR,
        storage_options: dict[str, Any] | None = None,
        output_storage_options: dict[str, Any] | None = None,
        name: str = "verify_groups",
    ) -> None:
        if not 0 < threshold <= 1:
            message = (
                f"stage {name!r}: the threshold of Jaccard similarity must be above 0 and at most 1, got {threshold}"
            )
            raise OptionError(message)
        self.collected = PartFolder.at(collected_path, storage_options=storage_options)
        self.folder = PartFolder.at(output_path, storage_options=output_storage_options)
        self.kept = PartFolder.at(kept_path, storage_options=output_storage_options)
        self.threshold = threshold
        self.char_ngrams = char_ngrams
        self.id_field = id_field
        self.name = name

    def process(self, task: PartTask) -> FileGroupTask | None:
        """Write what is to be removed of a part; nothing if there is nothing."""
        import numpy as np
        import pyarrow as pa

        table = read_shuffled(self.collected, self.collected.names(), task.data, self)
        if not table.num_rows:
            return None
        table = table.sort_by([(GROUP, "ascending"), (self.id_field, "ascending")])
        groups = table[GROUP].to_numpy()
        starts = np.flatnonzero(np.diff(groups, prepend=groups[0] - 1))
        bounds = [*starts.tolist(), len(groups)]
        ids, texts = table[self.id_field].combine_chunks(), table[_TEXT].combine_chunks()
        pairs = [
            (start + member, start + stays, similar)
            for start, stop in pairwise(bounds)
            for member, stays, similar in self._duplicates(texts.slice(start, stop - start))
        ]
        self._log_metric("refuted", len(groups) - len(starts) - len(pairs))
        if not pairs:
            return None
        removed, stay, similar = zip(*pairs, strict=True)
        found = pa.table(
            {
                self.id_field: ids.take(pa.array(removed)),
                DUPLICATE_OF: ids.take(pa.array(stay)),
                JACCARD: pa.array(similar, pa.float64()),
            }
        ).sort_by(self.id_field)
        self.kept.write(f"part.{task.data}", found, self, row_group_size=_ROW_GROUP)
        self.record_drops("fuzzy_duplicate", found.num_rows)
        return self.folder.write(f"part.{task.data}", found.select([self.id_field]), self, row_group_size=_ROW_GROUP)

    def _duplicates(self, texts: pa.LargeStringArray) -> Iterator[tuple[int, int, float]]:
        """Yield which texts of a group go, for each the one that stays and the similarity to it."""
        hasher = MinHasher(1, self.char_ngrams, 0, wide=True)
        staying: list[tuple[int, Shingles]] = []
        for first in range(0, len(texts), _AT_ONCE):
            for member, shingles in enumerate(hasher.shingles(texts.slice(first, _AT_ONCE)), first):
                found = self._similar(shingles, staying)
                if found is None:
                    staying.append((member, shingles))
                else:
                    yield member, *found

    def _similar(self, shingles: Shingles, staying: list[tuple[int, Shingles]]) -> tuple[int, float] | None:
        for at, other in staying:
            few, many = sorted((len(shingles), len(other)))
            # What two sets share is no more than the smaller one.
            if few < self.threshold * many:
                continue
            similar = jaccard(shingles, other)
            if similar >= self.threshold:
                return at, similar
        return None

    def commit_output(self, output: RunOutput) -> None:
        """Lay the manifests of both folders down."""
        super().commit_output(output)
        self.kept.commit(output)


def jaccard(first: Shingles, second: Shingles) -> float:
    """Return the size of what is in both of two sorted sets by the size of what is in either; 1 for two that are empty."""
    import numpy as np

    both = len(np.intersect1d(first, second, assume_unique=True))
    either = len(first) + len(second) - both
    return both / either if either else 1.0
