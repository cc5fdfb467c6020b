"""What a deduplication has found, in numbers: groups by size, the largest with samples, what goes of every source."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nemo_curator.errors import DataError
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.deduplication.columns import arrow_functions, id_column, one_column
from nemo_curator.stages.deduplication.parts import PartFolder
from nemo_curator.stages.worker_info import WorkerMetadata
from nemo_curator.tasks import DocumentBatch, Task

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Chart", "Findings", "Group", "Survey", "SurveyStage", "SurveyTask", "largest_groups", "sizes_of_groups"]

ID, KEPT = "id", "kept"
_MOST_SOURCES = 100_000
_ROW_GROUP = 65536


@dataclass(frozen=True)
class Chart:
    """Bars with names.

    Attributes:
        title: What is shown.
        bars: Names and values.
        unit: ``""`` for counts, ``"%"`` for shares from 0 to 1.
    """

    title: str
    bars: list[tuple[str, float]]
    unit: str = ""


@dataclass(frozen=True)
class Group:
    """A group of duplicates.

    Attributes:
        kept: Id of what stays.
        size: Members, with that.
        members: Ids of some that go.
    """

    kept: Any
    size: int
    members: list[Any]


@dataclass
class Survey:
    """What was seen of the documents.

    Attributes:
        documents: How many there are.
        sources: For every source how many there are, and how many of them go.
        samples: For the ids that were asked for: the beginning of the text, and the source.
    """

    documents: int = 0
    sources: dict[str, tuple[int, int]] = field(default_factory=dict[str, tuple[int, int]])
    samples: dict[Any, tuple[str, str]] = field(default_factory=dict[Any, tuple[str, str]])

    def add(self, other: Survey) -> None:
        """Add what was seen elsewhere."""
        self.documents += other.documents
        for source, (there, gone) in other.sources.items():
            before = self.sources.get(source, (0, 0))
            self.sources[source] = (before[0] + there, before[1] + gone)
        self.samples.update(other.samples)

    def checked(self, field: str | None) -> Survey:
        """Return this.

        Raises:
            DataError: There are too many sources for a report.
        """
        if len(self.sources) > _MOST_SOURCES:
            message = (
                f"column {field!r} has more than {_MOST_SOURCES} different values, too many to report on each. Name a column with fewer in "
                "source_field"
            )
            raise DataError(message)
        return self


@dataclass(frozen=True)
class Findings:
    """All that a report says.

    Attributes:
        title: Of the report.
        survey: What was seen of the documents.
        removed: How many go.
        sizes: How many groups there are of every size.
        largest: The largest groups.
        charts: What else there is to show.
    """

    title: str
    survey: Survey
    removed: int
    sizes: Mapping[int, int]
    largest: list[Group]
    charts: list[Chart]

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        survey = self.survey
        return {
            "title": self.title,
            "documents": survey.documents,
            "removed": self.removed,
            "groups": sum(self.sizes.values()),
            "groups_by_size": {str(size): number for size, number in sorted(self.sizes.items())},
            "sources": {
                source: {"documents": there, "removed": gone}
                for source, (there, gone) in sorted(survey.sources.items())
            },
            "largest": [
                {"kept": group.kept, "size": group.size, "samples": self._samples(group)} for group in self.largest
            ],
            **{chart.title: dict(chart.bars) for chart in self.charts},
        }

    def _samples(self, group: Group) -> list[dict[str, Any]]:
        return [{"id": at, "text": text, "source": source} for at, text, source in self.samples_of(group)]

    def samples_of(self, group: Group) -> list[tuple[Any, str, str]]:
        """Return id, text and source of what stays of a group, and then of some that go."""
        return [(at, *self.survey.samples.get(at, ("", ""))) for at in (group.kept, *group.members)]


def sizes_of_groups(found: pa.Table) -> dict[int, int]:
    """Return how many groups there are of every size, with what stays.

    Args:
        found: Columns ``id``, of what goes, and ``kept``, of what stays in its place.
    """
    pc = arrow_functions()
    if not found.num_rows:
        return {}
    sizes = pc.value_counts(found.group_by(KEPT).aggregate([(ID, "count")])[f"{ID}_count"])
    return {size["values"] + 1: size["counts"] for size in sizes.to_pylist()}


def largest_groups(found: pa.Table, number: int, members: int) -> list[Group]:
    """Return the largest groups, of equally large ones those with the smallest id; with the first ids of some members."""
    pc = arrow_functions()
    if not found.num_rows:
        return []
    counted = found.group_by(KEPT).aggregate([(ID, "count")])
    counted = counted.sort_by([(f"{ID}_count", "descending"), (KEPT, "ascending")]).slice(0, number)
    inside = found.filter(pc.is_in(found[KEPT], value_set=counted[KEPT].combine_chunks())).sort_by(ID)
    ids: dict[Any, list[Any]] = {}
    for row in inside.to_pylist():
        some = ids.setdefault(row[KEPT], [])
        if len(some) < members:
            some.append(row[ID])
    return [Group(row[KEPT], row[f"{ID}_count"] + 1, ids[row[KEPT]]) for row in counted.to_pylist()]


@dataclass(repr=False)
class SurveyTask(Task[Survey]):
    """What was seen of a batch."""

    data: Survey = field(default_factory=Survey)

    @property
    def num_items(self) -> int:
        """How many documents it is about."""
        return self.data.documents

    def validate(self) -> bool:
        """Any number is fine."""
        return True


class SurveyStage(ProcessingStage[DocumentBatch, SurveyTask]):
    """Counts the documents of every source and those that go, and keeps the texts that samples are made of.

    Args:
        folder: Where `keep` has put the ids that go.
        wanted: Ids of samples.
        id_field: Column of the ids.
        text_field: Column of the text; `None` for none.
        source_field: Column of the source; `None` for none.
        characters: How much of a text is kept.
        name: Name of the stage.
    """

    _FILE = "removed.parquet"

    def __init__(
        self,
        folder: PartFolder,
        wanted: Iterable[Any],
        id_field: str,
        text_field: str | None,
        source_field: str | None,
        characters: int,
        name: str = "survey",
    ) -> None:
        self.folder = folder
        self.wanted = sorted(wanted)
        self.id_field = id_field
        self.text_field = text_field
        self.source_field = source_field
        self.characters = characters
        self.name = name
        self._content: bytes | None = None

    @classmethod
    def keep(cls, folder: PartFolder, found: pa.Table) -> None:
        """Put the ids that go where workers find them, sorted."""
        import pyarrow.parquet as pq

        content = io.BytesIO()
        pq.write_table(found.select([ID]).sort_by(ID), content, row_group_size=_ROW_GROUP)
        folder.put(cls._FILE, content.getvalue())

    def setup(self, worker_metadata: WorkerMetadata | None = None) -> None:
        """Read them, as they are in the file."""
        self._content = self.folder.get(self._FILE)

    def teardown(self) -> None:
        """Forget them."""
        self._content = None

    def process(self, task: DocumentBatch) -> SurveyTask:
        """Return what is to be said of a batch.

        Raises:
            DataError: The column of sources has too many different values for a report.
        """
        pc = arrow_functions()
        if task.num_items == 0:
            return SurveyTask(task.dataset_name, Survey())
        ids = id_column(task, self.id_field, self.name)
        sources = self._sources(task)
        gone = pc.is_in(ids, value_set=self._removed_like(ids))
        counts: dict[str, tuple[int, int]] = {}
        if self.source_field is not None:
            counts = _counted(sources, gone.to_pylist())
        seen = Survey(len(ids), counts, self._samples(task, ids, sources))
        return SurveyTask(task.dataset_name, seen.checked(self.source_field))

    def _sources(self, task: DocumentBatch) -> list[str]:
        if self.source_field is None:
            return [""] * task.num_items
        values = one_column(task, self.source_field, self.name).to_pylist()
        return ["(none)" if value is None else str(value) for value in values]

    def _removed_like(self, ids: pa.Array) -> pa.Array:
        """Return the ids that go between the smallest and the largest of a batch, and little else."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        pc = arrow_functions()
        if self._content is None:
            self.setup()
        bounds = pc.min_max(ids).as_py()
        file = pq.ParquetFile(io.BytesIO(self._content or b""))
        wanted: list[int] = []
        for at in range(file.num_row_groups):
            statistics = file.metadata.row_group(at).column(0).statistics
            if _may_have(statistics, bounds["min"], bounds["max"]):
                wanted.append(at)
        found = file.read_row_groups(wanted)[ID] if wanted else pa.chunked_array([], ids.type)
        if pa.types.is_integer(found.type) != pa.types.is_integer(ids.type) and len(found):
            message = (
                f"stage {self.name!r}: ids of documents are of type {ids.type}, those that go of type {found.type}. Read the same "
                "documents that duplicates were found in"
            )
            raise DataError(message)
        return found.cast(ids.type).combine_chunks()

    def _samples(self, task: DocumentBatch, ids: pa.Array, sources: list[str]) -> dict[Any, tuple[str, str]]:
        import pyarrow as pa

        pc = arrow_functions()
        if not self.wanted:
            return {}
        rows = pc.indices_nonzero(pc.is_in(ids, value_set=pa.array(self.wanted).cast(ids.type)))
        if not len(rows):
            return {}
        texts: list[Any] = [None] * len(rows)
        if self.text_field is not None:
            texts = one_column(task, self.text_field, self.name).take(rows).to_pylist()
        places = rows.to_pylist()
        return {
            at: ("" if text is None else str(text)[: self.characters], sources[place])
            for at, text, place in zip(ids.take(rows).to_pylist(), texts, places, strict=True)
        }


def _counted(sources: list[str], gone: list[bool]) -> dict[str, tuple[int, int]]:
    counts: dict[str, tuple[int, int]] = {}
    for source, goes in zip(sources, gone, strict=True):
        there, before = counts.get(source, (0, 0))
        counts[source] = (there + 1, before + goes)
    return counts


def _may_have(statistics: Any, low: Any, high: Any) -> bool:
    """Say whether a row group may have a value between two bounds, as far as its statistics tell."""
    if statistics is None or not statistics.has_min_max or type(statistics.min) is not type(low):
        return True
    return bool(statistics.min <= high and statistics.max >= low)
